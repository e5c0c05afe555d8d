#!/usr/bin/env bash
# A migration in a transaction, under a session lock taken inside it. Fails a statement, then the
# unlock is refused, too (25P02), and ROLLBACK does not give a session lock back; the connection
# returns to a pool that lives on. With "fixed" the lock is the transaction's.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
fixed=${1:-}

lock() { ask db "select pg_advisory_${fixed:+xact_}lock(4711)"; }
unlock() { [[ -n $fixed ]] || ask db "select pg_advisory_unlock(4711)"; }
migrate() {
  ask db "truncate street, town" &&
    ask db "insert into town values (1, 'Ansbach'), (2, 'Bayreuth')" &&
    ask db "insert into street values (1, 'Bahnhofstr.'), (2, 'Ring')"
}

open db
ask db "begin"
lock
failed=
if migrate; then
  unlock
  ask db "commit"
else
  failed=yes
  unlock || true
  ask db "rollback"
fi
# What the pool uses the connection for next.
ask db "select count(*) from town"
close db
[[ -z $failed ]]
