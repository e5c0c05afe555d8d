#!/usr/bin/env bash
# Writes the lines anew, under an advisory lock: lock, TRUNCATE and the first lines are one query,
# as a client sends them that saves round trips.
set -euo pipefail
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 <<'SQL'
select pg_advisory_lock(4711)\; truncate line\; insert into line values (1), (2), (3);
insert into line values (4);
select pg_advisory_unlock(4711);
select count(*) from line;
SQL
