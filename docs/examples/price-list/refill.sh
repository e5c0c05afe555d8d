#!/bin/sh
# Refills the price list. No lock: two copies at once break each other.
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
truncate product, price;
insert into product select n, 'product ' || n from generate_series(1, 50) n;
insert into price select n, 100 * n from generate_series(1, 50) n;
SQL
