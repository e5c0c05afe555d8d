"""Asks on several connections which backend serves them, and prints it under a mark of its own.

Arguments: how each connection calls itself, one after the other: "plain", "long", "own:NAME" (set by
SET), "bare:NAME" (the very statement that PgBouncer uses). With the environment variable THREADS all
of them ask at the same time.
"""

import os
import sys
import threading

import psycopg

POD = os.environ["LOCKPROOF_POD"]


def connect(kind):
    names = {"long": {"application_name": "x" * 80}}
    connection = psycopg.connect("", autocommit=True, prepare_threshold=None, **names.get(kind, {}))
    how, _, name = kind.partition(":")
    if how == "own":
        connection.execute(f"set application_name to '{name}'")
    if how == "bare":
        psycopg.ClientCursor(connection).execute(f"SET application_name='{name}';")
    return connection


def ask(connection, mark):
    sql = f"select 'mark {mark}', pg_backend_pid(), pg_sleep(0.001)"
    pid = connection.execute(sql).fetchone()[1]
    sys.stdout.write(f"{mark} {pid}\n")
    sys.stdout.flush()


def visit(connection, name, transactions):
    for turn in range(3):
        ask(connection, f"{name}-{turn}")
    if transactions:
        connection.execute("begin")
        ask(connection, f"{name}-in")
        ask(connection, f"{name}-again")
        connection.execute("commit")
    ask(connection, f"{name}-last")


kinds = [kind for kind in sys.argv[1:] if kind != "no-transactions"]
transactions = "no-transactions" not in sys.argv
if POD == "a":
    psycopg.connect("", autocommit=True).execute("insert into visit values (1)")
connections = [connect(kind) for kind in kinds]
visits = [
    threading.Thread(target=visit, args=(connection, f"{POD}{number}", transactions))
    for number, connection in enumerate(connections)
]
for one in visits:
    one.start()
    if not os.environ.get("THREADS"):
        one.join()
for one in visits:
    one.join()
for connection in connections:
    connection.close()
