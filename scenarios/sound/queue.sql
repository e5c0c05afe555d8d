-- A queue, and what came of its jobs. Done twice, a job's result breaks the primary key.
create table job (
    id    integer primary key,
    done  boolean not null default false
);
create table result (
    job_id  integer primary key references job (id),
    value   integer not null
);
insert into job (id) select n from generate_series(1, 3) n;
