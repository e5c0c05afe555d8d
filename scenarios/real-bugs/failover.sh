#!/usr/bin/env bash
# A reset of the towns under an advisory lock.
set -euo pipefail
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 <<'SQL'
select pg_advisory_lock(4711);
truncate street, town;
insert into town values (1, 'Ansbach'), (2, 'Bayreuth');
insert into street values (1, 'Bahnhofstr.'), (2, 'Ring');
select pg_advisory_unlock(4711);
SQL
