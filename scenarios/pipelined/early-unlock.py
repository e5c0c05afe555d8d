"""Writes in a pipeline that one Sync commits (psycopg's pipeline mode). With the argument `inside` the unlock is part of the
pipeline: then the lock is free before what was written under it is committed."""
import os
import sys

import psycopg

inside = "inside" in sys.argv
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
    conn.execute("select pg_advisory_lock(4711)")
    with conn.pipeline():
        conn.execute("delete from fee")
        conn.execute("insert into fee select id, 100 * id from town")
        if inside:
            conn.execute("select pg_advisory_unlock(4711)")
    if not inside:
        conn.execute("select pg_advisory_unlock(4711)")
