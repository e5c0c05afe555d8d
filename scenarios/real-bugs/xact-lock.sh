#!/usr/bin/env bash
# A migration without a transaction, under a transaction lock: it ends with the statement that
# takes it. With "fixed" it is a session lock, given back at the end.
set -euo pipefail
lock=pg_advisory_xact_lock unlock=
[[ -z ${1:-} ]] || lock=pg_advisory_lock unlock="select pg_advisory_unlock(4711) as released \gset"
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 <<SQL
select $lock(4711);
select count(*) = 0 as pending from migration where version = 1 \gset
\if :pending
insert into town values (1, 'Ansbach'), (2, 'Bayreuth');
insert into migration values (1);
\endif
$unlock
SQL
