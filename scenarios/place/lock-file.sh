#!/usr/bin/env bash
# Fills the towns once, under a lock on a file in $1: a directory that pods of a cluster do not share.
exec 9>"$1/town.lock"
flock -w 5 9 || exit 1
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 >/dev/null <<'SQL'
select count(*) = 0 as empty from town \gset
\if :empty
insert into town select n, 'town ' || n from generate_series(1, 3) n;
\endif
SQL
