#!/usr/bin/env bash
# Counts up each row under a lock of its own.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open worker
for row in 1 2; do
  ask worker "select pg_advisory_lock($row)"
  ask worker "insert into counter values ($row, 1) on conflict (id) do update set value = counter.value + 1"
  ask worker "select pg_advisory_unlock($row)"
done
close worker
echo "✓ both rows are counted up"
