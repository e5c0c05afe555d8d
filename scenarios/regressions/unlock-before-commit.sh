#!/usr/bin/env bash
# Adds a row under the lock in a transaction, and commits too late.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open worker
ask worker "select pg_advisory_lock(4711)"
ask worker "begin"
ask worker "insert into counter select count(*) + 1, 1 from counter"
ask worker "select pg_advisory_unlock(4711)"
ask worker "commit"
close worker
echo "✓ a row is added"
