-- A mail for each job. Nothing but the lock on the job's row keeps it from being sent twice.
create table job (id integer primary key, address text not null, sent boolean not null default false);
insert into job (id, address) values (1, 'ann'), (2, 'bob');
create table mail (id serial primary key, job_id integer not null references job (id), body text not null);
-- One row that whoever works locks, or changes and changes back.
create table flag (name text primary key, busy boolean not null);
insert into flag values ('mail', false);
