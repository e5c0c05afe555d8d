#!/usr/bin/env bash
# A reset during a rolling deployment: the old version locks key 1, the new one (every pod but a) keys
# 0 and 1. The server keeps the two forms apart. With "fixed" the new version has the old form.
set -euo pipefail
key=1
[[ $LOCKPROOF_POD == a || -n ${1:-} ]] || key="0, 1"
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 <<SQL
select pg_advisory_lock($key);
truncate street, town;
insert into town values (1, 'Ansbach'), (2, 'Bayreuth');
insert into street values (1, 'Bahnhofstr.'), (2, 'Ring');
select pg_advisory_unlock($key);
SQL
