#!/usr/bin/env bash
# Adds to the day's report under a lock row with a fencing token; its times are milliseconds since 1970.
#
#   lease.sh fenced     the work compares its token with the row's, and locks the row while it does
#   lease.sh unfenced   the token is there, and nobody looks at it
#   lease.sh stale      takes over without a new token
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
me=$(hostname)-$$ now="(extract(epoch from clock_timestamp()) * 1000)::bigint" next=1
if [[ $1 == stale ]]; then next=0; fi

open db
ask db "update lease set locked_by = '$me', lock_until = $now + 300000, generation = generation + $next
        where name = 'report' and (locked_by is null or lock_until <= $now) returning generation" || exit 1
token=$answer
if [[ ! $token ]]; then
  close db
  exit 0
fi
if [[ $1 == fenced ]]; then
  ask db "with mine as (select name from lease where name = 'report' and generation = $token for share)
          update report set total = total + 100 from mine where day = '2026-11-30'" || exit 1
else
  ask db "update report set total = total + 100 where day = '2026-11-30'" || exit 1
fi
ask db "update lease set locked_by = null where name = 'report' and locked_by = '$me'" || exit 1
close db
