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

import pytest
from django.contrib.auth.models import User
from django.db import connection

from realtime.engine import api, topics
from realtime.markets.models import Market, Ticker
from realtime.notifications import actions
from tests.faults import site as sites
from tests.faults.checker import Truth, judge
from tests.faults.clients import Client, listening
from tests.faults.writers import MARKETS
from tests.live import close_programs, eventually, raw
from tests.processes import Running
from tests.realtime import in_database, sign_in
from tests.topics import RULE

pytestmark = pytest.mark.django_db(transaction=True)

SEED = 20_261_124
PEOPLE, CLIENTS = 5, 24
BETWEEN = 2_000  # publications that clients hear between two faults
DEADLINE_S = 30.0
NEWEST = 200  # trades that a page starts from


class Battery:
    """The site, its clients and writers, and how long each fault was felt."""

    def __init__(self, site, clients, people):
        self.site, self.clients, self.people = site, clients, people
        self.felt = []
        self._probe = 0
        with_sign = sites.mark("UPDATE notifications_announcement SET title = %s WHERE id = %s")
        self._say = lambda title: raw().execute(with_sign, [title, self.probe_id])

    def start_writer(self, kind, seed):
        words = (sys.executable, "-m", "tests.faults.writers", kind, str(seed))
        return Running([*words, *map(str, self.people)], self.site.environment)

    async def heard_by_all(self, name):
        """Something committed now reaches every client; notes how long that took."""
        close_programs()
        self._probe += 1
        began, wall = time.monotonic(), time.time()
        self._say(f"announcements:all|probe {self._probe}")
        await eventually(
            lambda: all(client.probe >= self._probe for client in self.clients), DEADLINE_S
        )
        self.felt.append((name, wall, time.monotonic() - began))

    async def goes_on(self):
        """Ordinary traffic, so that the next fault meets it."""
        start = self.heard
        await eventually(lambda: self.heard >= start + BETWEEN, DEADLINE_S)

    @property
    def heard(self):
        return sum(len(client.lags) for client in self.clients)

    def standing(self, heads):
        """How many topics of clients are where the log is."""
        return all(
            (epoch.rstrip("!"), offset) == heads[topic] if topic in heads else offset == 0
            for client in self.clients
            for topic in client.topics
            for epoch, offset in [client.positions.get(topic, ("", -1))]
        )

    def report(self):
        lines = ["", f"{'fault':<34} {'heard by all':>13} {'longest pause':>14}"]
        lags = sorted(lag for client in self.clients for lag in client.lags)
        ends = [wall for _, wall, _ in self.felt[1:]] + [float("inf")]
        for (name, wall, took_s), end in zip(self.felt, ends, strict=True):
            during = max((lag for at, lag in lags if wall <= at < end), default=0)
            lines.append(f"{name:<34} {took_s:>11.2f} s {during:>12.2f} s")
        codes = sorted(code for client in self.clients for code in client.codes)
        told = {code: codes.count(code) for code in set(codes)}
        connections = sum(client.connections for client in self.clients)
        lines.append(f"{self.heard} publications, {connections} connections, codes {told}")
        return "\n".join(lines)


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


def world():
    """People who are signed in, markets; gives (person, cookie) and the probe's announcement."""
    for market in MARKETS:
        Market.objects.create(symbol=f"M{market}", base="M", quote="X")
        Ticker.objects.create(market_id=f"M{market}")
    people = [User.objects.create_user(f"person{n}") for n in range(PEOPLE)]
    probe = actions.announce("announcements:all|probe 0")
    return [(user, sign_in(user)) for user in people], probe.pk


def make_clients(port, signed_in, chance):
    clients = []
    for number in range(CLIENTS):
        user, cookie = signed_in[number % PEOPLE]
        market = MARKETS[number % len(MARKETS)]
        own = [f"inbox:#{user.pk}", f"trades:M{market}", "tickers:all", "announcements:all"]
        each = random.Random(chance.random())
        client = Client(port, cookie, own, each, restless=number % 3 != 0)
        client.user = user
        clients.append(client)
    return clients


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
    node = shutil.which("node") or str(os.path.join(os.path.dirname(sys.executable), "node"))
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
        battery = Battery(site, clients, people)
        battery.probe_id = probe_id
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
