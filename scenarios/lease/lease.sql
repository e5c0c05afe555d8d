-- ShedLock's table, a lock table with a fencing token, a flag as knex has it, a row that says since when it is had;
-- and what they guard.
create table shedlock (
    name        text primary key,
    lock_until  timestamptz not null,
    locked_at   timestamptz not null,
    locked_by   text not null
);
create table lease (
    name        text primary key,
    locked_by   text,
    lock_until  bigint not null,
    generation  bigint not null
);
insert into lease values ('report', null, 0, 0);
create table migrations_lock (
    index      integer primary key,
    is_locked  integer not null
);
insert into migrations_lock values (1, 0);

create table task_lock (
    id        integer primary key,
    owner     text,
    taken_at  timestamp
);
insert into task_lock values (1, null, null);

create table report (
    day    date primary key,
    total  integer not null
);
insert into report values ('2026-11-30', 0);
