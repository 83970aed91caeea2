"""Rows of one instant and the publications after it are a fresh read: nothing twice, nothing lost.

The claim of correctness.md, section 1, against concurrent writers; PostgreSQL only, for on SQLite a
row and its publication become visible together.
"""

import asyncio
import json
import random
import threading
import time
from dataclasses import dataclass

import pytest
from django.db import connection, connections

from realtime.engine import history, openings
from realtime.engine.leader import floor
from realtime.engine.leader.floor import Floor
from realtime.engine.leader.retention import Retention
from realtime.protocol.messages import Position
from tests.live import ask, eventually, raw, relaying, write

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
TOPIC = "t:1"


@pytest.fixture(autouse=True)
def _rows(transactional_db, monkeypatch):
    monkeypatch.setattr(Retention, "trim", lambda self: 0)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS checked")
        cursor.execute("CREATE TABLE checked (key text PRIMARY KEY, version int)")
        cursor.execute("INSERT INTO checked SELECT k::text, 0 FROM generate_series(1, 10) k")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE checked")


@dataclass(frozen=True)
class Taken:
    position: Position
    pending: frozenset
    rows: dict


def change(end, seed):
    """Transactions over several rows, some long, some rolled back, some with savepoints."""
    chance, program = random.Random(seed), raw()
    while time.monotonic() < end:
        program.execute("BEGIN")
        for key in sorted(chance.sample(range(1, 11), chance.randint(1, 3))):
            savepoint = chance.random() < 0.2
            if savepoint:
                program.execute("SAVEPOINT s")
            version = program.execute(
                "UPDATE checked SET version = version + 1 WHERE key = %s RETURNING version",
                [str(key)],
            ).fetchone()[0]
            write(program, TOPIC, {"version": version}, key=str(key))
            if savepoint and chance.random() < 0.5:
                program.execute("ROLLBACK TO SAVEPOINT s")
        time.sleep(chance.random() * (0.03 if chance.random() < 0.1 else 0.002))
        program.execute("ROLLBACK" if chance.random() < 0.1 else "COMMIT")


def take(end, taken):
    try:
        while time.monotonic() < end:
            with openings.one_instant(connections["default"]):
                page = history.since(TOPIC, Position("", 0), 0)
                rows = table()
                pending = frozenset(row[0] for row in history.query("pending", topic=TOPIC))
            taken.append(Taken(page.position, pending, rows))
            time.sleep(0.002)
    finally:
        connections.close_all()


def table():
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, version FROM checked")
        return dict(cursor.fetchall())


async def run(threads, seconds=2.0):
    end = time.monotonic() + seconds
    running = [threading.Thread(target=work, args=(end, *args)) for work, *args in threads]
    for thread in running:
        thread.start()
    for thread in running:
        await asyncio.to_thread(thread.join)


def is_empty():
    return not ask("SELECT 1 FROM tocsin_entry LIMIT 1")


async def test_a_snapshot_and_what_follows_it_are_a_fresh_read():
    taken = []
    async with relaying(MOVE_LIMIT=3):
        await run([*((change, seed) for seed in range(6)), (take, taken), (take, taken)])
        await eventually(is_empty)
    page = await history.asince(TOPIC, Position("", 0), 1_000_000)
    final = dict(ask("SELECT key, version FROM checked"))
    assert len(taken) > 50
    assert any(one.pending for one in taken)
    unfiltered = 0
    for one in taken:
        state = dict(one.rows)
        for publication in page.publications[one.position.offset :]:
            version = json.loads(publication.data)["body"]["version"]
            if publication.entry in one.pending:
                unfiltered += 1
                assert version <= one.rows[publication.key]
                continue
            # the next version exactly: none is repeated, none is missing
            assert version == state[publication.key] + 1
            state[publication.key] = version
        assert state == final
    assert unfiltered


async def test_the_floor_waits_for_the_newest_transaction_though_none_has_ended_since(monkeypatch):
    """Its xid is above all that a snapshot knows of: the highest that has ended, and one."""
    monkeypatch.setattr(floor, "EVERY_S", 0.0)
    looks = []
    monkeypatch.setattr(Floor, "found_nothing", seen(Floor.found_nothing, looks))
    async with relaying():
        await eventually(lambda: looks)
        late = raw()
        late.execute("BEGIN")
        late.execute("UPDATE checked SET version = 1 WHERE key = '1'")
        write(late, TOPIC, {"version": 1})
        before = len(looks)
        await eventually(lambda: len(looks) > before + 20)
        late.execute("COMMIT")
        await eventually(is_empty)
    assert [row[0] for row in ask("SELECT key FROM tocsin_log")] == ["1"]


def seen(function, calls):
    def call(self):
        calls.append(self.value)
        function(self)

    return call


async def test_a_floor_under_the_outbox_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr(floor, "EVERY_S", 0.0)
    promotions = []
    found_nothing = Floor.found_nothing

    def counted(self):
        before = self.value
        found_nothing(self)
        if self.value > before:
            promotions.append(self.value)

    monkeypatch.setattr(Floor, "found_nothing", counted)
    reader = raw()
    reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    reader.execute("SELECT count(*) FROM tocsin_entry")
    async with relaying(MOVE_LIMIT=50):
        await run([(change, seed) for seed in range(3)])
        await eventually(is_empty)
        await eventually(lambda: promotions)
    assert len(set(promotions)) > 1
    reader.execute("ROLLBACK")
