#!/usr/bin/env bash
# Does its work, and goes on after any error as if there had been none. What it does depends on the argument.
set -uo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open job
case $1 in
  serializable)
    ask job "begin isolation level serializable"
    ask job "select value from counter where id = 1"
    ask job "update counter set value = 7 where id = 1"
    ask job "commit"
    ;;
  parent)
    ask job "truncate product, price"
    ask job "insert into product select n, 'product ' || n from generate_series(1, 50) n"
    ask job "insert into price select n, 100 * n from generate_series(1, 50) n"
    ;;
  create)
    ask job "select count(*) from information_schema.tables where table_name = 'boot_lock'"
    [[ $answer == 0 ]] && ask job "create table boot_lock (id int)"
    ask job "begin"
    ask job "lock table boot_lock in exclusive mode"
    ask job "update counter set value = value + 1 where id = 1"
    ask job "commit"
    ;;
  staging)
    ask job "select count(*) from information_schema.tables where table_name = 'staging'"
    [[ $answer == 0 ]] && ask job "create table staging (n int)"
    ask job "update counter set value = 7 where id = 1"
    ask job "drop table if exists staging"
    ;;
esac
close job
echo "✓ done"
