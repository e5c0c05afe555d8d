#!/usr/bin/env bash
# Asks for the lock again and again, a twentieth of a second apart, until it has it; gives up after a minute.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open s
deadline=$((SECONDS + 60))
while true; do
  ask s "select pg_try_advisory_lock(4711)"
  [[ $answer != t ]] || break
  ((SECONDS < deadline)) || { echo "the lock was never free" >&2; exit 1; }
  sleep 0.05
done
ask s "select runs from state where name = 'report'"
ask s "update state set runs = $((answer + 1)) where name = 'report'"
ask s "select pg_advisory_unlock(4711)"
close s
echo "✓ counted"
