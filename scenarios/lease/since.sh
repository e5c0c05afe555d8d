#!/usr/bin/env bash
# Adds to the day's report under a lock row that says only since when it is had, without a time zone: whoever
# finds it older than five minutes takes it over.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
me=$(hostname)-$$
open db
ask db "update task_lock set owner = '$me', taken_at = localtimestamp
        where id = 1 and (owner is null or taken_at < localtimestamp - interval '5 minutes') returning id" || exit 1
if [[ ! $answer ]]; then
  close db
  exit 0
fi
ask db "update report set total = total + 100 where day = '2026-11-30'" || exit 1
ask db "update task_lock set owner = null where id = 1 and owner = '$me'" || exit 1
close db
