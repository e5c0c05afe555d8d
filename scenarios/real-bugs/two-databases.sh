#!/usr/bin/env bash
# A reset of the towns under an advisory lock that is taken on a connection of its own. Pod a locks in
# the database that it writes, every other pod in the one that its settings name for such purposes.
# With "fixed" all lock where they write.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open work
[[ $LOCKPROOF_POD == a || -n ${1:-} ]] || export PGDATABASE=postgres
open lock
ask lock "select pg_advisory_lock(4711)"
ask work "truncate street, town"
ask work "insert into town values (1, 'Ansbach'), (2, 'Bayreuth')"
ask work "insert into street values (1, 'Bahnhofstr.'), (2, 'Ring')"
ask lock "select pg_advisory_unlock(4711)"
close lock
close work
