#!/usr/bin/env bash
# A migration that creates an index concurrently, under an advisory lock. The argument says how:
# one-session, two-sessions (the lock on one, the migration on the other), or polling (two sessions,
# and who finds the lock taken tries again instead of waiting in the server).
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

how=$1 work=lock
open lock
if [[ $how != one-session ]]; then
  work=work
  open work
fi

if [[ $how == polling ]]; then
  until
    ask lock "select pg_try_advisory_lock(4711)"
    [[ $answer == t ]]
  do :; done
else
  ask lock "select pg_advisory_lock(4711)"
fi
ask $work "select count(*) from migration where version = 1"
if [[ $answer == 0 ]]; then
  ask $work "create index concurrently if not exists town_name on town (name)"
  ask $work "insert into migration values (1)"
fi
ask lock "select pg_advisory_unlock(4711)"
[[ $work == lock ]] || close work
close lock
