"""Fills a table by COPY if it is empty (asyncpg: Parse, Describe, Flush of a SELECT, then the COPY), under a lock.
With the argument `late` the lock is given back before the COPY: only the look was under it."""
import asyncio
import os
import sys

import asyncpg


async def main():
    late = "late" in sys.argv
    conn = await asyncpg.connect(os.environ["DATABASE_URL"])
    await conn.execute("select pg_advisory_lock(4711)")
    empty = await conn.fetchval("select count(*) from fee") == 0
    if late:
        await conn.execute("select pg_advisory_unlock(4711)")
    if empty:
        await conn.copy_records_to_table("fee", records=[(n, 100 * n) for n in range(1, 4)])
    if not late:
        await conn.execute("select pg_advisory_unlock(4711)")
    await conn.close()


asyncio.run(main())
