"""The promise, end to end: writers of every kind, clients that come, drop and recover, and faults.

Every client ends with a fresh read, offsets without gap or repeat, nothing rolled back, nothing of
somebody else. The pauses are printed (`pytest -s`, or with a failure), not judged.
"""

import asyncio
import json
import os
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
from tests.faults.faults import SHORT, WHOLE
from tests.faults.tables import TABLES
from tests.live import close_programs, eventually
from tests.realtime import in_database
from tests.topics import RULE

pytestmark = pytest.mark.django_db(transaction=True)

SEED = 20_261_124
NEWEST = 200  # trades that a page starts from
TABLE = os.environ.get("TOCSIN_BATTERY", "")  # where the table of the whole battery goes
BEGIN, END = f"<!-- the table of `make faults` on {connection.vendor} -->", "<!-- its end -->"
MANY, SILENT_S = 50, 8.0


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


async def wrongs(clients, renewed=frozenset()):
    """All that is wrong, and the readings that the page's own code should come to as well.

    `renewed`: namespaces whose epochs were meant to change.
    """
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
    wrong += [
        f"{topic} changed its epoch: {found}"
        for topic, found in epochs.items()
        if len(found) > 1 and topic.partition(":")[0] not in renewed
    ]
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


async def judged(clients, renewed=frozenset()):
    wrong, readings = await wrongs(clients, renewed)
    assert not wrong, "\n".join(wrong)
    assert by_the_page(readings) == [reading.rows for reading in readings]


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


async def endures(battery, faults):
    """Writers and clients through all of the faults; everything is as it must be at the end."""
    writers, clients = [], battery.clients
    try:
        async with listening(clients):
            writers += [battery.start_writer("orm", 1), battery.start_writer("sql", 2)]
            await battery.heard_by_all("nothing, at the start")
            await battery.goes_on()
            await battery.heard_by_all("nothing")
            for fault in faults:
                await battery.goes_on()
                await fault(battery)
            await battery.goes_on()
            did, failed = await ended(writers)
            for client in clients:
                client.restless = False
            await converged(battery)
        sys.stdout.write(f"wrote {did}\nfailed {failed}\n")
    finally:
        for writer in writers:
            writer.close()
        sys.stdout.write(f"{battery.report()}\n")
    await judged(clients, battery.renewed)
    assert not [text for text in failed if "locked" in text]


@pytest.mark.usefixtures("_reconnecting")
async def test_chaos(tmp_path):
    signed_in, probe_id = await in_database(world)
    async with sites.running(tmp_path) as site:
        clients = make_clients(site.ports, signed_in, random.Random(SEED))
        people = [user.pk for user, _ in signed_in]
        await endures(Battery(site, clients, people, probe_id), SHORT)


@pytest.mark.skipif(not TABLE, reason="many minutes: `make faults` asks for it and keeps its table")
@pytest.mark.usefixtures("_reconnecting")
async def test_the_whole_battery(tmp_path):
    signed_in, probe_id = await in_database(world)
    extra = {"TOCSIN_PING_S": "3", "TOCSIN_PONG_S": "2", "TOCSIN_TRIGGER_CHECK_S": "3"}
    async with sites.running(tmp_path, linked=True, workers=(2, 2), **extra) as site:
        chance = random.Random(SEED)
        clients = make_clients(site.doors, signed_in, chance, number=MANY, silent_s=SILENT_S)
        battery = Battery(site, clients, [user.pk for user, _ in signed_in], probe_id)
        await endures(battery, [*WHOLE, *TABLES])
    await asyncio.to_thread(keep, battery.table(), Path(TABLE))


def keep(table, page):
    """Put the table of a battery in the place of the one that the page has."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, behind = rest.partition(END)
    assert end, f"{page} has no {BEGIN} … {END}"
    page.write_text(f"{before}{begin}\n{table}{end}{behind}")


async def converged(battery):
    began = time.monotonic()
    close_programs()
    await eventually(sites.handed_over, DEADLINE_S)
    top = sites.heads()
    await eventually(lambda: battery.standing(top), DEADLINE_S)
    battery.note("writers stopped", time.time(), time.monotonic() - began)
