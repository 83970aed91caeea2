"""Whatever frames a client sends: one reply for an id, no exception, and nothing of it is left."""

import asyncio
import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.engine import publishing, topics
from realtime.engine.connection import Connection
from realtime.protocol.codec import binary, text
from tests import frames
from tests.unit.engine.world import TOPIC, World
from tests.unit.protocol.codec.golden import COMMANDS
from tests.virtual import VirtualLoop

BOUNDED = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
TOPICS = st.sampled_from([TOPIC, "items:2", "items", "nowhere:1", "$items:1", "", "é", "chat:a"])
NAMES = st.sampled_from([
    "connect", "subscribe", "unsubscribe", "publish", "presence", "presence_stats", "history",
    "ping", "rpc", "refresh", "sub_refresh", "send",
])  # fmt: skip
WORDS = {
    "channel": TOPICS,
    "token": st.sampled_from(["", "rubbish"]),
    "data": st.sampled_from([{"n": 1}, [], "x"]),
    "recover": st.booleans(),
    "offset": st.integers(0, 5),
    "epoch": st.sampled_from(["", "epoch001", "other"]),
    "delta": st.sampled_from(["", "fossil", "rsync"]),
    "limit": st.integers(-2, 3),
    "flag": st.integers(0, 3),
    "join_leave": st.booleans(),
    "method": st.just("m"),
    "reverse": st.booleans(),
}
FIELDS = {
    "connect": ["token", "data"],
    "subscribe": ["channel", "token", "recover", "offset", "epoch", "delta", "flag", "join_leave"],
    "publish": ["channel", "data"],
    "history": ["channel", "limit", "reverse"],
    "rpc": ["method", "data"],
    "ping": [],
    "send": ["data"],
    "refresh": ["token"],
    "sub_refresh": ["channel", "token"],
}


@st.composite
def commands(draw):
    name = draw(NAMES)
    fields = FIELDS.get(name, ["channel"])
    return name, {field: draw(WORDS[field]) for field in fields if draw(st.booleans())}


STEPS = st.lists(
    st.lists(commands(), min_size=1, max_size=4)
    | st.sampled_from(["write", "time", "pong"])
    | st.binary(max_size=20)
    | st.sampled_from(list(COMMANDS.values())),
    max_size=12,
)


class Site:
    """A real connection in the small world; what it heard; what went wrong in the loop."""

    def __init__(self, codec):
        self.loop, self.world, self.codec = VirtualLoop(), World(), codec
        self.hub = self.world.hub()
        self.errors, self.frames, self.code = [], [], None
        self.loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self.ids = Counter()
        self.number = 1
        self.connection = self.run(self._make())

    async def _make(self):
        return Connection(
            self.hub, send=self.frames.append, close=self._close, codec=self.codec, session_key="5"
        )

    def _close(self, code):
        assert self.code is None, "closed twice"
        self.code = code

    def run(self, work):
        return self.loop.run_until_complete(work)

    def receive(self, frame):
        async def inside():
            self.connection.receive(frame)

        self.run(inside())

    def say(self, said):
        if self.code is None:
            self.receive(self._frame(said))
        self.loop.pass_time(0.01)

    def _frame(self, said):
        form = str if self.codec is text else bytes
        whole = []
        for name, request in said:
            self.number += 1
            command = {name: request} if name == "send" else {"id": self.number, name: request}
            if name != "send":
                self.ids[self.number] += 1
            whole.append(frames.command(form, command))
        return ("\n" if form is str else b"").join(whole)

    @property
    def heard(self):
        return [reply for frame in self.frames for reply in frames.replies(frame)]

    def write(self):
        self.world.write()
        self.world.move()
        flying, self.world.flying = self.world.flying, []

        async def take():
            for message in flying:
                self.hub.take(message)
            await self.hub.settled()

        self.run(take())

    def end(self):
        async def lost():
            self.connection.lost(1006)

        self.run(lost())
        self.loop.pass_time(0.1)
        self.run(self.hub.settled())

    def close(self):
        self.run(self.hub.stop())
        self.loop.close()


@pytest.fixture(autouse=True)
def _lively(monkeypatch):
    declared = topics.match(TOPIC).declaration
    for name in ("presence", "join_leave", "deltas"):
        monkeypatch.setattr(type(declared), name, True, raising=False)

    # a thread would answer in its own time, and this loop's is not real
    async def publish_for(user, match, data, about):
        return publishing.Put(allowed=False)

    async def may_pass(user, match):
        return None

    monkeypatch.setattr(publishing, "apublish_for", publish_for)
    monkeypatch.setattr(publishing, "amay_pass", may_pass)


@pytest.mark.parametrize("codec", [text, binary], ids=["JSON", "Protobuf"])
@BOUNDED
@given(steps=STEPS, greets=st.booleans())
def test_whatever_is_said_is_answered_once_and_leaves_nothing(codec, steps, greets):
    site = Site(codec)
    if greets:
        site.say([("connect", {})])
    for step in steps:
        if isinstance(step, list):
            site.say(step)
        elif isinstance(step, bytes):
            site.receive(step if codec is binary else step.decode("latin1"))
        elif isinstance(step, tuple):
            site.ids[json.loads(step[1]).get("id")] += 1
            site.receive(step[2] if codec is binary else step[1])
        elif step == "write":
            site.write()
        elif step == "time":
            site.loop.pass_time(7)
        else:
            site.receive("{}" if codec is text else b"\x00")
    site.loop.pass_time(12)  # every method, hold and question has had its time
    check(site)
    site.close()


def check(site):
    numbers = Counter(reply["id"] for reply in site.heard if reply.get("id"))
    assert numbers <= site.ids, "a reply came twice, or to nothing"
    if site.code is not None:
        assert "disconnect" in site.heard[-1]["push"], "a close without a word"
    site.end()
    assert site.errors == []
    assert not site.connection._tasks
    assert len(site.hub.rights.register) == 0
    assert not any(feed.members for feed in site.hub.feeds.values())
    assert not any(site.world.presence.topics.values())
    assert not site.hub.users._taken
    assert not site.hub.addresses._taken
    assert not site.hub.rights._waiters
    assert not site.hub.movements._untold
    assert asyncio.all_tasks(site.loop) <= set(site.hub.tasks._kept)


@pytest.mark.parametrize("codec", [text, binary], ids=["JSON", "Protobuf"])
@BOUNDED
@given(said=st.lists(commands(), min_size=1, max_size=8))
def test_a_connection_that_lives_has_answered_every_id(codec, said):
    site = Site(codec)
    site.say([("connect", {})])
    site.say([one for one in said if one[0] != "connect"] or [("ping", {})])
    site.loop.pass_time(12)
    if site.code is None:
        answered = {reply["id"] for reply in site.heard if reply.get("id")}
        assert set(site.ids) <= answered
    check(site)
    site.close()
