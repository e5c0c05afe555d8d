#!/usr/bin/env bash
# A job under a lock on a file, which is this scenario's own ($1). "waits" waits for it, "child" lets a
# child do that and reads from it, "asks" asks six times and gives up.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open db
exec 9<"$1"
case $2 in
  waits) flock 9 ;;
  child) read -r _ < <(flock 9; echo go) ;;
  asks)
    for attempt in 1 2 3 4 5 6; do
      if flock --nonblock 9; then break; fi
      if [[ $attempt == 6 ]]; then echo "the file was locked six times" >&2; exit 1; fi
      sleep 0.3
    done
    ;;
esac
ask db "truncate price"
ask db "insert into price values (1, 300)"
ask db "insert into price values (2, 400)"
close db
