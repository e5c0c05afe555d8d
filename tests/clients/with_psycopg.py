"""What psycopg 3 can do, printed so that two runs print the same."""
import asyncio
import hashlib
import logging
import os
import threading
import time
from decimal import Decimal

import psycopg
from psycopg.types.json import Json

URL = os.environ["DATABASE_URL"]
# Whether it warns of a pipeline that was aborted depends on which answer it reads first.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)


def say(*words):
    print(*words, flush=True)


def digest(chunks):
    whole = hashlib.sha256()
    size = 0
    for chunk in chunks:
        whole.update(chunk)
        size += len(chunk)
    return size, whole.hexdigest()[:16]


def failing(what):
    try:
        what()
    except psycopg.Error as error:
        say("error", error.sqlstate, str(error).splitlines()[0])


def prepared(conn):
    conn.execute("create table p (id int primary key, x text, b bytea, n numeric, j jsonb)")
    for i in range(12):
        conn.execute(
            "insert into p values (%s, %s, %s, %s, %s)",
            (i, f"x{i}", bytes(range(i)), Decimal(i) / 4, Json({"i": i})),
            prepare=True,
        )
    conn.commit()
    for binary in (False, True):
        cursor = conn.cursor(binary=binary)
        for i in range(8):
            row = cursor.execute("select * from p where id = %s", (i,), prepare=True).fetchone()
        say("prepared", binary, row)
    say("names", conn.execute("select count(*) from pg_prepared_statements").fetchone())
    conn.rollback()


def transactions(conn):
    with conn.transaction():
        conn.execute("insert into p (id) values (100)")
        try:
            with conn.transaction():
                conn.execute("insert into p (id) values (100)")
        except psycopg.errors.UniqueViolation as error:
            say("savepoint", error.sqlstate, error.diag.constraint_name)
    say("rows", conn.execute("select count(*) from p").fetchone())
    conn.rollback()
    failing(lambda: conn.execute("select * from nowhere"))
    failing(lambda: conn.execute("select 1"))
    conn.rollback()


def many(conn):
    cursor = conn.cursor()
    cursor.executemany(
        "insert into p (id, x) values (%s, %s)", [(i, f"m{i}") for i in range(200, 900)]
    )
    say("executemany", cursor.rowcount)
    cursor.executemany(
        "update p set x = x || '!' where id = %s returning x", [(200,), (201,)], returning=True
    )
    say("returning", cursor.fetchone(), cursor.nextset(), cursor.fetchone())
    conn.commit()
    # More than any buffer on the way, in one burst without a Sync in between.
    cursor.executemany(
        "update p set b = %s where id = %s", [(b"z" * 200_000, i) for i in range(200, 240)]
    )
    say("a long burst", cursor.rowcount)
    conn.commit()
    cursor.execute("select sum(length(b)) from p where id >= 200")
    say(cursor.fetchone())
    conn.execute("insert into p (id, b) values (5000, %b)", (os.urandom(1) * 9_000_000,))
    cursor = conn.cursor(binary=True)
    say("a long value", len(cursor.execute("select b from p where id = 5000").fetchone()[0]))
    conn.rollback()


def pipelines(conn):
    with conn.pipeline() as pipeline:
        first = conn.execute("select %s::int", (1,))
        second = conn.execute("select generate_series(1, 3)")
        say("flushed", first.fetchone())
        conn.execute("insert into p (id) values (7000)")
        pipeline.sync()
        third = conn.execute("select count(*) from p where id = 7000")
        say("pipeline", second.fetchall(), third.fetchone())
    conn.rollback()

    def aborted():
        with conn.pipeline():
            conn.execute("select 1")
            conn.execute("select 1/0")
            conn.execute("insert into p (id) values (7001)")

    failing(aborted)
    conn.rollback()
    say("aborted", conn.execute("select count(*) from p where id = 7001").fetchone())
    conn.rollback()


def copies(conn):
    conn.execute("create table c (id int, x text, b bytea)")
    with conn.cursor().copy("copy c from stdin") as copy:
        for i in range(3000):
            copy.write_row((i, f"tab\tand\nline {i}", b"\x00\xff" * (i % 20)))
    with conn.cursor().copy("copy c from stdin (format binary)") as copy:
        copy.set_types(["int4", "text", "bytea"])
        for i in range(1000):
            copy.write_row((i, f"b{i}", bytes(200)))
    say("copied", conn.execute("select count(*), sum(length(b)) from c").fetchone())
    for form in ("text", "csv", "binary"):
        sql = f"copy (select * from c order by id, x) to stdout (format {form})"
        with conn.cursor().copy(sql) as copy:
            say("copy out", form, *digest(copy))
    with conn.cursor().copy("copy (select id, x from c order by id, x limit 2) to stdout") as copy:
        say("rows", list(copy.rows()))
    conn.commit()

    def bad():
        with conn.cursor().copy("copy c from stdin") as copy:
            copy.write(b"not a number\tx\t\n" * 10)

    failing(bad)
    conn.rollback()

    def given_up():
        with conn.cursor().copy("copy c from stdin") as copy:
            copy.write(b"1\tx\t\\\\x00\n")
            raise KeyError("on purpose")

    try:
        given_up()
    except psycopg.errors.QueryCanceled as error:
        say("given up", error.sqlstate, conn.info.transaction_status.name)
    conn.rollback()
    say("still", conn.execute("select count(*) from c").fetchone())
    conn.rollback()


def cursors(conn):
    with conn.cursor(name="far") as cursor:
        cursor.itersize = 7
        cursor.execute("select g from generate_series(1, 40) g")
        say("server cursor", sum(row[0] for row in cursor))
    conn.rollback()
    cursor = conn.cursor()
    say("stream", sum(row[0] for row in cursor.stream("select generate_series(1, 50)")))
    conn.rollback()


def cancelled(_):
    # On a connection of its own: a server signals a cancel twice, and the second signal may come
    # so late that it hits the next statement.
    conn = psycopg.connect(URL)
    done = threading.Event()

    def cancel():
        # A cancel that comes before the statement does nothing.
        while not done.wait(0.2):
            conn.cancel()

    timer = threading.Thread(target=cancel)
    timer.start()
    begun = time.monotonic()
    failing(lambda: conn.execute("select pg_sleep(20)"))
    say("in time", time.monotonic() - begun < 10)
    done.set()
    timer.join()
    conn.close()


def notified(conn):
    conn.autocommit = True
    conn.add_notice_handler(lambda notice: say("notice", notice.severity, notice.message_primary))
    conn.execute("do $$ begin raise notice 'seen'; end $$")
    conn.execute("listen news")
    with psycopg.connect(URL, autocommit=True) as other:
        other.execute("select pg_notify('news', 'from the other one')")
    for note in conn.notifies():
        say("notified", note.channel, note.payload)
        break


async def asynchronous():
    async def one(number):
        async with await psycopg.AsyncConnection.connect(URL) as conn:
            cursor = await conn.execute("select %s::int * 2", (number,))
            return (await cursor.fetchone())[0]

    say("async", await asyncio.gather(*(one(number) for number in range(4))))


with psycopg.connect(URL) as conn:
    say(conn.info.server_version > 0, conn.info.encoding)
    for part in (prepared, transactions, many, pipelines, copies, cursors, cancelled, notified):
        part(conn)
asyncio.run(asynchronous())
say("end")
