#!/usr/bin/env bash
# Small jobs whose rows say whether they were done right:
#   rows.sh count read|atomic|as-pod   adds one to a counter: reads and then writes it; in one statement; and
#                                      another rule for each pod, so that the order of pods matters
#   rows.sh count hidden|hidden-atomic the first two by functions, so that no text tells what is written
#   rows.sh swap                       reads both guests, then gives each the other's seat
#   rows.sh log free|locked            puts a line into a log, if it is not there yet
#   rows.sh bucket                     puts a row under the second in which it runs, in place of all others
#   rows.sh queue right|wrong          takes jobs that nobody else has, and puts out a text for each; `wrong` puts
#                                      it to the first job that has none yet
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"
open s

case "$1 ${2:-}" in
  "count read")
    ask s "select n from counter where name = 'visits'"
    ask s "update counter set n = $((answer + 1)) where name = 'visits'"
    ;;
  "count atomic") ask s "update counter set n = n + 1 where name = 'visits'" ;;
  "count hidden")
    ask s "select n from counter where name = 'visits'"
    ask s "select set_visits($((answer + 1)))"
    ;;
  "count hidden-atomic") ask s "select add_visit()" ;;
  "count as-pod")
    # Alone both make 20 of 10; one after the other it depends on who was first.
    if [[ $LOCKPROOF_POD == a ]]; then rule="n + 10"; else rule="n * 2"; fi
    ask s "begin"
    ask s "select pg_advisory_xact_lock(4711)"
    ask s "update counter set n = $rule where name = 'visits'"
    ask s "commit"
    ;;
  "swap ")
    ask s "select guest from seat where nr = 1"; first=$answer
    ask s "select guest from seat where nr = 2"; second=$answer
    ask s "update seat set guest = case nr when 1 then '$second' else '$first' end"
    ;;
  "log free" | "log locked")
    ask s "begin"
    if [[ $2 == locked ]]; then ask s "select pg_advisory_xact_lock(4711)"; fi
    ask s "select count(*) from log where what = 'today'"
    if [[ $answer == 0 ]]; then ask s "insert into log (what) values ('today')"; fi
    ask s "commit"
    ;;
  "bucket ")
    ask s "begin"
    ask s "select pg_advisory_xact_lock(4711)"
    ask s "truncate bucket"
    ask s "insert into bucket values (date_trunc('second', clock_timestamp()), 7)"
    ask s "commit"
    ;;
  "queue right" | "queue wrong")
    while true; do
      ask s "begin"
      ask s "update job set worker = '$LOCKPROOF_POD' where id = (select id from job where worker is null
        order by id limit 1 for update skip locked) returning id, name"
      if [[ -z $answer ]]; then break; fi
      id=${answer%%|*} name=${answer#*|}
      if [[ $2 == wrong ]]; then
        ask s "select min(id) from job where id not in (select job from output)"
        id=$answer
      fi
      ask s "insert into output (job, text) values ($id, 'done: $name')"
      ask s "commit"
    done
    ask s "commit"
    ;;
  *) echo "rows.sh: no such job: $*" >&2; exit 2 ;;
esac
close s
