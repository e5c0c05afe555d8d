# Refills the price list in one transaction, under a lock that ends with it.
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
begin;
select pg_advisory_xact_lock(4711);
truncate product, price;
insert into product select n, 'product ' || n from generate_series(1, 50) n;
insert into price select n, 100 * n from generate_series(1, 50) n;
commit;
SQL
