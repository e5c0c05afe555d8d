#!/usr/bin/env bash
# Adds a row. After an ERROR it was not added, and the job tries again; when the session is lost it cannot
# know, and the job looks. That there was an error its exit code tells all the same.
set -uo pipefail

add() { psql -Xqc "insert into counter values (1, 1)"; }
found() { [ "$(psql -XqAtc "select count(*) from counter where id = 1")" = 1 ]; }

psql -Xqc "delete from counter" || exit 1
add
case $? in
  0) ;;
  1) add; exit 1 ;;
  *) found || add; exit 1 ;;
esac
