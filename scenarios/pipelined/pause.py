"""Reads in a pipeline (psycopg: Flush, and no Sync yet), thinks for a while, and writes what follows from it."""
import os
import time

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
    with conn.pipeline():
        fees = conn.execute("select count(*) from fee").fetchone()[0]
        time.sleep(0.2)
        conn.execute("insert into fee select id, %s from town", (100 * (fees + 1),))
