-- A report that is made once a day: whoever inserts the day makes it.
create table run_log (job text not null, day date not null, tries integer not null default 1, primary key (job, day));
-- A day that is NULL can be inserted as often as one likes.
create table nullable_log (job text not null, day date, unique (job, day));
-- While no run of the day is finished, nothing keeps a second out.
create table partial_log (job text not null, day date not null, finished boolean not null default false);
create unique index partial_log_key on partial_log (job, day) where finished;
create table report (id serial primary key, day date not null, line integer not null);
