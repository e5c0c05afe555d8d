#!/usr/bin/env bash
# Refills the price list if nobody else does: tries the lock, and leaves with success when it is
# taken.
set -euo pipefail
exec psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 <<'SQL'
select pg_try_advisory_lock(4711) as mine \gset
\if :mine
truncate product, price;
insert into product select n, 'product ' || n from generate_series(1, 50) n;
insert into price select n, 100 * n from generate_series(1, 50) n;
select pg_advisory_unlock(4711) as released \gset
\echo ✓ Refilled the price list
\else
\echo Another run is at it
\endif
SQL
