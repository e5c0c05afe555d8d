#!/usr/bin/env bash
# Fills the towns under a lock whose key is made of $1: an SQL expression.
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 >/dev/null <<SQL
select hashtextextended($1, 0) as key \gset
select pg_advisory_lock(:key);
truncate town;
insert into town select n, 'town ' || n from generate_series(1, 3) n;
insert into town select n, 'town ' || n from generate_series(4, 6) n;
select pg_advisory_unlock(:key);
SQL
