create table counter (name text primary key, n integer not null);
insert into counter values ('visits', 10);

create table seat (nr integer primary key, guest text not null);
insert into seat values (1, 'ann'), (2, 'bob');

create table log (id serial primary key, at timestamptz not null default clock_timestamp(), what text not null);

create table bucket (at timestamptz primary key, n integer not null);

create table job (id bigint generated always as identity primary key, name text not null, worker text);
create table output (id serial primary key, job bigint not null references job (id), text text not null);
insert into job (name) values ('one'), ('two'), ('three');
