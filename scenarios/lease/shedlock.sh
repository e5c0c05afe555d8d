#!/usr/bin/env bash
# Adds to the day's report under a row of ShedLock's table, with ShedLock's own statements (insert … on conflict do
# nothing, else update … where lock_until <= now(); release: lock_until = now()). It leaves if another has the row.
#
#   shedlock.sh [WORD …]     none: as ShedLock does
#     blind      takes the row over whether or not its time has passed
#     anyones    gives back whoever's row it is
#     delete     gives it back by deleting it, whoever's it is
#     same       every copy writes the same owner
#     renews     renews before its work, and does none if it has the lock no longer
#     goes-on    renews, and does not look at the answer
#     anew       renews; if it has the lock no longer it takes it anew
#     in-row     does its work in a transaction that has locked the row
#     at-least   keeps the lock for a minute after it has given it back (lockAtLeastFor)
#     brief      takes it for a tenth of a second
#     unwatch    takes away the trigger that watches the row
#     by-hand    somebody extends it meanwhile, in a session of the server's own
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
words=" $* "
is() { [[ $words == *" $1 "* ]]; }

me=$(hostname)-$$ lease='5 minutes'
if is same; then me=worker; fi
if is brief; then lease='5 milliseconds'; fi
free='lock_until <= now()' mine="and locked_by = '$me'"
if is blind; then free=true; fi
if is anyones || is delete; then mine=; fi

take() {
  ask db "insert into shedlock values ('report', now() + interval '$lease', now(), '$me')
          on conflict (name) do nothing returning name" || exit 1
  [[ $answer ]] && return
  ask db "update shedlock set lock_until = now() + interval '$lease', locked_at = now(), locked_by = '$me'
          where name = 'report' and $free returning name" || exit 1
  [[ $answer ]]
}

renew() {
  ask db "update shedlock set lock_until = now() + interval '$lease'
          where name = 'report' and locked_by = '$me' and lock_until > now() returning name" || exit 1
  [[ $answer ]]
}

give_back() {
  if is delete; then
    ask db "delete from shedlock where name = 'report' $mine" || exit 1
  elif is at-least; then
    ask db "update shedlock set lock_until = greatest(now(), locked_at + interval '1 minute')
            where name = 'report' $mine" || exit 1
  else
    ask db "update shedlock set lock_until = now() where name = 'report' $mine" || exit 1
  fi
}

work() {
  if is in-row; then
    ask db 'begin' || exit 1
    ask db "select name from shedlock where name = 'report' and locked_by = '$me' for update" || exit 1
    if [[ ! $answer ]]; then
      ask db 'rollback' || exit 1
      return
    fi
  fi
  ask db "update report set total = total + 100 where day = '2026-11-30'" || exit 1
  if is in-row; then
    ask db 'commit' || exit 1
  fi
}

by_hand() {
  ask db "select dblink_exec('dbname=' || current_database() || ' port=' || current_setting('port')
          || ' host=127.0.0.1 user=' || current_user || ' password=$PGPASSWORD',
          \$\$update shedlock set lock_until = lock_until + interval '1 hour' where name = 'report'\$\$)" || exit 1
}

open db
if is unwatch; then
  ask db 'drop trigger if exists "~lockproof_lock_row" on shedlock' || exit 1
fi
if ! take; then
  close db
  exit 0
fi
if is renews || is goes-on || is anew; then
  if renew || is goes-on || { is anew && take; }; then
    work
  fi
else
  if is by-hand; then by_hand; fi
  work
fi
give_back
close db
