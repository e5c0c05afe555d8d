#!/bin/sh
# Refills the price list under a lock: lock, work and unlock are one session.
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 <<'SQL'
select pg_advisory_lock(4711);
truncate product, price;
insert into product select n, 'product ' || n from generate_series(1, 50) n;
insert into price select n, 100 * n from generate_series(1, 50) n;
select pg_advisory_unlock(4711);
SQL
