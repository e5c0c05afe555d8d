#!/usr/bin/env bash
# Sets prices under a row that can be there once: where it is there, it asks again, at most eight times, and then
# gives up. With "break" it takes away the row that it finds, whosever it is. Each row says when it was put there.
set -uo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
how=${1:-}

open db
for attempt in 1 2 3 4 5 6 7 8; do
  if ask db "insert into price_lock values (1, '$EPOCHREALTIME')"; then break; fi
  [[ $sqlstate == 23505 ]] || exit 1
  if ((attempt == 8)); then echo "the row was there eight times" >&2; exit 3; fi
  if [[ $how == break ]]; then ask db "delete from price_lock" || exit 1; fi
  sleep 0.15
done
ask db "select cents from price where id = 1" || exit 1
ask db "update price set cents = $((answer + 100)) where id = 1" || exit 1
ask db "delete from price_lock" || exit 1
close db
