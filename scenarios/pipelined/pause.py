"""Reads in a pipeline (psycopg: Flush, and no Sync yet), thinks for a while, and fills the table if it was empty."""
import os
import time

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
    with conn.pipeline():
        fees = conn.execute("select count(*) from fee").fetchone()[0]
        time.sleep(0.2)
        if fees == 0:
            conn.execute("insert into fee select id, 100 from town")
