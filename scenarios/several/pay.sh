#!/usr/bin/env bash
# Makes the payout, if it has not been made, in a transaction that has locked the account's row; then adds to the
# report under advisory lock 7.
#
#   pay.sh [WORD …]
#     no-row     does not lock the account's row
#     no-key     does not take the advisory lock
#     both       has the advisory lock for the payout, too
#     table      locks the report's table as well as it takes the advisory lock
#     no-table   the same, in a mode that guards nothing
#     apart      has the advisory lock on a connection of its own
#     goes-on    waits for the advisory lock for two seconds, and goes on without it
#     leases     has a lease for the payout and one for the report in the place of both
#     in-row     the same, with each part in a transaction that has locked its lease's row
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
words=" $* "
is() { [[ $words == *" $1 "* ]]; }
me=$(hostname)-$$

take() {
  ask s "update lease set locked_by = '$me', lock_until = now() + interval '5 minutes'
         where name = '$1' and lock_until < now() returning name" || exit 1
  if [[ ! $answer ]]; then close s; exit 0; fi
}

still_mine() {
  if ! is in-row; then return; fi
  ask s "select name from lease where name = '$1' and locked_by = '$me' for update" || exit 1
  if [[ ! $answer ]]; then ask s "rollback" || exit 1; close s; exit 0; fi
}

give_back() {
  ask s "update lease set locked_by = null, lock_until = '-infinity' where name = '$1' and locked_by = '$me'" || exit 1
}

pay() {
  ask s "select count(*) from payout" || exit 1
  if [[ $answer == 0 ]]; then ask s "insert into payout (account_id, amount) values (1, 100)" || exit 1; fi
}

add() {
  ask s "select total from report where day = '2026-11-30'" || exit 1
  ask s "update report set total = $((answer + 100)) where day = '2026-11-30'" || exit 1
}

open s
if is leases || is in-row; then
  take payout
  ask s "begin" || exit 1
  still_mine payout
  pay
  ask s "commit" || exit 1
  give_back payout
  take report
  ask s "begin" || exit 1
  still_mine report
  add
  ask s "commit" || exit 1
  give_back report
  close s
  exit
fi

if is both; then ask s "select pg_advisory_lock(7)" || exit 1; fi
ask s "begin" || exit 1
if ! is no-row; then ask s "select id from account where id = 1 for no key update" || exit 1; fi
pay
ask s "commit" || exit 1
locker=s
if is apart; then locker=l; open l; fi
if is goes-on; then ask s "set lock_timeout = '2s'" || exit 1; fi
if ! is both && ! is no-key; then ask "$locker" "select pg_advisory_lock(7)" || is goes-on || exit 1; fi
ask s "begin" || exit 1
if is table; then ask s "lock table report in exclusive mode" || exit 1; fi
if is no-table; then ask s "lock table report in access share mode" || exit 1; fi
add
ask s "commit" || exit 1
if ! is no-key; then ask "$locker" "select pg_advisory_unlock(7)" || is apart || exit 1; fi
close s
