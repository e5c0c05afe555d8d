#!/bin/sh
# Refills the price list, and locks wrongly: every psql is a session of its own, so the lock is
# gone before the refill begins, and the unlock finds nothing to unlock.
set -e
psql --no-psqlrc --quiet --output /dev/null --command 'select pg_advisory_lock(4711)'
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
truncate product, price;
insert into product select n, 'product ' || n from generate_series(1, 50) n;
insert into price select n, 100 * n from generate_series(1, 50) n;
SQL
psql --no-psqlrc --quiet --output /dev/null --command 'select pg_advisory_unlock(4711)'
