#!/usr/bin/env bash
# Tries four times to get the lock, and then does its work without it.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open db
for attempt in 1 2 3 4; do
  ask db "select pg_try_advisory_lock(4711)"
  got=$answer
  if [[ $got == t ]]; then break; fi
  sleep 0.1
done
ask db "update price set cents = 300"
ask db "update price set cents = 400"
if [[ $got == t ]]; then ask db "select pg_advisory_unlock(4711)"; fi
close db
