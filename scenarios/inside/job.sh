#!/usr/bin/env bash
# Jobs that are one statement each, and can be interrupted in its middle. $1 says which.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
open s
case $1-$LOCKPROOF_POD in
  unless-*) ask s "insert into voucher select 'A' where not exists (select from voucher where code = 'A')" ;;
  unless_alone-*)
    ask s 'select pg_advisory_lock(7)'
    ask s "insert into voucher select 'A' where not exists (select from voucher where code = 'A')"
    ask s 'select pg_advisory_unlock(7)'
    ;;
  function-*) ask s 'select book(10)' ;;
  function_alone-*) ask s 'select book_alone(10)' ;;
  block-*)
    ask s 'do $$ declare had int; begin
      select total into had from ledger where id = 1;
      update ledger set total = had + 1 where id = 1;
    end $$'
    ;;
  block_alone-*)
    ask s 'do $$ declare had int; begin
      select total into had from ledger where id = 1 for update;
      update ledger set total = had + 1 where id = 1;
    end $$'
    ;;
  several-*)
    ask s "insert into voucher select 'A' where not exists (select from voucher)\\; insert into tally select count(*) from voucher"
    ;;
  several_alone-*)
    ask s "select pg_advisory_xact_lock(7)\\; insert into voucher select 'A' where not exists (select from voucher)\\; insert into tally select 1 where not exists (select from tally)"
    ;;
  cascade-a)
    ask s 'with gone as (delete from room where id = 1 returning id)
      insert into tally select count(*) from bed where room in (select id from gone)'
    ;;
  cascade-b) ask s 'update bed set room = 2 where room = 1' ;;
  set_back-* | kept-*)
    # Whoever waited, or was slow, asks again only whether the errand is claimed: at its end it no longer is.
    free='not claimed'
    if [[ $1 == kept ]]; then free='not claimed and not done'; fi
    while true; do
      ask s "update errand set claimed = true where $free and id in
        (select id from errand where not claimed and not done order by id limit 1) returning id"
      if [[ -z $answer ]]; then break; fi
      id=$answer
      ask s "insert into letter values ($id)"
      ask s "update errand set done = true, claimed = false where id = $id"
    done
    ;;
  many-a) ask s 'update seat set taken = taken + 1 where id > 0' ;;
  many-b)
    ask s 'with mine as materialized (select id from seat order by id desc for update)
      update seat set taken = taken + 1 from mine where mine.id = seat.id'
    ;;
esac
close s
