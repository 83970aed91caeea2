"""The promise, end to end: writers of every kind, clients that come, drop and recover, and faults.

Every client ends with a fresh read, offsets without gap or repeat, nothing rolled back, nothing of
somebody else. The pauses are printed (`pytest -s`, or with a failure), not judged.
"""

import asyncio
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection

from realtime.engine import api, topics
from realtime.markets.models import Ticker
from tests.faults import site as sites
from tests.faults.battery import DEADLINE_S, Battery, make_clients, world
from tests.faults.checker import Truth, judge
from tests.faults.clients import listening
from tests.live import close_programs, eventually, raw
from tests.realtime import in_database
from tests.topics import RULE

pytestmark = pytest.mark.django_db(transaction=True)

SEED = 20_261_124
NEWEST = 200  # trades that a page starts from


# --- Faults -------------------------------------------------------------------------------------


async def kill_leading_relay(battery):
    site = battery.site
    sites.kill(site.leader.process.pid)
    await battery.heard_by_all("leading relay killed")
    site.start_relay()


async def kill_web_process(battery):
    before = battery.site.workers()
    sites.kill(before[0])
    await battery.heard_by_all("web process killed")
    await eventually(lambda: len(set(battery.site.workers()) - set(before)) == 1, DEADLINE_S)


async def restart_redis(battery):
    battery.site.redis.kill()
    await battery.heard_by_all("Redis killed, away")
    await battery.goes_on()
    battery.site.redis.start()
    await battery.heard_by_all("Redis back, empty")


async def flush_redis(battery):
    battery.site.redis.say("FLUSHALL")
    await battery.heard_by_all("FLUSHALL")


async def cut_redis_listeners(battery):
    battery.site.redis.say("CLIENT", "KILL", "TYPE", "pubsub")
    await battery.heard_by_all("CLIENT KILL TYPE pubsub")


async def cut_everybody_from_the_database(battery):
    if connection.vendor == "postgresql":
        raw().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await battery.heard_by_all("every backend terminated")


async def kill_relay_while_redis_is_away(battery):
    battery.site.redis.kill()
    await kill_leading_relay(battery)
    await kill_web_process(battery)
    battery.site.redis.start()
    await battery.heard_by_all("Redis back after both")


FAULTS = [
    kill_leading_relay,
    kill_web_process,
    restart_redis,
    flush_redis,
    cut_redis_listeners,
    cut_everybody_from_the_database,
    kill_relay_while_redis_is_away,
]


# --- The test -----------------------------------------------------------------------------------


@pytest.fixture
def _reconnecting(transactional_db):
    """The connection that pytest empties the tables with is terminated like all others."""
    yield
    connection.close()


def fresh(user, topic):
    """What the tables say now; of `Latest` not what the log says, which clients had."""
    found = api.snapshot(user, topic)
    declaration = topics.match(topic).declaration
    rows = found["rows"]
    if latest := topics.is_latest(declaration):
        rows = topics.rows(declaration, Ticker.objects.all())
    return Truth(
        found["epoch"],
        found["offset"],
        {row["key"]: row["body"] for row in rows},
        found["counts"],
        newest=NEWEST if topic.startswith("trades:") else 0,
        compacted=latest,
    )


async def wrongs(clients):
    """All that is wrong, and the readings that the page's own code should come to as well."""
    wrong, readings, truths = [], [], {}
    for number, client in enumerate(clients):
        for topic in client.topics:
            if topic not in truths:
                truths[topic] = await in_database(fresh, client.user, topic)
        found, mine = judge(client.log, {topic: truths[topic] for topic in client.topics})
        wrong += [f"client {number}: {line}" for line in found]
        readings += mine.values()
    epochs = {topic: set() for topic in truths}
    for reading in readings:
        epochs[reading.topic] |= reading.epochs
    wrong += [f"{topic} changed its epoch: {e}" for topic, e in epochs.items() if len(e) > 1]
    return wrong, readings


def by_the_page(readings):
    """The rows of each reading by the browser's code."""
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    question = json.dumps([{"rows": r.first, "publications": r.applied} for r in readings])
    done = subprocess.run(
        [node, str(RULE.with_name("applied.js"))],
        input=question,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


async def ended(writers):
    """Stop them, and give what they did and what failed."""
    did, failed = {}, {}
    for writer in writers:
        await asyncio.to_thread(writer.end)
        last = json.loads(writer.until('"did"').string)
        for total, part in ((did, last["did"]), (failed, last["failed"])):
            for name, count in part.items():
                total[name] = total.get(name, 0) + count
    return did, failed


@pytest.mark.usefixtures("_reconnecting")
async def test_chaos(tmp_path):
    chance = random.Random(SEED)
    signed_in, probe_id = await in_database(world)
    people = [user.pk for user, _ in signed_in]
    async with sites.running(tmp_path) as site:
        clients = make_clients(site.port, signed_in, chance)
        battery = Battery(site, clients, people, probe_id)
        writers = []
        try:
            async with listening(clients):
                writers += [battery.start_writer("orm", 1), battery.start_writer("sql", 2)]
                await battery.heard_by_all("nothing, at the start")
                await battery.goes_on()
                await battery.heard_by_all("nothing")
                for fault in FAULTS:
                    await battery.goes_on()
                    await fault(battery)
                await battery.goes_on()
                did, failed = await ended(writers)
                for client in clients:
                    client.restless = False
                await converged(battery)
        finally:
            for writer in writers:
                writer.close()
        sys.stdout.write(f"{battery.report()}\nwrote {did}\nfailed {failed}\n")
        wrong, readings = await wrongs(clients)
        assert not wrong, "\n".join(wrong)
        assert by_the_page(readings) == [reading.rows for reading in readings]
        assert not [text for text in failed if "locked" in text]


async def converged(battery):
    began = time.monotonic()
    close_programs()
    await eventually(sites.handed_over, DEADLINE_S)
    top = sites.heads()
    await eventually(lambda: battery.standing(top), DEADLINE_S)
    battery.felt.append(("writers stopped", time.time(), time.monotonic() - began))
