#!/usr/bin/env bash
# A reset whose preparation, the TRUNCATE, comes before the lock. With "fixed" it comes after.
set -euo pipefail
truncate="truncate street, town;" lock="select pg_advisory_lock(4711);"
first=$truncate second=$lock
[[ -z ${1:-} ]] || first=$lock second=$truncate
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 <<SQL
$first
$second
insert into town values (1, 'Ansbach'), (2, 'Bayreuth');
insert into street values (1, 'Bahnhofstr.'), (2, 'Ring');
select pg_advisory_unlock(4711);
SQL
