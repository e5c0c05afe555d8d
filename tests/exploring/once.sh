#!/bin/sh
# Pays once: a payment is made only where there is none. Planted bug: asking and paying are two
# statements of two sessions, with nothing around them.
set -eu
run() { psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"; }
if [ "$(run "select count(*) from payment where account = 1")" = 0 ]; then
  run "insert into payment (account, amount) values (1, 10)"
  run "update account set balance = balance - 10 where id = 1"
fi
echo "✓ Paid"
