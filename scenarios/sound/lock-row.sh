#!/usr/bin/env bash
# Refills the price list under a row that can be there once, and leaves with success when it is there.
# With the argument "on" it goes on all the same.
set -uo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open job
if ! ask job "insert into job_lock values ('refill')" && [[ ${1:-} != on ]]; then
  [[ $sqlstate == 23505 ]] || exit 1
  close job
  echo "another run is at it"
  exit 0
fi
for statement in "truncate product, price" \
  "insert into product select n, 'product ' || n from generate_series(1, 50) n" \
  "insert into price select n, 100 * n from generate_series(1, 50) n" \
  "delete from job_lock where name = 'refill'"; do
  ask job "$statement" || exit 1
done
close job
echo "✓ Refilled the price list"
