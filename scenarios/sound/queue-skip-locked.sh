#!/usr/bin/env bash
# A queue worker: takes a job that nobody else has (FOR UPDATE SKIP LOCKED), does it, and commits;
# until there is none left. No advisory lock. What others have in hand it waits for at the end, for
# a worker that dies gives its job back.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open worker

# take CLAUSE: begins a transaction and takes a job with this clause; $answer is empty if it got none
take() {
  ask worker "begin"
  ask worker "select id from job where not done order by id limit 1 for update $1"
}

work() {
  ask worker "insert into result select id, id * id from job where id = $1"
  ask worker "update job set done = true where id = $1"
  ask worker "commit"
}

while true; do
  take "skip locked"
  if [[ -z $answer ]]; then
    ask worker "rollback"
    ask worker "select count(*) from job where not done"
    [[ $answer != 0 ]] || break
    take ""
  fi
  if [[ -n $answer ]]; then
    work "$answer"
  else
    ask worker "rollback"
  fi
done
close worker
echo "✓ the queue is empty"
