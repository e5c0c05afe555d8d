#!/usr/bin/env bash
# A migration under a session lock, on one connection to what it takes for the server. Pod b is the
# application, which reads in a transaction.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open db
if [[ $LOCKPROOF_POD == b ]]; then
  ask db "begin"
  ask db "select count(*) from town"
  ask db "commit"
  close db
  exit
fi
ask db "select pg_advisory_lock(1000)"
ask db "truncate street, town"
ask db "insert into town values (1, 'Ansbach'), (2, 'Bayreuth')"
ask db "select pg_advisory_unlock(1000)"
close db
