"""Relay processes killed, frozen and cut off: the other leads, nothing is lost, nothing twice."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection

from realtime.engine import history
from realtime.engine.leader.retention import Retention
from realtime.protocol.messages import Position
from tests.live import eventually, raw, relaying, write

pytestmark = pytest.mark.django_db(transaction=True)
BASE = Path(__file__).resolve().parents[2]
START = Position("", 0)

DIES_BEFORE_PUBLISHING = """
import os, signal
from realtime.engine.broker import Broker
async def publish(self, topic, epoch, publications):
    os.kill(os.getpid(), signal.SIGKILL)
Broker.publish = publish
"""


class Process:
    """`manage.py relay` on the test's database, its log in a file."""

    def __init__(self, folder, name, before=""):
        self.log = folder / name
        url = os.environ["DATABASE_URL"]
        database = connection.settings_dict["NAME"]
        if connection.vendor == "postgresql":
            url = re.sub(r"/[^/?]*\?", f"/{database}?", url, count=1)
        else:
            url = f"sqlite:///{database}"
        script = (
            "import sys; from django.core.management import execute_from_command_line as run\n"
            "import django; django.setup()\n"
            f"{before}\nrun(['manage.py', 'relay'])"
        )
        log = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=BASE,
            env={
                **os.environ,
                "DATABASE_URL": url,
                "DJANGO_SETTINGS_MODULE": "project.settings",
                "TOCSIN_RELAY_STANDBY_S": "0.1",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()

    def said(self, line):
        return line in self.log.read_text(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@pytest.fixture
def start(tmp_path):
    processes = []

    def start(name, before=""):
        processes.append(Process(tmp_path, name, before))
        return processes[-1]

    yield start
    for process in processes:
        process.end()


async def pair(start):
    """A leader and a standby."""
    first = start("first")
    await eventually(lambda: first.said("relay.leading"), 30)
    second = start("second")
    await eventually(lambda: second.said("relay.standby"), 30)
    return first, second


async def offsets():
    page = await history.asince("t:1", START, 10_000)
    return [p.offset for p in page.publications]


async def arrives(count, deadline_s):
    end = time.monotonic() + deadline_s
    while await offsets() != list(range(1, count + 1)):
        assert time.monotonic() < end, f"the log has {await offsets()}"
        await asyncio.sleep(0.02)


async def test_a_killed_leader_is_followed_at_once(start):
    first, second = await pair(start)
    write(raw(), "t:1", {"n": 1})
    await arrives(1, 5)
    first.signal(signal.SIGKILL)
    write(raw(), "t:1", {"n": 2})
    await arrives(2, 5)
    await eventually(lambda: second.said("relay.leading"), 5)


@pytest.mark.postgresql
async def test_a_frozen_leader_is_followed_and_commits_nothing_when_it_wakes(start):
    first, second = await pair(start)
    write(raw(), "t:1", {"n": 1})
    await arrives(1, 5)
    first.signal(signal.SIGSTOP)
    write(raw(), "t:1", {"n": 2})
    await eventually(lambda: second.said("relay.leading"), 10)
    await arrives(2, 5)
    first.signal(signal.SIGCONT)
    await eventually(lambda: first.said("relay.standby"), 10)
    write(raw(), "t:1", {"n": 3})
    await arrives(3, 5)
    assert first.process.poll() is None


@pytest.mark.postgresql
async def test_relays_live_through_the_loss_of_every_connection(start):
    first, second = await pair(start)
    for n in range(1, 4):
        write(raw(), "t:1", {"n": n})
        raw().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'tocsin relay%'"
        )
    write(raw(), "t:1", {"n": 4})
    await arrives(4, 10)
    assert first.process.poll() is None
    assert second.process.poll() is None


async def test_what_a_leader_committed_and_never_published_is_published_by_the_next(start):
    dying = start("dying", DIES_BEFORE_PUBLISHING)
    await eventually(lambda: dying.said("relay.leading"), 30)
    write(raw(), "t:1", {"n": 1})
    await eventually(lambda: dying.process.poll() is not None, 10)
    assert dying.process.returncode == -signal.SIGKILL
    assert await offsets() == [1]
    async with relaying() as broker:
        await eventually(lambda: broker.offsets("t:1") == [1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_relay_that_is_told_to_stop_stops_at_once(start, number):
    relay = start("relay")
    await eventually(lambda: relay.said("relay.leading"), 30)
    relay.signal(number)
    # a statement may take 60 s: for that it does not wait
    await eventually(lambda: relay.process.poll() is not None, 20)
    assert relay.process.returncode == 0
    assert relay.said("relay.stopped")


@pytest.mark.postgresql
async def test_a_backlog_is_moved_fast_and_in_order(monkeypatch):
    monkeypatch.setattr(Retention, "trim", lambda self: 0)
    raw().execute(
        "INSERT INTO tocsin_entry (topics, op, key, body) SELECT ARRAY['t:' || mod(n, 50)],"
        " 'u', n::text, json_build_object('n', n) FROM generate_series(1, 20000) n"
    )
    async with relaying() as broker:
        await eventually(lambda: len(broker.published) == 20_000, 10)
    assert broker.offsets("t:7") == list(range(1, 401))
