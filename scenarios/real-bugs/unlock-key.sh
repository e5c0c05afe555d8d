#!/usr/bin/env bash
# A migration whose lock has a key made of the names of database and schema, and whose unlock has one
# made of the database's only. With "fixed" both have the same.
set -euo pipefail
lock=2093110141 unlock=1486364155
[[ -z ${1:-} ]] || unlock=$lock
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 <<SQL
select pg_advisory_lock($lock);
truncate street, town;
insert into town values (1, 'Ansbach'), (2, 'Bayreuth');
select pg_advisory_unlock($unlock);
select count(*) from town;
SQL
