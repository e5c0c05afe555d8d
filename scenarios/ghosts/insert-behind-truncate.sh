#!/usr/bin/env bash
# Writes the lines anew in a transaction, and the last one after it. No lock.
set -euo pipefail
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
begin;
truncate line;
insert into line values (1), (2), (3);
commit;
insert into line values (4);
SQL
