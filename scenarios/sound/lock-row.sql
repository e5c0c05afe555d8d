-- The price list of the refilling jobs, and the row that is their lock.
create table product (
    id    integer primary key,
    name  text not null
);
create table price (
    product_id integer not null references product (id),
    cents      integer not null
);
create table job_lock (name text primary key);
