#!/usr/bin/env bash
# Runs each argument as a request of its own, all on one session; stops at the first error.
set -euo pipefail
requests=()
for sql in "$@"; do requests+=(--command "$sql"); done
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 "${requests[@]}"
