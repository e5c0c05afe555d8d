#!/usr/bin/env bash
# Adds a row or two under a lock that is never given back by an unlock: it goes with its session. The argument
# says when:
#   exit    with the process, when all is done
#   early   before the second row is added
#   report  when the work is done, but the pod goes on and looks at the rows
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open lock
open work
ask lock "select pg_advisory_lock(4711)"
ask work "insert into counter select count(*) + 1, 1 from counter"
case $1 in
  early)
    close lock
    ask work "insert into counter select count(*) + 1, 1 from counter"
    ;;
  report)
    close lock
    ask work "select count(*) from counter"
    ;;
esac
echo "✓ a row is added"
