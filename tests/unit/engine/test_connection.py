"""One socket: what its client hears, and when it is given up."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from realtime.engine import topics
from realtime.engine.conf import settings
from realtime.engine.connection import Connection
from realtime.protocol.codes import Disconnect
from tests.unit.engine.world import TOPIC, World
from tests.virtual import VirtualLoop

PONGLESS = 3.2


class Wire:
    """A connection to a hub, and the frames that its client got."""

    def __init__(self, loop, hub, user="5", **named):
        self.frames, self.code, self.ponged = [], None, 0
        self.loop = loop

        async def make():
            return Connection(
                hub, send=self.frames.append, close=self._close, session_key=user, **named
            )

        self.connection = loop.run_until_complete(make())

    def _close(self, code):
        self.code = code

    def say(self, *commands):
        async def receive():
            self.connection.receive("\n".join(json.dumps(command) for command in commands))

        self.loop.run_until_complete(receive())
        self.loop.pass_time(0.01)

    @property
    def heard(self):
        return [json.loads(line) for frame in self.frames for line in frame.split("\n")]

    def connect(self):
        self.say({"id": 1, "connect": {}})
        self.say({"id": 2, "subscribe": {"channel": TOPIC}})
        assert "subscribe" in self.heard[-1], self.heard


class Scene:
    def __init__(self):
        self.loop = VirtualLoop()
        self.world = World()
        self.hub = self.world.hub()

    def write(self, count=1):
        for _ in range(count):
            self.world.write()
        self.world.move()

        async def take():
            for message in self.world.flying:
                self.hub.take(message)
            self.world.flying.clear()
            await self.hub.settled()

        self.loop.run_until_complete(take())


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.loop.run_until_complete(scene.hub.stop())
    scene.loop.close()


def test_replies_of_one_moment_share_a_frame(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.connect()
    before = len(wire.frames)
    wire.say({"id": 3, "ping": {}}, {"id": 4, "ping": {}})
    assert len(wire.frames) == before + 1
    assert [reply["id"] for reply in wire.heard[-2:]] == [3, 4]


def test_a_reader_that_leaves_too_much_unread_is_given_up_after_a_while(scene):
    with settings.override(UNSENT_BYTES=800):
        wire = Wire(scene.loop, scene.hub)
        wire.connect()
        wire.say({})
        scene.write(15)
        assert {} in wire.heard, "an early ping asks how far it has read"
        assert wire.code is None
        scene.loop.pass_time(PONGLESS)
    assert wire.code == 3008
    assert wire.heard[-1]["push"]["disconnect"] == {"code": 3008, "reason": "slow"}


def test_a_reader_that_answers_its_pings_is_kept(scene):
    with settings.override(UNSENT_BYTES=800):
        wire = Wire(scene.loop, scene.hub)
        wire.connect()
        for _ in range(10):
            scene.write(5)
            wire.say({})
            scene.loop.pass_time(1)
    assert wire.code is None
    assert sum("push" in reply for reply in wire.heard) == 50


def test_a_reader_that_has_read_a_burst_is_kept(scene):
    """The ping stood behind the first half of it: there must be another behind the rest."""
    with settings.override(UNSENT_BYTES=800):
        wire = Wire(scene.loop, scene.hub)
        wire.connect()
        wire.say({})
        scene.write(8)
        scene.write(14)
        while wire.frames and wire.heard.count({}) > wire.ponged:
            wire.ponged += 1
            wire.say({})
        scene.loop.pass_time(PONGLESS)
    assert wire.code is None


def test_a_reader_that_answers_without_reading_is_given_up(scene):
    with settings.override(UNSENT_BYTES=800):
        sent = []
        wire = Wire(scene.loop, scene.hub, unsent=lambda: sum(map(len, sent)))
        sent = wire.frames
        wire.connect()
        for _ in range(10):
            scene.write(5)
            wire.say({})
            scene.loop.pass_time(1)
    assert wire.code == 3008


def test_rows_larger_than_the_bound_are_no_fault_of_the_reader(scene):
    scene.write(100)
    with settings.override(UNSENT_BYTES=400):
        wire = Wire(scene.loop, scene.hub)
        wire.say({"id": 1, "connect": {}})
        wire.say({"id": 2, "subscribe": {"channel": TOPIC}})
        assert wire.heard[-1] == {}, "an early ping asks how far it has read"
        scene.loop.pass_time(PONGLESS)
        assert wire.code is None
        wire.say({"id": 3, "subscribe": {"channel": "items:2"}})
        assert all(reply.get("id") != 3 for reply in wire.heard), "first it reads what it has"
        wire.say({})
        assert any(reply.get("id") == 3 for reply in wire.heard)


def test_far_beyond_the_bound_a_reader_is_given_up_at_once(scene):
    with settings.override(UNSENT_BYTES=600):
        wire = Wire(scene.loop, scene.hub)
        wire.connect()
        for _ in range(12):
            scene.write(4)
    assert wire.code == 3008


def test_too_many_commands_are_refused(scene):
    with settings.override(COMMANDS_BURST=5):
        wire = Wire(scene.loop, scene.hub)
        wire.connect()
        wire.say(*({"id": n, "ping": {}} for n in range(3, 10)))
    assert wire.code == 3013


def test_who_says_nothing_is_given_up(scene):
    wire = Wire(scene.loop, scene.hub)
    scene.loop.pass_time(11)
    assert wire.code == 3502


def test_who_does_not_answer_a_ping_is_given_up(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.connect()
    scene.loop.pass_time(36)
    assert wire.code == 3012


def test_an_invented_name_leaves_nothing_behind(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.connect()
    wire.say(*({"id": n, "subscribe": {"channel": f"nowhere:{n}"}} for n in range(3, 10)))
    assert {reply["error"]["code"] for reply in wire.heard[-7:]} == {102}
    assert list(wire.connection._members) == [TOPIC]


def test_a_user_has_so_many_connections_and_no_more(scene):
    with settings.override(CONNECTIONS_PER_USER=1):
        first, second = Wire(scene.loop, scene.hub), Wire(scene.loop, scene.hub)
        first.connect()
        second.say({"id": 1, "connect": {}})
        assert second.code == 3504

        async def lose():
            first.connection.lost(1001)

        scene.loop.run_until_complete(lose())
        Wire(scene.loop, scene.hub).connect()


def test_an_address_has_so_many_connections_and_no_more(scene):
    with settings.override(CONNECTIONS_PER_ADDRESS=1):
        Wire(scene.loop, scene.hub, address="192.0.2.1")
        assert Wire(scene.loop, scene.hub, address="192.0.2.1").code == 3504
        assert Wire(scene.loop, scene.hub, address="192.0.2.2").code is None


def test_one_line_tells_of_a_connection_at_its_end(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.connect()
    scene.write(3)

    async def lose():
        wire.connection.lost(1001)
        wire.connection.lost(1001)

    with capture_logs() as logs:
        scene.loop.run_until_complete(lose())
    [line] = [line for line in logs if line["event"] == "connection.closed"]
    assert (line["code"], line["pushes"]) == (1001, 3)
    assert line["sent_bytes"] == sum(len(frame) for frame in wire.frames)
    assert len(scene.hub.rights.register) == 0


def test_a_database_that_is_away_asks_the_client_to_come_again(scene):
    scene.world.broken = True
    wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    assert wire.heard == [
        {"id": 1, "error": {"code": 100, "message": "internal server error", "temporary": True}}
    ]


def test_who_leaves_before_a_join_has_begun_and_goes_leaves_nothing_behind(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})

    async def come_and_go():
        subscribe = {"subscribe": {"channel": TOPIC}}
        wire.connection.receive(
            "\n".join(
                json.dumps(command)
                for command in (
                    {"id": 2, **subscribe},
                    {"id": 3, "unsubscribe": {"channel": TOPIC}},
                    {"id": 4, **subscribe},
                )
            )
        )
        # the joins have begun, and wait for the database
        await asyncio.sleep(0)
        wire.connection.lost(1006)
        await asyncio.sleep(0)

    scene.loop.run_until_complete(come_and_go())
    scene.loop.pass_time(6)
    assert scene.hub.rights.register.rights() == []
    assert scene.hub.feeds == {}


def test_what_no_text_can_be_is_a_bad_request(scene):
    wire = Wire(scene.loop, scene.hub)

    async def receive():
        wire.connection.receive("\ud800")

    scene.loop.run_until_complete(receive())
    assert wire.code == 3501


def test_who_is_given_up_as_it_joins_is_not_left_among_those_present(scene, monkeypatch):
    """Its first publications are more than it may have unread: it comes, and goes."""
    monkeypatch.setattr(topics.match(TOPIC).declaration, "presence", True, raising=False)
    wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    begin = scene.hub.begin

    def burst(member):
        scene.hub.release = lambda member: member.reader.disconnect(Disconnect.SLOW)
        begin(member)

    scene.hub.begin = burst
    wire.say({"id": 2, "subscribe": {"channel": TOPIC}})
    assert wire.code == Disconnect.SLOW.number
    assert TOPIC in scene.world.presence.topics
    assert not scene.world.presence.topics[TOPIC]


def test_an_error_of_ours_ends_the_connection_so_that_its_client_comes_back(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.connect()

    async def fails(command):
        raise ZeroDivisionError

    wire.connection._answers.find = fails
    with capture_logs() as lines:
        wire.say({"id": 9, "rpc": {"method": "m"}})
    assert wire.code == Disconnect.INTERNAL.number
    assert [line["event"] for line in lines] == ["connection.failed", "connection.closed"]
