#!/usr/bin/env bash
# A migration over a pool of two connections that go round: the lock is taken on the first, the
# unlock lands on the second. With "fixed" one connection is kept for the lock.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
fixed=${1:-}

open pool0
open pool1
next=0
raw() {
  local connection=pool$((next % 2))
  next=$((next + 1))
  ask "$connection" "$1"
}
lock() {
  if [[ -n $fixed ]]; then ask pool0 "$1"; else raw "$1"; fi
}

lock "select pg_try_advisory_lock(4711)"
[[ $answer == t ]] || { echo "Unable to acquire lock. Concurrent migrations are not allowed" >&2; exit 1; }
raw "truncate town cascade"
raw "insert into town values (1, 'Ansbach'), (2, 'Bayreuth')"
lock "select pg_advisory_unlock(4711)"
[[ $answer == t ]] || echo "Migration completed, but unable to release database lock" >&2
ask pool0 "select count(*) from town"
close pool1
close pool0
