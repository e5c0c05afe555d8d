create table counter (name text primary key, n integer not null);
insert into counter values ('visits', 10);
create function set_visits(v integer) returns void language sql as $$
    update counter set n = v where name = 'visits'
$$;
create function add_visit() returns void language sql as $$
    update counter set n = n + 1 where name = 'visits'
$$;

create table seat (nr integer primary key, guest text not null);
insert into seat values (1, 'ann'), (2, 'bob');

create table log (id serial primary key, at timestamptz not null default clock_timestamp(), what text not null);

create table bucket (at timestamptz primary key, n integer not null);

create table job (id bigint generated always as identity primary key, name text not null, worker text);
create table output (id serial primary key, job bigint not null references job (id), text text not null);
insert into job (name) values ('one'), ('two'), ('three');
