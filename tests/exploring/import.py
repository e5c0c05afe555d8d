"""Imports rows in place of those of the last run, with psycopg's pool.

Planted bug: old rows are deleted and new ones inserted with nothing around them, and the parent of
the rows is deleted first; the lock is taken and given back before the work begins.
"""

import os
import sys

from psycopg_pool import ConnectionPool


def main():
    with ConnectionPool(os.environ["DATABASE_URL"], min_size=2, max_size=2,
                        kwargs={"autocommit": True}) as pool:
        with pool.connection() as lock:
            lock.execute("select pg_advisory_lock(815)")
            lock.execute("select pg_advisory_unlock(815)")
        with pool.connection() as work:
            work.execute("delete from import_row")
            work.execute("delete from import_run")
            work.execute("insert into import_run values (1, 'nightly')")
            for value in ("one", "two", "three"):
                work.execute("insert into import_row (run, value) values (1, %s)", (value,))
    print("✓ Imported 3 rows")


try:
    main()
except Exception as error:
    print(error, file=sys.stderr)
    sys.exit(1)
