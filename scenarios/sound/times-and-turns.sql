-- What a report job fills, and when it last did.
create table report (
    minute  timestamptz not null,
    name    text not null,
    total   integer not null,
    primary key (minute, name)
);
create table state (
    name      text primary key,
    runs      integer not null,
    last_run  timestamptz
);
insert into state values ('report', 0);
