-- A mail for each job. A worker claims a job by its status.
create table job (
  id integer primary key,
  address text not null,
  state text not null default 'new',
  locked_by text,
  locked_at timestamptz
);
insert into job (id, address) values (1, 'ann'), (2, 'bob');
create table mail (id serial primary key, job_id integer not null, body text not null);
