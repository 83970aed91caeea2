"""A site at work: its people, clients, writers, and how long each fault was felt."""

import random
import sys
import time

from django.contrib.auth.models import User

from realtime.markets.models import Market, Ticker
from realtime.notifications import actions
from tests.faults import site as sites
from tests.faults.clients import Client
from tests.faults.writers import MARKETS
from tests.live import close_programs, eventually, raw
from tests.processes import Running
from tests.realtime import sign_in

PEOPLE, CLIENTS = 5, 20
BETWEEN = 800  # publications that clients hear between two faults
DEADLINE_S = 45.0


class Battery:
    """The site, its clients and writers, and how long each fault was felt."""

    """`probe_id`: the announcement that is changed to see how long a change takes."""

    def __init__(self, site, clients, people, probe_id):
        self.site, self.clients, self.people = site, clients, people
        self.felt = []
        self._probe, self._probe_id = 0, probe_id

    def _say(self, title):
        text = sites.mark("UPDATE notifications_announcement SET title = %s WHERE id = %s")
        raw().execute(text, [title, self._probe_id])

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
