"""Writers, a broker that only remembers, and a relay in the test's own loop."""

import asyncio
import contextlib
import json
import sqlite3
import time

from django.db import connection, connections

from realtime.engine.conf import settings
from realtime.engine.relay import Relay, leader_for_database

DEADLINE_S = 15.0
WAKE_LOCK = 7_067_101


async def eventually(fact, deadline_s=DEADLINE_S):
    """Wait until `fact()` is true, and give what it gave."""
    end = time.monotonic() + deadline_s
    while not (found := fact()):
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)
    return found


def empty():
    """Nothing in the outbox, the log and the heads."""
    with connection.cursor() as cursor:
        for table in ("tocsin_entry", "tocsin_log", "tocsin_head"):
            cursor.execute(f"DELETE FROM {table}")


_programs = []


def close_programs():
    while _programs:
        _programs.pop().close()


def raw():
    """A connection of a foreign program to the test's database, in autocommit."""
    _programs.append(_raw())
    return _programs[-1]


def ask(text, values=()):
    """What a program hears that comes, asks and goes: a fact may be polled without end."""
    with contextlib.closing(_raw()) as program:
        return program.execute(text, values).fetchall()


def _raw():
    if connection.vendor == "sqlite":
        return sqlite3.connect(
            connection.settings_dict["NAME"],
            timeout=20,
            isolation_level=None,
            check_same_thread=False,
        )
    import psycopg  # noqa: PLC0415  (not needed on SQLite)

    params = connections["default"].get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold"):
        params.pop(name, None)
    return psycopg.connect(**params, autocommit=True)


def write(program, topics, body, *, op="u", key="1", control=False):
    """One change of a row, as the triggers write it; within the program's transaction, if any."""
    topics = [topics] if isinstance(topics, str) else topics
    text = None if body is None else json.dumps(body)
    if connection.vendor == "postgresql":
        free = program.execute(
            "SELECT pg_try_advisory_xact_lock_shared(%s)", [WAKE_LOCK]
        ).fetchone()[0]
        if not free:
            program.execute("SELECT pg_notify('tocsin', '')")
        return program.execute(
            "INSERT INTO tocsin_entry (topics, op, key, body, control)"
            " VALUES (%s, %s, %s, %s, %s) RETURNING id",
            [topics, op, key, text, control],
        ).fetchone()[0]
    own = not program.in_transaction
    if own:
        program.execute("BEGIN IMMEDIATE")
    for topic in topics:
        program.execute(
            'INSERT INTO tocsin_head (topic, epoch, "offset") VALUES (?, coalesce((SELECT epoch'
            " FROM tocsin_namespace WHERE name = ?), 'abcdefgh'), 1)"
            ' ON CONFLICT (topic) DO UPDATE SET "offset" = "offset" + 1',
            [topic, topic if topic == "!control" else topic.partition(":")[0]],
        )
        program.execute(
            'INSERT INTO tocsin_log (topic, "offset", op, key, body, mark, written_at)'
            ' SELECT topic, "offset", ?, ?, ?,'
            " coalesce((SELECT \"offset\" FROM tocsin_head WHERE topic = '!control'), 0), 0"
            " FROM tocsin_head WHERE topic = ?",
            [op, key, text, topic],
        )
    if own:
        program.execute("COMMIT")
    return None


class RememberingBroker:
    """Keeps what was handed to it, in order."""

    def __init__(self):
        self.published = []
        self.resets = []

    async def publish(self, topic, epoch, publications):
        self.published += [(topic, epoch, publication) for publication in publications]
        return True

    async def reset(self, topic, epoch):
        self.resets.append((topic, epoch))
        return True

    async def stop(self):
        pass

    def offsets(self, topic):
        return [p.offset for name, _, p in self.published if name == topic]


class ForgetfulWitness:
    """Knows nothing unless told in the test."""

    def __init__(self, known=0):
        self.known = known
        self.told = []

    async def highest(self, life):
        return self.known

    async def testify(self, life, highest):
        self.told.append((life, highest))
        return True

    async def close(self):
        pass


@contextlib.asynccontextmanager
async def relaying(broker=None, witness=None, *, new_epoch=False, **values):
    """A relay at work; gives its broker."""
    broker = broker or RememberingBroker()
    relay = Relay(leader_for_database(), broker, witness or ForgetfulWitness(), new_epoch=new_epoch)
    with settings.override(**values):
        task = asyncio.create_task(relay.run())
        try:
            yield broker
        finally:
            relay.stop()
            await asyncio.wait_for(task, DEADLINE_S)
