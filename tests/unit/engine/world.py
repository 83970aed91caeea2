"""A small honest world for the hub: a table, an outbox, a log, a layer, rights; and its clients.

It keeps the rules of correctness.md: an entry is visible with its row, a move takes revocations
first, head and log agree. What it adds is bad luck: answers take their time, the layer loses,
repeats and reorders, the log is trimmed or begun anew.
"""

import asyncio
import json
from collections import defaultdict

from realtime.engine import joining
from realtime.engine.conf import settings
from realtime.engine.doors import Doors, Tuning
from realtime.engine.envelope import Batch, Reset
from realtime.engine.exceptions import TooMany, Unavailable
from realtime.engine.frames import Form, Style
from realtime.engine.history import Page
from realtime.engine.hub import Hub
from realtime.engine.limits import Turns
from realtime.engine.members import Credential, Grant, Member, Person
from realtime.engine.openings import Excerpt, Opening, Snapshot
from realtime.engine.revocation import CONTROL, Identities
from realtime.engine.topics import Authorisation, History, Latest, Match, Topic
from realtime.protocol.codec import text
from realtime.protocol.codes import Error
from realtime.protocol.commands import Subscribe
from realtime.protocol.messages import Position, Publication
from tests import frames
from tests.frames import Undelta
from tests.virtual import VirtualLoop

TOPIC = "items:1"
NO_DELAY = (0.0,)


def offsets_in(pushes):
    """The offsets of these pushes, in order."""
    return [slot.offset for slot in pushes.slots]


class World:
    def __init__(self, random=None, delays=NO_DELAY, *, limit=50, latest=False, newest=False):
        self.random, self.delays, self.limit = random, delays, limit
        self.latest, self.newest = latest, newest
        self.epoch, self.control_epoch = "epoch001", "control1"
        self.floor = 0
        self.rows, self.outbox, self.log = [], [], []
        self.revocations = []
        self.control_log = []
        self.control_floor = 0
        self.denied, self.gone = set(), set()
        self.last_entry = 0
        self.lost_right = defaultdict(set)
        self.flying = []
        self.broken = False
        self.declaration = Items(Latest() if latest else History(size=limit, newest=newest))
        self.broker = Layer(self)
        self.presence = Present()
        self.asked = []
        # what a client found wrong; its own task may swallow an exception
        self.complaints = []
        # of each entry, the key of its row and what became of it
        self.changes = {}
        self.distrusted = []

    # --- Writers and the relay

    def write(self, key=None, op="i"):
        """A row and its entry, in one commit."""
        self.last_entry += 1
        self.changes[self.last_entry] = key, op
        self.rows.append(self.last_entry)
        self.lost_right[self.last_entry] = set(self.denied | self.gone)
        self.outbox.append((self.last_entry, key))
        return self.last_entry

    def revoke(self, user, *, session=False):
        (self.gone if session else self.denied).add(user)
        kind = "session" if session else "user"
        self.last_entry += 1
        self.revocations.append((self.last_entry, {"kind": kind, kind: user}))

    def grant(self, user):
        self.denied.discard(user)
        for entry in self.lost_right.values():
            entry.discard(user)  # who has the right again may get what came in between
        self.last_entry += 1
        self.revocations.append((self.last_entry, {"kind": "user", "user": user}))

    def move(self, limit=100):
        """All revocations, then the lowest entries; what was appended flies to the hubs."""
        for entry, body in self.revocations:
            offset = len(self.control_log) + 1
            data = json.dumps(body)
            self.control_log.append(Publication(offset, data, None, "c", entry, offset))
        if self.revocations:
            self.flying.append(Batch(CONTROL, self.control_epoch, (self.control_log[-1],)))
        self.revocations.clear()
        moved = []
        for entry, key in self.outbox[:limit]:
            offset = self.top + 1
            moved.append(
                Publication(
                    offset, f"{entry:80}", key, self.changes[entry][1], entry, len(self.control_log)
                )
            )
            self.log.append(moved[-1])
        del self.outbox[:limit]
        if moved:
            self.flying.append(Batch(TOPIC, self.epoch, tuple(moved)))

    def trim(self, keep):
        for publication in self.log[: max(0, len(self.log) - keep)]:
            self.floor = publication.offset
        self.log = [p for p in self.log if p.offset > self.floor]

    def compact(self):
        """As the log of a `Latest` topic is: what has been replaced goes, the floor stays."""
        newest = {publication.key: publication for publication in self.log}
        self.log = [p for p in self.log if newest[p.key] is p]

    def values(self, entries):
        """The newest entry of each key that is there, whatever the way to it was."""
        newest = {self.changes[entry][0]: entry for entry in entries}
        return {key: entry for key, entry in newest.items() if self.changes[entry][1] != "d"}

    def reset(self):
        self.epoch = f"epoch{int(self.epoch[5:]) + 1:03d}"
        self.rows, self.outbox, self.log, self.floor = [], [], [], 0
        self.flying.append(Reset(TOPIC, self.epoch))

    @property
    def top(self):
        return self.log[-1].offset if self.log else self.floor

    # --- The doors of the hub

    def doors(self):
        return Doors(
            broker=self.broker,
            presence=self.presence,
            since=self.since,
            heads=self.heads,
            control_since=self.control_since,
            open_topic=self.open_topic,
            excerpt=self.excerpt,
            authorise=self.authorise,
            identify=self.identify,
            ask_renewal=self.ask_renewal,
        )

    async def _answer(self, look):
        """Look at one instant, somewhere in the time that the question takes."""
        await self._wait()
        if self.broken:
            raise ConnectionError("the database is away")
        found = look()
        await self._wait()
        return found

    async def _wait(self):
        await asyncio.sleep(self.random.choice(self.delays) if self.random else 0)

    def _page(self, position, limit):
        found = [p for p in self.log if p.offset > position.offset]
        if self.latest:
            newest = {publication.key: publication for publication in found}
            found = [p for p in found if newest[p.key] is p]
        whole = position.epoch in {"", self.epoch} and self.floor <= position.offset <= self.top
        return Page(
            Position(self.epoch, self.top),
            tuple(found[:limit]) if whole else (),
            whole=whole,
            control=len(self.control_log),
            complete=whole and len(found) <= limit,
        )

    async def since(self, topic, position, limit):
        self.asked.append(("since", position.offset))
        return await self._answer(lambda: self._page(position, limit))

    async def heads(self, topics):
        def look():
            heads = {CONTROL: Position(self.control_epoch, len(self.control_log))}
            return {t: heads.get(t, Position(self.epoch, self.top)) for t in topics}

        return await self._answer(look)

    async def control_since(self, offset):
        def look():
            top = len(self.control_log)
            found = tuple(self.control_log[offset:])
            whole = self.control_floor <= offset <= top
            return Page(Position(self.control_epoch, top), found, whole, top, whole)

        return await self._answer(look)

    def allowed(self, user):
        return user not in self.denied

    async def open_topic(self, user, match, position, limit, *, vouched=False, voucher=None):
        def look():
            covers = len(self.control_log)
            revoked = voucher is not None and voucher.token_id in self.gone
            if revoked or not (vouched or self.allowed(user)):
                return Opening(False, covers, Position(self.epoch, self.top), 0)
            top = Position(self.epoch, self.top)
            if position is not None:
                page = self._page(position, limit)
                recovered = page.whole and page.complete
                if self.newest:
                    page = self._page(Position("", max(self.top - 1, 0)), 1)
                    recovered = bool(page.publications) or position == top
                if recovered:
                    return Opening(
                        True, covers, top, covers, recovered=True, publications=page.publications
                    )
            rows = Snapshot(json.dumps(self.rows), {})
            pending = frozenset(entry for entry, _ in self.outbox)
            if self.latest:  # the log itself is the rows
                newest = self.values(p.entry for p in self.log)
                rows, pending = Snapshot(json.dumps(sorted(newest.values())), {}), frozenset()
            return Opening(True, covers, top, covers, snapshot=rows, pending=pending)

        return await self._answer(look)

    async def excerpt(self, user, match, since, limit, *, reverse, vouched):
        def look():
            after = since.offset if since else 0
            found = [p for p in self.log if p.offset > after and not reverse]
            allowed = vouched or self.allowed(user)
            top = Position(self.epoch, self.top)
            return Excerpt(allowed, top, len(self.control_log), tuple(found[:limit]))

        return await self._answer(look)

    async def authorise(self, user, topic):
        self.asked.append(("authorise", user))
        return await self._answer(lambda: Authorisation(self.allowed(user), len(self.control_log)))

    async def identify(self, keys):
        def look():
            named = {key: key.session_key or key.token_user for key in keys}
            gone = {key for key, user in named.items() if {user, key.token_id} & self.gone}
            users = {key: user for key, user in named.items() if key not in gone}
            return Identities(frozenset(named), users, len(self.control_log))

        return await self._answer(look)

    async def ask_renewal(self, topic, epoch):
        await self._answer(lambda: self.distrusted.append((topic, epoch)))

    def hub(self, **tuning):
        return Hub(self.doors(), Tuning(**{"ring_size": 8, "page": 5, **tuning}))


class Items(Topic):
    """What the topic of this world is declared as."""

    namespace, name = "items", "items:{n}"

    def __init__(self, history):
        self.history = history


class Layer:
    """Carries nothing by itself: the test hands messages to `hub.take`."""

    def __init__(self, world):
        self.world = world
        self.healthy = True
        self.groups = set()

    @property
    def reachable(self):
        return self.healthy

    async def start(self):
        pass

    async def listen(self):
        await asyncio.Event().wait()
        yield

    async def join(self, topic):
        self.groups.add(topic)

    async def leave(self, topic):
        self.groups.discard(topic)

    async def send(self, topic, message):
        self.world.flying.append(message)
        return True


class Present:
    """Who is on the topics, of this process alone."""

    def __init__(self):
        self.topics = defaultdict(dict)

    def add(self, topic, info):
        self.topics[topic][info.client] = info

    def remove(self, topic, client):
        self.topics[topic].pop(client, None)

    async def everybody(self, topic, asker=""):
        if len(self.topics[topic]) > settings.PRESENCE_CLIENTS:
            raise TooMany
        return dict(self.topics[topic])

    async def count(self, topic, asker=""):
        people = self.topics[topic].values()
        return len(people), len({info.user for info in people})

    async def start(self):
        pass

    async def stop(self):
        pass


class FakeClient:
    """A connection and the SDK behind it: keeps rows and position, and checks what it is told."""

    busy = False
    info = None
    session = ""
    seated = False

    def __init__(self, world, hub, user, *, codec=text, deltas=False):
        self.world, self.hub = world, hub
        self.codec, self.undelta = codec, Undelta() if deltas else None
        self.client = f"client of {user}"
        self.person = Person(user, Credential(user), session=user, grant=Grant(covers=0))
        self.user = user
        self.turns = Turns(2)
        self.rows, self.position = [], None
        self.member = None
        self.told, self.closed = [], None
        self.joining = None
        self.errors = []

    @property
    def subscribed(self):
        return self.member is not None and self.member.joined

    async def connect(self):
        try:
            await self.hub.attach(self)
        except (ConnectionError, Unavailable):
            self.closed = "refused for now"
        else:
            if not self.person.user:
                self.hub.detach(self)
                self.closed = "refused"

    async def subscribe(self):
        if self.closed or self.member is not None:
            return
        match = Match(TOPIC, self.world.declaration, {})
        self.member = member = Member(self, TOPIC, deltas=self.undelta is not None)
        request = Subscribe(1, TOPIC, since=self.position)
        epoch, top = self.world.epoch, self.world.top
        answer = await joining.join(self.hub, member, match, request)
        if self.member is not member:
            return  # left meanwhile
        if isinstance(answer, Error):
            self.errors.append(answer)
            self.member = None
            return
        self._start(answer)
        knows = self.position.offset >= top or self.world.epoch != epoch
        self._demand(knows, "what was published before it came is not in its beginning")
        self.hub.begin(member)

    def _start(self, answer):
        if self.undelta:
            self.undelta.base = b"what came before a subscription is no base"
        if not answer.recovered:
            data = json.loads(answer.data)
            self.rows = data["rows"]
            for entry in data["publications"]:
                self._take(entry)
        else:
            if self.world.newest and answer.publications:
                self.rows = []  # only the one that comes now matters
            for publication in answer.publications:
                self._take(int(publication.data))
        offset = answer.publications[-1].offset if answer.publications else answer.position.offset
        self.position = Position(answer.position.epoch, offset)

    @property
    def gaps(self):
        """Offsets that its rows contain already are skipped, or conflated."""
        return self.position.epoch.endswith("!") or self.world.latest

    def push(self, pushes, style=Style.PLAIN):
        self._demand(self.subscribed and self.closed is None, "a push outside of a subscription")
        for reply in frames.replies(pushes.frame(Form(self.codec, style))):
            pub = reply["push"]["pub"]
            follows = pub["offset"] - self.position.offset
            self._demand(follows == 1 or (follows > 1 and self.gaps), "out of order")
            self.position = Position(self.position.epoch, pub["offset"])
            self._take(self._read(pub))

    def _read(self, pub):
        return int(self.undelta.data(pub) if self.undelta else pub["data"])

    def _take(self, entry):
        self._demand(entry not in self.rows, f"{entry} came twice")
        late = self.user in self.world.lost_right[entry]
        self._demand(not late, f"{entry} came after the right was lost")
        self.rows.append(entry)

    def _demand(self, fact, complaint):
        if not fact:
            self.world.complaints.append(f"{self.user}: {complaint}")

    def leave(self):
        if self.member is not None:
            member, self.member = self.member, None
            self.hub.quit(member)

    def end(self, topic, code):
        self._demand(self.subscribed, "told of the end of nothing")
        self.told.append(code)
        self.member = None

    def disconnect(self, code):
        self.closed = code
        self.member = None
        self.hub.detach(self)


class Scene:
    """A hub, its world and a clock of its own."""

    def __init__(self, world=None, **tuning):
        self.loop = VirtualLoop()
        self.world = world or World()
        self.hub = self.world.hub(**tuning)

    def run(self, work):
        return self.loop.run_until_complete(work)

    def call(self, function, *values):
        async def inside():
            return function(*values)

        return self.run(inside())

    def client(self, user="ada", **how):
        client = FakeClient(self.world, self.hub, user, **how)
        self.run(client.connect())
        self.run(client.subscribe())
        return client

    def deliver(self, *messages):
        async def take():
            for message in messages:
                self.hub.take(message)
            await self.hub.settled()

        self.run(take())

    def deliver_all(self):
        flying, self.world.flying = self.world.flying, []
        self.deliver(*flying)

    def close(self):
        self.run(self.hub.stop())
        self.loop.close()
        assert self.world.complaints == []


def write(scene, count=1):
    entries = [scene.world.write() for _ in range(count)]
    scene.world.move()
    return entries
