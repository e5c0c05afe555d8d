#!/usr/bin/env bash
# Sends a mail for each job that has none, a transaction for each:
#   mail.sh CLAUSE             locks the job's row by this clause, writes the mail, marks the job, commits
#   mail.sh CLAUSE two         locks it on one connection and writes the mail on another, as a pool may do
#   mail.sh CLAUSE early       commits, and then writes the mail
#   mail.sh CLAUSE back        takes the lock in a savepoint, goes back to that, and works on
#   mail.sh CLAUSE released    takes the lock in a savepoint, releases that, and works on
#   mail.sh CLAUSE other       writes the mail for the job after the one that it has locked
#   mail.sh CLAUSE unwatch    takes away what looks at row locks, and does as it should
#   mail.sh CLAUSE outside    writes the mail in a session of the server's own, which nobody sees on the wire
#   mail.sh CLAUSE one-request all of a mail's transaction in one request
# Or sends one mail for all of them:
#   mail.sh flag               in a transaction that sets a flag and takes it back
#   mail.sh under-advisory     under an advisory lock; that one row is locked on the way is not the lock
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
open s

case "$1" in
  flag)
    ask s "begin"
    ask s "update flag set busy = true where name = 'mail' and not busy"
    ask s "select count(*) from mail"
    if [[ $answer == 0 ]]; then ask s "insert into mail (job_id, body) values (1, 'to all')"; fi
    ask s "update flag set busy = false where name = 'mail'"
    ask s "commit"
    close s
    exit
    ;;
  under-advisory)
    ask s "select pg_advisory_lock(4711)"
    ask s "begin"
    ask s "select id from job where id = 1 for update"
    ask s "commit"
    ask s "select count(*) from mail"
    if [[ $answer == 0 ]]; then ask s "insert into mail (job_id, body) values (1, 'to all')"; fi
    ask s "select pg_advisory_unlock(4711)"
    close s
    exit
    ;;
esac

clause=$1 how=${2:-one} work=s
if [[ $how == unwatch ]]; then ask s "do \$\$ begin
  if to_regclass('lockproof.row_locks') is not null then truncate lockproof.row_locks; end if; end \$\$"; fi
if [[ $how == two ]]; then open data; work=data; fi
while true; do
  if [[ $how == one-request ]]; then
    ask s "begin \\; insert into mail (job_id, body) select id, 'to ' || address from job where not sent order by id
      limit 1 $clause \\; update job set sent = true where id = (select max(job_id) from mail) \\; commit"
    ask s "select count(*) from job where not sent"
    if [[ $answer == 0 ]]; then break; else continue; fi
  fi
  ask s "begin"
  if [[ $how == back || $how == released ]]; then ask s "savepoint found"; fi
  ask s "select id from job where not sent order by id limit 1 $clause"
  id=$answer of=$answer
  if [[ -z $id ]]; then break; fi
  case $how in
    back) ask s "rollback to savepoint found" ;;
    released) ask s "release savepoint found" ;;
    other) if [[ $id == 1 ]]; then of=2; else of=1; fi ;;
    early)
      ask s "update job set sent = true where id = $id"
      ask s "commit"
      ask s "begin"
      ;;
  esac
  mail="insert into mail (job_id, body) values ($of, 'to $of')"
  if [[ $how == outside ]]; then
    mail="select dblink_exec('dbname=' || current_database() || ' port=' || current_setting('port')
      || ' host=127.0.0.1 user=' || current_user || ' password=$PGPASSWORD', \$\$$mail\$\$)"
  fi
  ask "$work" "$mail"
  if [[ $how != early ]]; then ask s "update job set sent = true where id = $id"; fi
  ask s "commit"
done
ask s "commit"
close s
if [[ $how == two ]]; then close data; fi
