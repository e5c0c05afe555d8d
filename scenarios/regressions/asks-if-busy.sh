#!/usr/bin/env bash
# Fills the table anew unless somebody else does, and asks for that the other way round.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open job
ask job "select not pg_try_advisory_lock(4711) as busy"
if [[ $answer == t ]]; then
  close job
  echo "somebody else is at it"
  exit 0
fi
ask job "delete from counter"
ask job "insert into counter select n, 1 from generate_series(1, 3) n"
ask job "select pg_advisory_unlock(4711)"
close job
echo "✓ the table is filled"
