#!/usr/bin/env bash
# Moves the jobs of a queue that nobody else has, one at a time: the first in one statement, others in transactions
# that delete the job before they do it.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

next="(select id from job order by id limit 1 for update skip locked)"
open worker
ask worker "with mine as (delete from job where id in $next returning *) insert into done select * from mine"
while true; do
  ask worker "begin"
  ask worker "delete from job where id in $next returning id"
  [[ -n $answer ]] || break
  ask worker "insert into done values ($answer)"
  ask worker "commit"
done
ask worker "rollback"
close worker
echo "✓ moved"
