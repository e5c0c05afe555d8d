#!/usr/bin/env bash
# A reset that tries the lock and takes the text of the answer for its truth: "f" is not empty. With
# "fixed" it compares.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
fixed=${1:-}

acquired() {
  if [[ -n $fixed ]]; then [[ $answer == t ]]; else [[ -n $answer ]]; fi
}

open db
ask db "select pg_try_advisory_lock(4711)"
acquired || { echo "Another run is at it"; exit 0; }
ask db "truncate street, town"
ask db "insert into town values (1, 'Ansbach'), (2, 'Bayreuth')"
ask db "insert into street values (1, 'Bahnhofstr.'), (2, 'Ring')"
ask db "select pg_advisory_unlock(4711)"
close db
