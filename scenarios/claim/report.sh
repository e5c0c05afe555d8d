#!/usr/bin/env bash
# Makes the report of a day, two lines, if nobody has claimed the day:
#
#   report.sh claim-first      commits the claim, and makes the report in a transaction after that
#   report.sh one-transaction  claims in the transaction of the report, ON CONFLICT DO NOTHING
#   report.sh one-statement    claim and report are one statement
#   report.sh waits-for-error  the same with a plain INSERT: a unique violation says that the day is claimed
#   report.sh work-first       makes the report, and claims in its transaction: who cannot claim undoes the report
#   report.sh counts           as one-transaction, and whoever is late counts the tries in the claim
#   report.sh ignores          as claim-first, and does not look at whether it got the claim
#   report.sh two-connections  claims in a transaction on one connection, and makes the report on another
#   report.sh takes-away       as claim-first, and deletes what claim there is of the day before that
#   report.sh nullable         as one-transaction, in a table where the day can be NULL, and is
#   report.sh partial          as one-transaction, in a table of which only finished runs are unique
#   report.sh unwatch          as one-transaction, and takes away the trigger that watches the claims
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
how=$1 table=run_log day="'2026-01-01'"
case $how in
  nullable) table=nullable_log day=null ;;
  partial) table=partial_log ;;
esac
claim="insert into $table (job, day) values ('report', $day)"
case $how in
  waits-for-error | work-first) ;;
  counts) claim+=" on conflict (job, day) do update set tries = run_log.tries + 1 returning tries = 1" ;;
  *) claim+=" on conflict do nothing returning true" ;;
esac

report() {
  ask "$1" "insert into report (day, line) values ('2026-01-01', 1)"
  ask "$1" "insert into report (day, line) values ('2026-01-01', 2)"
}

open db
case $how in
  claim-first | ignores | takes-away)
    if [[ $how == takes-away ]]; then ask db "delete from run_log where job = 'report' and day = $day"; fi
    ask db "$claim"
    if [[ $answer == t || $how == ignores ]]; then
      ask db "begin"
      report db
      ask db "commit"
    fi
    ;;
  two-connections)
    open other
    ask db "begin"
    ask db "$claim"
    if [[ $answer == t ]]; then report other; fi
    ask db "commit"
    close other
    ;;
  one-statement)
    ask db "with claim as ($claim) insert into report (day, line)
      select '2026-01-01', line from claim, generate_series(1, 2) line"
    ;;
  waits-for-error)
    ask db "begin"
    if ask db "$claim"; then
      report db
      ask db "commit"
    else
      [[ $sqlstate == 23505 ]]
      ask db "rollback"
    fi
    ;;
  work-first)
    ask db "begin"
    report db
    if ask db "$claim"; then
      ask db "commit"
    else
      [[ $sqlstate == 23505 ]]
      ask db "rollback"
    fi
    ;;
  *)
    if [[ $how == unwatch ]]; then ask db 'drop trigger if exists "~lockproof_lock_row" on run_log'; fi
    ask db "begin"
    ask db "$claim"
    if [[ $answer == t ]]; then report db; fi
    ask db "commit"
    ;;
esac
close db
