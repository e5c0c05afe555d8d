-- A report of some lines a day. Nothing but the job's own look keeps it from being written twice.
create table report (
    day     date not null,
    line    integer not null,
    amount  integer not null
);
