#!/bin/sh
# What psql can do: simple queries, several statements at once, a file, \copy both ways, binary
# COPY, cursors, errors, notices, notifications, \gdesc, \gexec, \d. Prints nothing that two runs
# could differ in.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
run() { psql -X -v ON_ERROR_STOP=1 "$@" 2>&1 | sed 's/process with PID [0-9]*/process/; s#'"$place"'/##'; }

run -c "create table t (id int primary key, x text, d numeric, j jsonb)" \
    -c "insert into t select g, 'row ' || g, g * 1.5, json_build_object('g', g) from generate_series(1, 20) g"
run -c "select 1 as one; select 2 as two; begin; insert into t (id, x) values (100, 'grüße'); commit; select count(*) from t"
cat >"$place/file.sql" <<'SQL'
begin;
update t set x = upper(x) where id < 5;
savepoint s;
delete from t;
rollback to s;
commit;
select id, x, d, j from t order by id limit 6;
prepare p(int) as select x from t where id = $1;
execute p(3);
do $$ begin raise notice 'a notice'; raise warning 'a warning'; end $$;
select count(*), sum(length(x)) from t \gdesc
select 'select ' || g from generate_series(1, 3) g \gexec
listen news;
notify news, 'hello';
select 1;
\d t
\set FETCH_COUNT 3
select id from t order by id limit 10;
SQL
run -f "$place/file.sql"
psql -X -Atc "select g, repeat('x', g % 50) from generate_series(1000, 4000) g" -F "$(printf '\t')" >"$place/rows.tsv"
run -c "\\copy t (id, x) from '$place/rows.tsv'"
run -c "\\copy (select id, x from t order by id) to '$place/out.csv' csv header"
cksum <"$place/out.csv"
run -c "copy (select * from t order by id) to stdout (format binary)" | cksum
run -c "copy t (id, x) from stdin" -c "select count(*) from t" <<'ROWS'
9001	a
9002	\N
\.
ROWS
# Errors: the statement's, in a transaction, in COPY, a timeout's, and of the syntax.
psql -X 2>&1 <<'SQL'
select 1/0;
begin;
select no_such_column;
select 1;
rollback;
copy t (id, x) from stdin;
not a number	x
\.
select 'after the copy';
begin;
set local statement_timeout = '40ms';
select pg_sleep(5);
rollback;
selec 1;
select 'end';
SQL
echo "psql exits $?"
psql -X -d postgres://nobody@"$PGHOST":"$PGPORT"/no_such_database -c 'select 1' 2>&1 |
  sed 's/port [0-9]*/port/; s/"[0-9.]*"/host/'
echo end
