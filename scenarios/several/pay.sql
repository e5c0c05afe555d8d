-- A payout that is made once, and a report to which every run adds; each has a lock of its own.
create table account (id integer primary key, owner text not null);
insert into account values (1, 'ann');
create table payout (id serial primary key, account_id integer not null references account (id), amount integer not null);
create table report (day date primary key, total integer not null);
insert into report values ('2026-11-30', 0);
create table lease (name text primary key, locked_by text, lock_until timestamptz not null);
insert into lease values ('payout', null, '-infinity'), ('report', null, '-infinity');
