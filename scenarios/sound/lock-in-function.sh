#!/usr/bin/env bash
# Refills the price list between two functions, of which one takes the lock and one gives it back.
set -euo pipefail
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 <<'SQL'
select enter();
truncate product, price;
insert into product select n, 'product ' || n from generate_series(1, 50) n;
insert into price select n, 100 * n from generate_series(1, 50) n;
select leave();
SQL
