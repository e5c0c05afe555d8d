#!/usr/bin/env bash
# Adds one to a counter at SERIALIZABLE, and begins anew when the server asks for that.
set -uo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

add() {
  ask worker "begin isolation level serializable" &&
    ask worker "select value from counter where id = 1" &&
    ask worker "update counter set value = $((answer + 1)) where id = 1" &&
    ask worker "commit"
}

open worker
for attempt in {1..20}; do
  if add; then
    close worker
    echo "✓ counted"
    exit 0
  fi
  case $sqlstate in 40001 | 40P01) ask worker "rollback" ;; *) exit 1 ;; esac
done
exit 1
