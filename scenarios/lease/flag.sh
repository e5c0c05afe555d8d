#!/usr/bin/env bash
# Adds to the day's report under a flag, as knex guards its migrations.
#
#   flag.sh          sets the flag, works, and takes it away: three statements
#   flag.sh inside   the same in one transaction
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
inside=${1:-}
open db
if [[ $inside ]]; then
  ask db 'begin' || exit 1
fi
ask db 'update migrations_lock set is_locked = 1 where index = 1 and is_locked = 0 returning index' || exit 1
if [[ ! $answer ]]; then
  echo 'the migration lock is taken' >&2
  exit 1
fi
ask db "update report set total = total + 100 where day = '2026-11-30'" || exit 1
ask db 'update migrations_lock set is_locked = 0 where index = 1' || exit 1
if [[ $inside ]]; then
  ask db 'commit' || exit 1
fi
close db
