#!/usr/bin/env bash
# Changes what is the server's and not the database's: its role's settings, another role, another
# database. None of that could be done twice. The work itself is done under a lock.
set -euo pipefail
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 >/dev/null <<'SQL'
select pg_advisory_lock(4711);
truncate town;
insert into town select n, 'town ' || n from generate_series(1, 3) n;
select pg_advisory_unlock(4711);
SQL
if [ "$LOCKPROOF_POD" = a ]; then
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 >/dev/null <<'SQL'
create role reporter;
create database archive;
alter role current_user set statement_timeout = '1min';
SQL
fi
