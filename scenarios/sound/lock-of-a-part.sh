#!/usr/bin/env bash
# Makes the partition under a lock, and then puts its row in without one.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open worker
ask worker "begin"
ask worker "select pg_advisory_xact_lock(7)"
ask worker "create table if not exists event_1 partition of event for values from (1) to (2)"
ask worker "commit"
ask worker "insert into event values (1, 'login')"
close worker
echo "✓ logged"
