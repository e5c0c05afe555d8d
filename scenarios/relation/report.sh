#!/usr/bin/env bash
# Writes the day's report, if it is not there, in one transaction that locks the table by name:
#   report.sh MODE         locks it in this mode, then looks
#   report.sh MODE late    looks, then locks it
#   report.sh MODE part    locks it only around the second half of what it writes
set -euo pipefail
lock="lock table report in $1 mode;"
first=$lock late='' half=''
case ${2:-} in
  late) first='' late=$lock ;;
  part) first='' half="commit; begin; $lock" ;;
esac
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 <<SQL
begin;
$first
select count(*) = 0 as missing from report where day = '2026-11-01' \gset
$late
\if :missing
insert into report values ('2026-11-01', 1, 300), ('2026-11-01', 2, 450);
$half
insert into report values ('2026-11-01', 3, 120);
\endif
commit;
SQL
