-- The tables of the small jobs here: what a reset fills, what a migration has applied.
create table town (
    id    integer primary key,
    name  text not null
);
create table street (
    town_id  integer not null references town (id),
    name     text not null
);
create table migration (
    version  integer primary key
);
