"""SQLite on a disk that is full, or that nobody may write to: said, survived, delivered."""

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from realtime.engine import pool, state
from realtime.engine.leader import sqlite
from tests.faults import site as sites
from tests.faults.battery import DEADLINE_S, Battery, make_clients, world
from tests.faults.clients import listening
from tests.faults.test_chaos import TABLE, converged, ended, judged
from tests.live import close_programs, eventually, raw
from tests.realtime import in_database

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]
MIB, CLIENTS = 1 << 20, 6
SAY = "UPDATE notifications_announcement SET body = ? WHERE id = ?"


class Disk:
    """A file system of its own, in memory, on which the test's database lies."""

    def __init__(self, folder):
        self.folder, self._ballast = folder, folder / "ballast"

    def fill(self):
        """To the last byte, and what is freed meanwhile as well."""
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(MIB // 256)):
                pass

    def free(self):
        self._ballast.unlink()

    def mount(self):
        words = ("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", self.folder)
        return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(_log, tmp_path):
    found = Disk(tmp_path / "disk")
    found.folder.mkdir()
    if not found.mount():
        pytest.skip("mounting a disk needs rights that this user has not")
    names, there = connection.settings_dict, found.folder / "tocsin.sqlite3"
    before = names["NAME"]
    with (
        contextlib.closing(sqlite3.connect(before)) as one,
        contextlib.closing(sqlite3.connect(there)) as other,
    ):
        one.backup(other)
    pool.close()
    connection.close()
    names["NAME"] = str(there)
    yield found
    close_programs()
    pool.close()
    connection.close()
    names["NAME"] = before
    subprocess.run(["umount", "--lazy", found.folder], check=True)


@pytest.mark.skipif(not TABLE, reason="`make faults` asks for it")
async def test_a_whole_site_on_a_full_disk_says_so_lives_on_and_delivers(disk, tmp_path):
    signed_in, probe_id = await in_database(world)
    async with sites.running(tmp_path, relays=1) as site:
        clients = make_clients(site.ports, signed_in, random.Random(3), number=CLIENTS)
        battery = Battery(site, clients, [user.pk for user, _ in signed_in], probe_id)
        async with listening(clients), contextlib.AsyncExitStack() as stack:
            writer = battery.start_writer("orm", 1)
            stack.callback(writer.close)
            await battery.heard_by_all("nothing")
            await battery.goes_on(100)
            disk.fill()
            with pytest.raises(sqlite3.OperationalError, match="full"):
                raw().execute(SAY, ["x" * 8 * MIB, probe_id])
            disk.fill()
            await site.unready()
            sites.kill(site.leader.process.pid)
            relay = site.start_relay()
            await eventually(lambda: relay.said, DEADLINE_S)
            await site.unready()
            assert relay.process.poll() is None
            disk.free()
            await battery.heard_by_all("disk full, and freed")
            await battery.goes_on(100)
            did, failed = await ended([writer])
            for client in clients:
                client.restless = False
            await converged(battery)
        sys.stdout.write(f"wrote {did}\nfailed {failed}\n{battery.report()}\n")
        await judged(clients)


def test_on_a_full_disk_a_relay_leads_and_ends_without_a_word_in_its_file(monkeypatch):
    monkeypatch.setattr(sqlite, "lock_path", lambda: Path("/dev/full"))
    leader = sqlite.SqliteLeader()
    assert leader.lead()
    leader.close()


@pytest.fixture
def led(monkeypatch):
    """As if a relay led and Redis answered."""
    leader = state.Process("here", 1, None)
    monkeypatch.setattr(state, "relay", lambda: state.Relay(leader, None, 0, 0.0, ""))


def readiness():
    answer = Client().get("/readyz")
    return answer.status_code, answer.json()["database"]


def test_readiness_says_that_the_disk_is_full(led, monkeypatch):
    assert readiness() == (200, "ok")
    monkeypatch.setattr(state, "LEAST_BYTES", 2**70)
    assert readiness() == (503, "down")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to whatever is read-only")
def test_readiness_says_that_the_database_is_read_only(led):
    file = Path(connection.settings_dict["NAME"])
    file.chmod(0o444)
    try:
        assert readiness() == (503, "down")
    finally:
        file.chmod(0o644)
    assert readiness() == (200, "ok")
