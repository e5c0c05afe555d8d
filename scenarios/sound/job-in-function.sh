#!/usr/bin/env bash
# Refills the price list by one function, which takes the lock, too.
set -euo pipefail
exec psql --no-psqlrc --quiet --output /dev/null --set ON_ERROR_STOP=1 --command 'select refill()'
