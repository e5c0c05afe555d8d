"""What asyncpg can do, printed so that two runs print the same."""
import asyncio
import os

import asyncpg

URL = os.environ["DATABASE_URL"]


def say(*words):
    print(*words, flush=True)


async def failing(what):
    try:
        await what
    except asyncpg.PostgresError as error:
        say("error", error.sqlstate, str(error).splitlines()[0])


async def statements(conn):
    await conn.execute("create type mood as enum ('sad', 'ok')")
    await conn.execute("create table p (id int primary key, x text, b bytea, m mood, n numeric[])")
    say(await conn.execute("insert into p (id, x) values ($1, $2)", 1, "one"))
    say(await conn.fetch("select id, x from p where id = $1", 1))
    say(await conn.fetchval("select $1::mood", "ok"), await conn.fetchval("select array[1.5, 2]::numeric[]"))
    put = await conn.prepare("insert into p (id, x, b) values ($1, $2, $3) returning x")
    for number in range(2, 5):
        say(await put.fetchval(number, f"x{number}", bytes(number)))
    # Statements beyond the cache are closed on the way.
    for number in range(120):
        await conn.fetchval(f"select {number}")
    say("cached", await conn.fetchval("select count(*) < 120 from pg_prepared_statements"))


async def many(conn):
    rows = [(number, f"m{number}") for number in range(100, 160)]
    await conn.executemany("insert into p (id, x) values ($1, $2)", rows)
    say("executemany", await conn.fetchval("select count(*) from p where id >= 100"))
    await failing(conn.executemany("insert into p (id, x) values ($1, $2)", [(500, "a"), (501, "b"), (500, "c"), (502, "d")]))
    say("none of them", await conn.fetchval("select count(*) from p where id >= 500"))
    # More than any buffer on the way.
    await conn.executemany("update p set b = $1 where id = $2", [(b"z" * 200_000, number) for number in range(100, 140)])
    say("long", await conn.fetchval("select sum(length(b)) from p where id >= 100"))


async def copies(conn):
    say(await conn.copy_records_to_table("p", records=[(n, f"c{n}") for n in range(1000, 1500)], columns=["id", "x"]))
    await failing(conn.copy_records_to_table("p", records=[(1000, "again")], columns=["id", "x"]))
    chunks = []

    async def keep(chunk):
        chunks.append(chunk)

    say(await conn.copy_from_query("select id, x from p where id >= $1 order by id", 1400, output=keep, format="csv"))
    say("copied", sum(len(chunk) for chunk in chunks))


async def cursors(conn):
    async with conn.transaction():
        total = 0
        async for row in conn.cursor("select id from p where id >= $1 order by id", 1000, prefetch=64):
            total += row["id"]
        cursor = await conn.cursor("select id from p order by id")
        say("cursor", total, await cursor.fetch(2), await cursor.forward(3), await cursor.fetchrow())


async def transactions(conn):
    await failing(conn.fetch("select * from nowhere"))
    await failing(conn.fetch("select 1/0"))
    try:
        async with conn.transaction():
            await conn.execute("insert into p (id) values (2000)")
            async with conn.transaction():
                await conn.execute("insert into p (id) values (2000)")
    except asyncpg.UniqueViolationError as error:
        say("unique", error.constraint_name)
    async with conn.transaction(isolation="serializable"):
        await conn.execute("insert into p (id) values (2001)")
    say("rows", await conn.fetchval("select count(*) from p where id >= 2000"))


async def pool():
    async with asyncpg.create_pool(URL, min_size=2, max_size=3) as pool:
        async def one(number):
            async with pool.acquire() as conn:
                return await conn.fetchval("select $1::int * 2", number)

        say("pool", await asyncio.gather(*(one(number) for number in range(8))))


async def main():
    conn = await asyncpg.connect(URL)
    for part in (statements, many, copies, cursors, transactions):
        await part(conn)
    await conn.close()
    await pool()
    say("end")


asyncio.run(main())
