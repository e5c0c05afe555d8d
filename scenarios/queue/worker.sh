#!/usr/bin/env bash
# Sends a mail for each job that is new, one after the other, and claims the job by its status:
#
#   worker.sh look-first       looks for a new job in one statement, and claims it in the next
#   worker.sh skip-locked      finds and claims it in one statement, SKIP LOCKED; a claim never ends
#   worker.sh reclaim          takes over what has been claimed for five minutes, too
#   worker.sh heartbeat        and renews its claim in the transaction of its work: if it is another's by then, it leaves it
#   worker.sh beat-before      renews its claim, and does its work in a transaction after that
#   worker.sh same-owner       as heartbeat, and every worker writes the same owner
#   worker.sh deletes          as heartbeat, and deletes the job that is done
#   worker.sh late-deletes     as reclaim, and deletes the job that is done
#   worker.sh one-transaction  claim, work and end are one transaction
#   worker.sh unwatch          as heartbeat, and takes away the trigger that watches the queue
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
how=$1 me=$(hostname)
case $how in same-owner) me=worker ;; esac
new="state = 'new'" limit="order by id limit 1"
stale="(state = 'new' or state = 'running' and locked_at < now() - interval '5 minutes')"
open db

claim() {
  case $how in
    look-first)
      ask db "select id from job where $new $limit"
      id=$answer
      if [[ $id ]]; then ask db "update job set state = 'running' where id = $id"; fi
      return
      ;;
    skip-locked | one-transaction)
      ask db "update job set state = 'running' where id = (select id from job where $new $limit for update skip locked)
        returning id"
      ;;
    *)
      ask db "update job set state = 'running', locked_by = '$me', locked_at = now()
        where id = (select id from job where $stale $limit for update skip locked) returning id"
      ;;
  esac
  id=$answer
}

work() { ask db "insert into mail (job_id, body) values ($id, 'to $id')"; }

ends() {
  case $how in
    deletes | late-deletes) ask db "delete from job where id = $id" ;;
    *) ask db "update job set state = 'done' where id = $id" ;;
  esac
}

beat() {
  ask db "update job set locked_at = now() where id = $id and state = 'running' and locked_by = '$me' returning id"
}

if [[ $how == unwatch ]]; then ask db 'drop trigger if exists "~lockproof_lock_row" on job'; fi
while true; do
  if [[ $how == one-transaction ]]; then ask db "begin"; fi
  claim
  if [[ -z $id ]]; then break; fi
  case $how in
    heartbeat | same-owner | deletes | unwatch)
      ask db "begin"
      beat
      if [[ $answer ]]; then
        work
        ends
      fi
      ask db "commit"
      ;;
    beat-before)
      beat
      if [[ $answer ]]; then
        ask db "begin"
        work
        ends
        ask db "commit"
      fi
      ;;
    *)
      work
      ends
      if [[ $how == one-transaction ]]; then ask db "commit"; fi
      ;;
  esac
done
if [[ $how == one-transaction ]]; then ask db "commit"; fi
close db
