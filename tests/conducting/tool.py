"""Small subjects for tests/conducting.rs: python3 tool.py NAME."""
import os
import subprocess
import sys
import threading
import time

import psycopg

URL = os.environ["DATABASE_URL"]
POD = os.environ["LOCKPROOF_POD"]


def connect(**options):
    return psycopg.connect(URL, autocommit=True, **options)


def say(*words):
    print(*words, flush=True)


def pipe():
    """COPY out of one connection feeds COPY into another."""
    with connect() as source, connect() as target:
        out = "copy (select g, repeat('x', 100) from generate_series(1, 150000) g) to stdout"
        with source.cursor().copy(out) as rows, target.cursor().copy("copy t from stdin") as into:
            for piece in rows:
                into.write(piece)


def feed():
    """COPY into one connection that stops in the middle for another one to answer."""
    with connect() as target, connect() as other:
        with target.cursor().copy("copy t (id, x) from stdin") as into:
            for row in range(20_000):
                into.write_row((row, "x" * 100))
            other.execute("insert into u (x) values ('in the middle')")
            into.write_row((20_000, "last"))


def copy_or_lock():
    """Pod a holds the table, then works elsewhere; any other copies into it."""
    with connect() as conn:
        if POD == "a":
            conn.execute("begin")
            conn.execute("truncate t")
            conn.execute("commit")
            for _ in range(5):
                conn.execute("insert into u (x) values ('a')")
            return
        with conn.cursor().copy("copy t (id, x) from stdin") as into:
            for row in range(20_000):
                into.write_row((row, "x" * 100))


def poll():
    """A try-lock in a loop."""
    with connect() as conn:
        tries = 0
        while not conn.execute("select pg_try_advisory_lock(7)").fetchone()[0]:
            tries += 1
            time.sleep(0.01)
        conn.execute("insert into t (x) values (%s)", (POD,))
        conn.execute("select pg_advisory_unlock(7)")
        say("done")


def transaction():
    """Says what an error does to its open transaction."""
    with connect() as conn:
        conn.execute("begin")
        conn.execute("insert into t (id, x) values (1, 'first')")
        try:
            conn.execute("insert into t (id, x) values (2, 'second')")
        except psycopg.Error as error:
            say("error", error.sqlstate, conn.info.transaction_status.name)
            try:
                conn.execute("insert into t (id, x) values (3, 'third')")
            except psycopg.Error as after:
                say("then", after.sqlstate)
            conn.execute("rollback")
            say("rolled back", conn.info.transaction_status.name)
            return
        conn.execute("rollback")


def writer():
    """Three writes, each in a transaction of its own; says which of them it knows to be done."""
    conn = connect()
    for number in (1, 2, 3):
        try:
            conn.execute("insert into t (x) values (%s)", (f"{POD}{number}",))
        except psycopg.Error as error:
            say("lost", number, conn.closed)
            sys.exit(1)
        say("wrote", number)
    conn.close()


def piped():
    """Has more in its pipeline than the step it is at: whole, or without the Sync behind it."""
    with connect() as conn, connect() as other:
        with conn.pipeline() as pipeline:
            conn.execute("insert into t (x) values ('first')")
            pipeline.sync()
            conn.execute("insert into t (x) values ('second')")
            if "whole" in sys.argv:
                pipeline.sync()
            other.execute("insert into t (x) values ('other')")


def parallel():
    """Opens connections from several threads at once."""
    ready = threading.Barrier(6)

    def one():
        ready.wait()
        with connect() as conn:
            conn.execute("insert into t (x) values ('one')")
            conn.execute("insert into t (x) values ('two')")

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def orphan():
    """Leaves a child in a session of its own behind, which works on when the parent is gone."""
    if len(sys.argv) > 2:
        sys.stdin.read()  # the parent's end of the pipe closes with the parent
        with connect() as conn:
            conn.execute("insert into t (x) values ('orphan')")
            conn.execute("insert into t (x) values ('still there')")
        return
    with connect() as conn:
        conn.execute("insert into t (x) values ('parent')")
    again = [sys.executable, __file__, "orphan", "child"]
    child = subprocess.Popen(again, stdin=subprocess.PIPE, start_new_session=True)
    os._exit(0 if child.pid else 1)


def sleepy():
    """Ends, unless another pod holds the lock."""
    with connect() as conn:
        if not conn.execute("select pg_try_advisory_lock(1)").fetchone()[0]:
            time.sleep(60)
        conn.execute("insert into t (x) values (%s)", (POD,))


def stubborn():
    """Hears SIGTERM, tidies up and exits; or does not care."""
    import signal

    def tidy(*_):
        # On a connection of its own: the other one may be in the middle of a statement.
        with connect() as last:
            last.execute("insert into t (x) values ('tidied')")
        say("tidied")
        os._exit(0)

    conn = connect()
    if "ignore" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, tidy)
    for _ in range(3):
        conn.execute("insert into t (x) values ('work')")


globals()[sys.argv[1]]()
