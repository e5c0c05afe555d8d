#!/usr/bin/env bash
# Puts a report under the minute in which it runs, in place of the one that is there for that minute, and notes
# when it ran; all under a lock.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open s
ask s "begin"
ask s "select pg_advisory_xact_lock(4711)"
ask s "delete from report where minute = date_trunc('minute', clock_timestamp())"
for name in north south; do
  ask s "insert into report values (date_trunc('minute', clock_timestamp()), '$name', length('$name'))"
done
ask s "update state set runs = runs + 1, last_run = date_trunc('minute', clock_timestamp()) where name = 'report'"
ask s "commit"
close s
echo "✓ reported"
