#!/usr/bin/env bash
# Looks three times whether the flag is free, and gives up if it is not. With "repeatable" it looks in
# one transaction at REPEATABLE READ, and so never sees that the flag was given back.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
how=${1:-}

open db
if [[ $how == repeatable ]]; then ask db "begin isolation level repeatable read"; fi
for attempt in 1 2 3; do
  ask db "select locked from job_lock"
  if [[ $answer == f ]]; then break; fi
  sleep 0.2
done
if [[ $answer != f ]]; then echo "the flag was taken three times" >&2; exit 1; fi
if [[ $how == repeatable ]]; then ask db "commit"; fi
ask db "update job_lock set locked = true"
ask db "update price set cents = 300"
ask db "update price set cents = 400"
ask db "update job_lock set locked = false"
close db
