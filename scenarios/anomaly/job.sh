#!/usr/bin/env bash
# Jobs with no lock, each of which goes wrong in a way that has a name. $1 says which.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
open s
case $1-$LOCKPROOF_POD in
  increment-*)
    ask s 'select n from counter where id = 1'
    ask s "update counter set n = $((answer + 1)) where id = 1"
    ;;
  leave-a | leave-b)
    ask s 'select sum(on_call::int) from duty'
    id=1
    [[ $LOCKPROOF_POD == b ]] && id=2
    [[ $answer -lt 2 ]] || ask s "update duty set on_call = false where id = $id"
    ;;
  pay-*)
    ask s 'select count(*) from payment where account = 1'
    [[ $answer -gt 0 ]] || ask s 'insert into payment (account) values (1)'
    ;;
  twice-a)
    ask s 'select n from dial where id = 1'
    first=$answer
    ask s 'select n from dial where id = 1'
    ask s "insert into audit values ($first, $answer)"
    ;;
  twice-b) ask s 'update dial set n = n + 1 where id = 1' ;;
  half-a)
    ask s 'update dial set n = 5 where id = 1'
    ask s 'update dial set n = 10 where id = 1'
    ;;
  half-b)
    ask s 'select n from dial where id = 1'
    ask s "insert into audit values ($answer, $answer)"
    ;;
  grow-*)
    ask s 'update counter set n = n * 2'
    ask s 'update counter set n = n + 1'
    ;;
  refill-*)
    ask s 'truncate parent, child'
    ask s 'insert into parent (id) values (1)'
    ask s 'insert into child (parent) values (1)'
    ;;
esac
close s
