#!/usr/bin/env bash
# Sells one of what is left in a SERIALIZABLE transaction:
#   stock.sh gives-up      ends with an error when the server asks for the transaction again (40001)
#   stock.sh retry         begins it anew then
#   stock.sh effect        the same, and writes a notice on another connection in each attempt
#   stock.sh within        the same, and writes the notice in the transaction
#   stock.sh tolerates     the same, on another connection so that a second time changes nothing
#   stock.sh read-before   reads what is left before the transaction, at READ COMMITTED, and only writes in it
#   stock.sh read-committed  reads and writes at READ COMMITTED
#   stock.sh by-default    with SERIALIZABLE as the session's default
set -uo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

how=$1 begin="begin isolation level serializable"
case $how in
  by-default) export PGOPTIONS="-c default_transaction_isolation=serializable"; begin=begin ;;
  read-committed) begin=begin ;;
esac
open s
case $how in effect | tolerates) open other ;; esac

sell() {
  local left=''
  if [[ $how == read-before ]]; then
    ask s "select left_over from stock where item = 'tea'" || return
    left=$answer
  fi
  ask s "$begin" || return
  if [[ -z $left ]]; then
    ask s "select left_over from stock where item = 'tea'" || return
    left=$answer
  fi
  case $how in
    effect) ask other "insert into notice (body) values ('one sold')" || return ;;
    within) ask s "insert into notice (body) values ('one sold')" || return ;;
    tolerates) ask other "insert into told values ('tea', 0) on conflict do nothing" || return ;;
  esac
  ask s "update stock set left_over = $((left - 1)) where item = 'tea'" && ask s "commit"
}

for _ in {1..20}; do
  if sell; then
    echo "✓ sold"
    exit 0
  fi
  case "$how $sqlstate" in
    gives-up\ * | *\ 08006) exit 1 ;;
    *\ 40001 | *\ 40P01) ask s "rollback" ;;
    *) exit 1 ;;
  esac
done
exit 1
