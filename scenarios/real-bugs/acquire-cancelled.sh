#!/usr/bin/env bash
# A reset of the towns that leaves when its wait for the lock is cancelled: it has no lock then, so it
# believes, and its connection goes back to a pool that lives on. With "fixed" it gives back what it
# may have got all the same.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
fixed=${1:-}

open db
if ! ask db "select pg_advisory_lock(4711)"; then
  [[ -z $fixed ]] || ask db "select pg_advisory_unlock_all()"
  ask db "select count(*) from town"
  close db
  exit 1
fi
ask db "truncate street, town"
ask db "insert into town values (1, 'Ansbach'), (2, 'Bayreuth')"
ask db "insert into street values (1, 'Bahnhofstr.'), (2, 'Ring')"
ask db "select pg_advisory_unlock(4711)"
close db
