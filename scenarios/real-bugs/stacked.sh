#!/usr/bin/env bash
# Two tasks of one process share a pool. The pool hands the second the connection on which the first
# holds the lock: the lock is granted again, in the same session, and stacks. It is given back once.
# With "fixed" as often as it was taken.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
fixed=${1:-}

open pool0
ask pool0 "select pg_try_advisory_lock(4711)" # the first task
[[ $answer == t ]] || { echo "Another process is at it"; exit 0; }
ask pool0 "truncate street, town"
ask pool0 "select pg_try_advisory_lock(4711)" # the second: not free, and yet granted
[[ $answer == t ]] || exit 1
ask pool0 "insert into town values (1, 'Ansbach'), (2, 'Bayreuth')"
[[ -z $fixed ]] || ask pool0 "select pg_advisory_unlock(4711)"
ask pool0 "select pg_advisory_unlock(4711)"
# The pool lives on.
ask pool0 "select count(*) from town"
close pool0
