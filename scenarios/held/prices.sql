create table price (product int primary key, cents int not null);
insert into price values (1, 100), (2, 200);
create table "Price" (product int);
create view cheap as select product, cents from price;
create materialized view offer as select product from price;
create table ticket (n int not null);
create table orders (day int not null, n int not null) partition by range (day);
create table orders_1 partition of orders for values from (1) to (2);
create table orders_2 partition of orders for values from (2) to (3);
create type state as enum ('new', 'old');
create schema app;
create table app.item (id int, was state);
create function counted() returns void language plpgsql as $$
begin
  perform pg_advisory_lock(4711);
  update price set cents = cents + 1;
  perform pg_advisory_unlock(4711);
end $$;
create function kept() returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(4711);
  update price set cents = cents + 1;
end $$;
