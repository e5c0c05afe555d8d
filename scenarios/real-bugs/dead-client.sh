#!/usr/bin/env bash
# Migrates when its container starts, under Prisma's advisory lock. The argument says what it does
# when the lock is taken: wait, or give up at once (Prisma gives up after ten seconds). Pod c is
# another client, whose transaction keeps the table that the migration updates.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open db
if [[ $LOCKPROOF_POD == c ]]; then
  ask db "begin"
  ask db "lock table town in share mode"
  ask db "select count(*) from town"
  ask db "commit"
  close db
  exit
fi

if [[ $1 == wait ]]; then
  ask db "select pg_advisory_lock(72707369)"
else
  ask db "select pg_try_advisory_lock(72707369)"
  [[ $answer == t ]] || { echo "P1002: Timed out trying to acquire a postgres advisory lock" >&2; exit 1; }
fi
ask db "select count(*) from migration where version = 1"
if [[ $answer == 0 ]]; then
  ask db "update town set name = upper(name)"
  ask db "insert into migration values (1)"
fi
ask db "select pg_advisory_unlock(72707369)"
close db
