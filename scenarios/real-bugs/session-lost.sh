#!/usr/bin/env bash
# A reset of the towns under an advisory lock, on a connection that reconnects by itself: what was
# sent into a lost session is sent again in a new one, which holds no lock. With "fixed" a lost
# session is an error.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
fixed=${1:-}

query() {
  ask db "$1" && return
  [[ $sqlstate == 08006 && -z $fixed ]] || return
  close db
  open db
  ask db "$1"
}

open db
query "select pg_advisory_lock(4711)"
query "truncate street, town"
query "insert into town values (1, 'Ansbach'), (2, 'Bayreuth')"
query "insert into street values (1, 'Bahnhofstr.'), (2, 'Ring')"
query "select pg_advisory_unlock(4711)"
[[ $answer == t ]] || { echo "Failed to release advisory lock" >&2; exit 1; }
close db
