"""A site at work: its people, clients, writers, and how long each fault was felt."""

import random
import sys
import time
from dataclasses import dataclass

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
WRONG = "lost, repeated, reordered, leaked"


@dataclass
class Felt:
    """A moment of the run. `took_s`: until all had heard what was said then; counts so far."""

    name: str
    at: float
    took_s: float
    published: int
    heard: int


class Battery:
    """The site, its clients and writers, and how long each fault was felt.

    `probe_id`: the announcement that is changed to see how long a change takes. `renewed`: the
    namespaces that a fault began anew, of which clients may have seen more than one epoch.
    """

    def __init__(self, site, clients, people, probe_id):
        self.site, self.clients, self.people = site, clients, people
        self.felt, self.renewed = [], set()
        self._heads, self._published = {}, 0
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
        self.note(name, wall, time.monotonic() - began)

    def note(self, name, at, took_s):
        heads, before = sites.heads(), self._heads
        for topic, (epoch, offset) in heads.items():
            known = before.get(topic, (epoch, 0))
            self._published += offset - (known[1] if known[0] == epoch else 0)
        self._heads = heads
        self.felt.append(Felt(name, at, took_s, self._published, self.heard))

    async def goes_on(self, publications=BETWEEN):
        """Ordinary traffic, so that the next fault meets it."""
        start = self.heard
        await eventually(lambda: self.heard >= start + publications, DEADLINE_S)

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

    def pauses(self):
        """Of each moment, the longest that a publication was under way until the next moment."""
        lags = sorted(lag for client in self.clients for lag in client.lags)
        ends = [felt.at for felt in self.felt[1:]] + [float("inf")]
        return [
            max((lag for at, lag in lags if felt.at <= at < end), default=0)
            for felt, end in zip(self.felt, ends, strict=True)
        ]

    def table(self):
        """The report for docs/explanation/reliability.md; the judge has passed all of it."""
        heads = "what was done", "published", "heard", WRONG, "all heard within", "longest pause"
        lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
        for name, published, heard, took_s, pause_s in self.rows():
            lines.append(
                f"| {name} | {published:,} | {heard:,} | 0 | {took_s:.2f} s | {pause_s:.2f} s |"
            )
        return "\n".join([*lines, ""])

    def rows(self):
        """Of each moment: name, what was published and heard until it, and the two times."""
        published = heard = 0
        for felt, pause_s in zip(self.felt, self.pauses(), strict=True):
            yield felt.name, felt.published - published, felt.heard - heard, felt.took_s, pause_s
            published, heard = felt.published, felt.heard

    def report(self):
        lines = ["", f"{'fault':<44} {'published':>9} {'heard':>8} {'by all in':>10} {'pause':>8}"]
        for name, published, heard, took_s, pause_s in self.rows():
            times = f"{took_s:>8.2f} s {pause_s:>6.2f} s"
            lines.append(f"{name:<44} {published:>9} {heard:>8} {times}")
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


def make_clients(ports, signed_in, chance, *, number=CLIENTS, silent_s=None):
    clients = []
    for one in range(number):
        user, cookie = signed_in[one % PEOPLE]
        market = MARKETS[one % len(MARKETS)]
        own = [f"inbox:#{user.pk}", f"trades:M{market}", "tickers:all", "announcements:all"]
        each, restless = random.Random(chance.random()), one % 3 != 0
        client = Client(ports, cookie, own, each, restless=restless, silent_s=silent_s)
        client.user = user
        clients.append(client)
    return clients
