"""Reads by a prepared statement (psycopg: Parse and Sync, then Bind, Execute and Sync) and adds a column that may be there
already. With the argument `locked`, under a lock."""
import os
import sys

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
    if "locked" in sys.argv:
        conn.execute("select pg_advisory_lock(4711)")
    towns = conn.execute("select * from town", prepare=True).fetchall()
    conn.execute("alter table town add column if not exists fee int not null default 0")
    conn.execute("update town set fee = %s", (len(towns),))
    if "locked" in sys.argv:
        conn.execute("select pg_advisory_unlock(4711)")
