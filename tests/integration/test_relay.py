"""Outbox to log to broker: consecutive, in commit order, woken at once, by one leader."""

import asyncio
import json
import random
import threading
import time

import pytest
from django.db import connection

from realtime.engine import history, outbox
from realtime.engine import relay as relay_module
from realtime.engine.leader import retention
from realtime.engine.leader.retention import Retention
from realtime.protocol.messages import Position
from tests.live import (
    WAKE_LOCK,
    ForgetfulWitness,
    RememberingBroker,
    ask,
    eventually,
    raw,
    relaying,
    write,
)

pytestmark = pytest.mark.django_db(transaction=True)
START = Position("", 0)


async def log(topic):
    return await history.asince(topic, START, 100_000)


async def test_a_change_is_numbered_and_published():
    async with relaying() as broker:
        write(raw(), "t:1", {"n": 1})
        write(raw(), ["t:1", "t:all"], {"n": 2})
        await eventually(lambda: len(broker.published) == 3)
    assert broker.offsets("t:1") == [1, 2]
    assert broker.offsets("t:all") == [1]
    page = await history.asince("t:1", START, 10)
    assert [p.offset for p in page.publications] == [1, 2]
    assert page.whole
    assert page.complete
    published = [p for topic, _, p in broker.published if topic == "t:1"]
    assert published == list(page.publications)


async def test_what_is_published_is_what_is_read_byte_for_byte():
    async with relaying() as broker:
        write(raw(), "t:1", {"text": "a\n\u00e9 \u2028", "f": 0.1}, op="i", key="7")
        write(raw(), "t:1", None, op="d", key="7")
        await eventually(lambda: len(broker.published) == 2)
    for _ in range(2):
        page = await history.asince("t:1", START, 10)
        assert list(page.publications) == [p for _, _, p in broker.published]


def test_page_and_limit():
    program = raw()
    for n in range(1, 6):
        write(program, "t:1", {"n": n})
    if connection.vendor == "postgresql":
        outbox.move(program, 0, 100)
    page = history.since("t:1", Position("", 2), 2)
    assert [p.offset for p in page.publications] == [3, 4]
    assert page.whole
    assert not page.complete
    assert page.position.offset == 5
    assert not history.since("t:1", Position("", 6), 2).whole
    assert not history.since("t:1", Position("OLDEPOCH", 2), 2).whole
    assert history.since("t:1", Position(page.position.epoch, 5), 2).complete
    assert history.heads(["t:1", "t:none", "!control"])["t:1"] == page.position


def asleep(program):
    """The relay holds the lock that tells writers to wake it; SQLite's looks all the time."""
    if connection.vendor == "sqlite":
        return True
    held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
    return bool(program.execute(held, (WAKE_LOCK,)).fetchone())


async def test_a_waking_does_not_wait_for_the_poll():
    async with relaying(RELAY_POLL_S=3600.0) as broker:
        program = raw()
        write(program, "t:1", {"n": 0})
        await eventually(lambda: broker.published)
        for n in range(1, 6):
            await eventually(lambda: asleep(program))
            write(program, "t:1", {"n": n})
            await eventually(lambda n=n: len(broker.published) == n + 1)


@pytest.mark.postgresql
async def test_revocations_come_before_data_and_every_publication_is_marked():
    program = raw()
    for n in range(5):
        write(program, "t:1", {"n": n})
    write(program, "!control", {"kind": "everybody"}, op="c", control=True)
    async with relaying(MOVE_LIMIT=2) as broker:
        await eventually(lambda: len(broker.published) == 6)
    assert {p.mark for topic, _, p in broker.published if topic == "t:1"} == {1}
    first = [topic for topic, _, _ in broker.published[:3]]
    assert first == ["!control", "t:1", "t:1"]
    control = await history.acontrol_since(0)
    assert control.publications[0].op == "c"


@pytest.mark.postgresql
async def test_a_namespace_that_nobody_declared_stops_nobody():
    async with relaying() as broker:
        write(raw(), "nobody-declared-this:1", {"n": 1})
        write(raw(), "t:1", {"n": 1})
        await eventually(lambda: len(broker.published) == 2)
    assert all(len(epoch) == 8 for _, epoch, _ in broker.published)


@pytest.mark.postgresql
async def test_a_truncate_begins_the_namespace_anew_and_only_it():
    program = raw()
    write(program, ["t:1", "tX:1"], {"n": 1})
    program.execute("INSERT INTO tocsin_entry (op, key) VALUES ('T', 't')")
    write(program, "t:1", {"n": 2})
    async with relaying() as broker:
        await eventually(lambda: len(broker.published) == 3)
    [(topic, epoch)] = broker.resets
    assert topic == "t:1"
    page = await log("t:1")
    assert page.position == Position(epoch, 1)
    assert '"n": 2' in page.publications[0].data
    assert (await log("tX:1")).position.offset == 1
    assert (await log("tX:1")).position.epoch != epoch


class Writers:
    """Programs that write rows in transactions, some of which roll back, with raw connections."""

    def __init__(self, count, seconds):
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self.committed = []
        self.errors = []
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]

    def _run(self, n):
        try:
            self._write(n)
        except Exception as error:  # noqa: BLE001  (the test's own thread will tell)
            self.errors.append(error)

    def _write(self, n):
        chance = random.Random(n)
        program, count = raw(), 0
        while time.monotonic() < self._end:
            wrote = []
            program.execute("BEGIN IMMEDIATE" if connection.vendor == "sqlite" else "BEGIN")
            for _ in range(chance.randint(1, 3)):
                savepoint = chance.random() < 0.2
                count += 1
                if savepoint:
                    program.execute("SAVEPOINT s")
                write(program, [f"t:{chance.randint(1, 3)}", "t:all"], {"w": n, "c": count})
                if savepoint and chance.random() < 0.5:
                    program.execute("ROLLBACK TO SAVEPOINT s")
                else:
                    wrote.append((n, count))
            time.sleep(chance.random() * 0.003)
            if chance.random() < 0.15:
                program.execute("ROLLBACK")
            else:
                program.execute("COMMIT")
                with self._lock:
                    self.committed += wrote
            time.sleep(chance.random() * 0.002)

    async def finish(self):
        for thread in self.threads:
            await asyncio.to_thread(thread.join)
        assert self.errors == []


@pytest.fixture
def nothing_trimmed(monkeypatch):
    monkeypatch.setattr(Retention, "trim", lambda self: 0)


async def test_offsets_are_consecutive_and_in_the_order_of_each_writer(nothing_trimmed):
    writers = Writers(6 if connection.vendor == "postgresql" else 3, 2.0)
    async with relaying(MOVE_LIMIT=7) as broker:
        for thread in writers.threads:
            thread.start()
        await writers.finish()
        wanted = len(writers.committed)
        await eventually(lambda: len(broker.offsets("t:all")) >= wanted)
    page = await log("t:all")
    assert [p.offset for p in page.publications] == list(range(1, wanted + 1))
    assert broker.offsets("t:all") == list(range(1, wanted + 1))
    seen = [(b["w"], b["c"]) for b in (json.loads(p.data)["body"] for p in page.publications)]
    assert sorted(seen) == sorted(writers.committed)
    for n in {w for w, _ in seen}:
        own = [c for w, c in seen if w == n]
        assert own == sorted(own)
    assert ask("SELECT count(*) FROM tocsin_entry") == [(0,)]


async def test_writers_and_a_relay_that_trims_do_not_get_in_each_others_way(monkeypatch):
    monkeypatch.setattr(relay_module, "TRIM_S", 0.0)
    monkeypatch.setattr(
        retention, "policy", lambda topic: {"topic": topic, "size": 20, "age_s": 3600.0}
    )
    writers = Writers(4, 2.0)
    async with relaying() as broker:
        for thread in writers.threads:
            thread.start()
        await writers.finish()
        wanted = len(writers.committed)
        await eventually(lambda: len(broker.offsets("t:all")) >= wanted)
        count = "SELECT count(*) FROM tocsin_log WHERE topic = 't:all'"
        program = raw()
        await eventually(lambda: program.execute(count).fetchone()[0] == 20)
    assert broker.offsets("t:all") == list(range(1, wanted + 1))
    page = await history.asince("t:all", Position("", wanted - 20), 100)
    assert page.whole
    assert len(page.publications) == 20


async def test_only_one_leads_and_the_other_takes_over():
    broker = RememberingBroker()
    async with relaying(broker):
        write(raw(), "t:1", {"n": 1})
        await eventually(lambda: broker.offsets("t:1") == [1])
        async with relaying(RELAY_RESEND_S=0.0) as second:
            write(raw(), "t:1", {"n": 2})
            await eventually(lambda: broker.offsets("t:1") == [1, 2])
            assert second.published == []
    async with relaying(second):
        write(raw(), "t:1", {"n": 3})
        await eventually(lambda: 3 in second.offsets("t:1"))


@pytest.mark.postgresql
async def test_a_leader_whose_session_is_ended_leads_again_without_a_gap():
    async with relaying() as broker:
        program = raw()
        for n in range(1, 30):
            write(program, "t:1", {"n": n})
            if n % 7 == 0:
                program.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name LIKE 'tocsin relay%'"
                )
        await eventually(lambda: 29 in broker.offsets("t:1"))
    assert [p.offset for p in (await log("t:1")).publications] == list(range(1, 30))


async def test_a_new_leader_repeats_what_was_published_last():
    async with relaying() as broker:
        write(raw(), "t:1", {"n": 1})
        await eventually(lambda: broker.published)
    async with relaying() as second:
        await eventually(lambda: second.published)
    assert second.published == broker.published


async def test_another_life_of_the_database_begins_new_epochs():
    async with relaying() as broker:
        write(raw(), "t:1", {"n": 1})
        await eventually(lambda: broker.published)
    before = (await log("t:1")).position
    raw().execute("UPDATE tocsin_life SET system_identifier = 'another', timeline = '7'")
    if connection.vendor == "postgresql":
        async with relaying() as second:
            await eventually(lambda: second.published)
        after = (await log("t:1")).position
        assert (after.offset, after.epoch != before.epoch) == (1, True)
    async with relaying(new_epoch=True) as third:
        await eventually(lambda: third.published)
    assert (await log("t:1")).position.epoch != before.epoch
    assert not (await history.asince("t:1", before, 10)).whole


async def test_a_database_behind_its_witness_begins_new_epochs():
    async with relaying() as broker:
        write(raw(), "t:1", {"n": 1})
        await eventually(lambda: broker.published)
    before = (await log("t:1")).position
    witness = ForgetfulWitness(known=10**9)
    async with relaying(witness=witness) as second:
        await eventually(lambda: second.published)
    assert (await log("t:1")).position.epoch != before.epoch
    assert witness.told[0][1] < 10**9


async def test_a_hub_that_distrusts_the_log_gets_new_epochs_once(monkeypatch):
    monkeypatch.setattr(relay_module, "RENEW_S", 0.0)
    async with relaying() as broker:
        write(raw(), ["t:1", "t:2"], {"n": 1})
        await eventually(lambda: len(broker.published) == 2)
        before = (await log("t:1")).position
        await outbox.aask_renewal("t:1", before.epoch)
        await eventually(lambda: ask("SELECT count(*) FROM tocsin_entry") == [(0,)])
        after = (await log("t:1")).position
        assert (after.offset, after.epoch != before.epoch) == (1, True)
        assert (await log("t:2")).position.epoch == after.epoch
        assert not (await history.asince("t:1", before, 10)).whole
        # another hub saw the same
        await outbox.aask_renewal("t:2", before.epoch)
        await eventually(lambda: ask("SELECT count(*) FROM tocsin_entry") == [(0,)])
        write(raw(), "t:1", {"n": 2})
        await eventually(lambda: broker.offsets("t:1")[-1] == 2)
    assert (await log("t:1")).position == Position(after.epoch, 2)


@pytest.mark.sqlite
async def test_a_file_copied_back_under_a_relay_that_leads_is_read_from_its_end(monkeypatch):
    monkeypatch.setattr(relay_module, "RENEW_S", 0.0)
    async with relaying() as broker:
        for n in range(5):
            write(raw(), "t:1", {"n": n})
        await eventually(lambda: len(broker.published) == 5)
        before = (await log("t:1")).position
        raw().executescript(
            'DELETE FROM tocsin_log WHERE "offset" > 2; UPDATE tocsin_head SET "offset" = 2;'
            "UPDATE sqlite_sequence SET seq = seq - 3 WHERE name = 'tocsin_log'"
        )
        await outbox.aask_renewal("t:1", before.epoch)
        await eventually(lambda: ask("SELECT count(*) FROM tocsin_entry") == [(0,)])
        write(raw(), "t:1", {"n": "after"})
        await eventually(lambda: '"after"' in broker.published[-1][2].data)


@pytest.mark.postgresql
def test_what_a_hub_asks_is_no_publication():
    outbox.ask_renewal("t:1", "abcdefgh")
    assert outbox.move(raw(), 0, 100) == []
    assert ask("SELECT op::text, key FROM tocsin_entry") == [("E", "t:1")]


@pytest.mark.postgresql
async def test_a_relay_that_waits_for_the_database_still_stops_at_once():
    blocker = raw()
    blocker.execute("BEGIN")
    blocker.execute("LOCK TABLE tocsin_entry IN ACCESS EXCLUSIVE MODE")
    began = time.monotonic()
    async with relaying():
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
        program = raw()
        await eventually(lambda: program.execute(waits).fetchone())
    assert time.monotonic() - began < 15.0
    blocker.execute("ROLLBACK")


@pytest.mark.postgresql
async def test_a_transaction_open_for_long_holds_nobody_up():
    slow = raw()
    slow.execute("BEGIN")
    write(slow, "t:1", {"n": "slow"})
    async with relaying() as broker:
        write(raw(), "t:1", {"n": "fast"})
        await eventually(lambda: broker.offsets("t:1") == [1])
        slow.execute("COMMIT")
        await eventually(lambda: broker.offsets("t:1") == [1, 2])
    assert '"slow"' in broker.published[-1][2].data
