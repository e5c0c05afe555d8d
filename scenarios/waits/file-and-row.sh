#!/usr/bin/env bash
# Two locks, one on a file ($1) and one on a row: a takes the file's first, b the row's. Both have committed
# something before.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open db
exec 9<"$1"
ask db "update price set cents = cents + 1 where id = 2"
ask db "begin"
if [[ $LOCKPROOF_POD == a ]]; then flock 9; fi
ask db "update price set cents = cents + 1 where id = 1"
flock 9
ask db "commit"
close db
