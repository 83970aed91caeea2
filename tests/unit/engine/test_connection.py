"""One socket: what its client hears, and when it is given up."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from realtime.engine import orders, revocation, rpc, topics
from realtime.engine.conf import settings
from realtime.engine.connection import Connection
from realtime.engine.envelope import Passing
from realtime.protocol.codec import binary, text
from realtime.protocol.codes import Disconnect
from tests import frames
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

    def close(self):
        self.loop.run_until_complete(self.hub.stop())
        self.loop.close()

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
    scene.close()


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


class Stalled:
    """The database leaves one kind of question without an answer until it is `free`."""

    def __init__(self, scene, door):
        place, name = (scene.hub.doors, door)
        if door == "identify":
            place, name = (scene.hub.rights, "_identify")
        self.free, ask = asyncio.Event(), getattr(place, name)

        async def waits(*values, **named):
            await self.free.wait()
            return await ask(*values, **named)

        object.__setattr__(place, name, waits)


LARGE = "x" * 1000


@pytest.mark.parametrize("door", ["identify", "open_topic", "excerpt"])
def test_what_waits_for_an_answer_is_bounded_in_bytes(scene, door):
    """Behind a connect, behind the subscribe of its topic, and in the database's own queue."""
    with settings.override(UNANSWERED_BYTES=20_000):
        wire = Wire(scene.loop, scene.hub)
        if door == "excerpt":
            wire.connect()
        stalled = Stalled(scene, door)
        asked = {
            "identify": {"publish": {"channel": TOPIC, "data": LARGE}},
            "open_topic": {"subscribe": {"channel": TOPIC, "token": LARGE}},
            "excerpt": {"history": {"channel": TOPIC, "since": {"epoch": LARGE}}},
        }[door]
        if door != "excerpt":
            wire.say({"id": 1, "connect": {}})
            wire.say({"id": 2, "subscribe": {"channel": TOPIC}})
        for number in range(3, 18):
            wire.say({"id": number, **asked})
        assert wire.code is None
        for number in range(18, 23):
            wire.say({"id": number, **asked})
        assert wire.code == 3013
        stalled.free.set()


@pytest.mark.parametrize(("few", "code"), [("large", None), ("small", 3013)])
def test_what_waited_for_the_connect_counts_with_its_own_size(scene, few, code):
    """Whatever came last: nobody is sent away for a large one, or let through for a small one."""
    large = {"history": {"channel": TOPIC, "since": {"epoch": LARGE}}}
    small = {"history": {"channel": TOPIC}}
    one, many = (large, small) if few == "large" else (small, large)
    with settings.override(UNANSWERED_BYTES=17_000):
        wire = Wire(scene.loop, scene.hub)
        connecting = Stalled(scene, "identify")
        wire.say({"id": 1, "connect": {}})
        for number in range(2, 17):
            wire.say({"id": number, **many})
        wire.say({"id": 17, **one})
        asking = Stalled(scene, "excerpt")
        connecting.free.set()
        scene.loop.pass_time(0.01)
        assert wire.code is None
        wire.say({"id": 18, **large})
        assert wire.code == code
        asking.free.set()
        scene.loop.pass_time(0.01)


def test_what_was_answered_counts_no_more(scene):
    with settings.override(UNANSWERED_BYTES=5000):
        wire = Wire(scene.loop, scene.hub)
        wire.connect()
        for number in range(3, 30):
            wire.say({"id": number, "history": {"channel": TOPIC, "since": {"epoch": LARGE}}})
    assert wire.code is None
    assert wire.heard[-1]["id"] == 29


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


# --- What the server says and does unasked


def soon(scene, call, *values, **named):
    async def run():
        call(*values, **named)

    scene.loop.run_until_complete(run())
    scene.loop.pass_time(0.01)


def push(wire, name):
    return [reply["push"][name] for reply in wire.heard if name in reply.get("push", {})]


def test_the_server_says_a_word_of_its_own(scene):
    wire = Wire(scene.loop, scene.hub)
    soon(scene, wire.connection.say, '{"early":1}')
    wire.connect()
    soon(scene, wire.connection.say, '{"a":1}')
    assert push(wire, "message") == [{"data": {"a": 1}}]


def test_the_server_takes_a_topic_away(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.connect()
    soon(scene, wire.connection.unsubscribe, TOPIC)
    [told] = push(wire, "unsubscribe")
    assert told["code"] == 2000
    scene.write()
    assert push(wire, "pub") == []
    soon(scene, wire.connection.unsubscribe, TOPIC)
    assert len(push(wire, "unsubscribe")) == 1


def test_the_server_gives_a_topic(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    soon(scene, wire.connection.subscribe, orders.Subscribe(user="5", topic=TOPIC))
    assert len(push(wire, "subscribe")) == 1
    scene.write()
    assert [pub["offset"] for pub in push(wire, "pub")] == [1]


@pytest.mark.parametrize("again", [False, True])
def test_a_connection_may_be_given_an_end_and_it_be_taken_back(scene, again):
    wire = Wire(scene.loop, scene.hub)
    wire.connect()
    soon(scene, wire.connection.expire, 1.0)
    if again:
        soon(scene, wire.connection.expire, None)
    for _ in range(4):
        scene.loop.pass_time(10)
        wire.say({})
    assert wire.code == (None if again else Disconnect.EXPIRED.number)


def test_bytes_for_one_who_speaks_text_are_the_end_of_the_connection(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    wire.say({"id": 2, "subscribe": {"channel": "room:1"}})
    soon(scene, scene.hub.take, Passing("room:1", "", None, b"\xff"))
    assert wire.code == Disconnect.INAPPROPRIATE_PROTOCOL.number


@pytest.mark.parametrize("codec", [text, binary])
def test_a_frame_of_the_other_form_or_beyond_the_bound_is_the_end(scene, codec):
    """Though it would be one that can be read."""
    other = "{}" if codec is binary else b"{}"
    form = str if codec is text else bytes
    long = frames.command(form, {"id": 2, "rpc": {"method": "m", "data": "x" * 65_536}})
    for frame in (other, long):
        wire = Wire(scene.loop, scene.hub, codec=codec)
        soon(scene, wire.connection.receive, frames.command(form, {"id": 1, "connect": {}}))
        assert wire.code is None
        soon(scene, wire.connection.receive, frame)
        assert wire.code == Disconnect.BAD_REQUEST.number


def test_after_its_end_a_connection_neither_hears_nor_says(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.connect()
    [member] = scene.hub.feeds[TOPIC].members
    soon(scene, wire.connection.lost, 1006)
    before = len(wire.frames)
    wire.say({"id": 3, "ping": {}})
    scene.write()
    soon(scene, wire.connection.say, "1")
    assert member.ended
    assert len(wire.frames) == before


# --- What the client says


def test_a_message_is_heard_where_somebody_listens_and_else_is_the_end(scene, monkeypatch):
    heard = []

    async def hear(user, client, data):
        heard.append((user, client, data))

    monkeypatch.setattr(rpc, "hear", hear)
    wire = Wire(scene.loop, scene.hub)
    wire.connect()
    monkeypatch.setattr(rpc, "is_listening", lambda: True)
    wire.say({"send": {"data": 1}})
    assert heard == [("5", wire.connection.client, "1")]
    assert wire.code is None
    monkeypatch.setattr(rpc, "is_listening", lambda: False)
    wire.say({"send": {"data": 2}})
    assert wire.code == Disconnect.NOT_AVAILABLE.number
    assert len(heard) == 1


def test_a_question_is_answered_though_its_answer_is_an_end(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.connect()
    wire.say({"id": 3, "history": {"channel": TOPIC}})
    assert wire.heard[-1]["history"]["offset"] == 0

    async def ends(command):
        return Disconnect.PERMISSION_DENIED

    wire.connection._answers.find = ends
    wire.say({"id": 4, "history": {"channel": TOPIC}})
    assert wire.code == Disconnect.PERMISSION_DENIED.number


def test_who_leaves_a_topic_hears_no_more_of_it_and_may_come_again(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.connect()
    wire.say({"id": 3, "unsubscribe": {"channel": TOPIC}})
    scene.write()
    assert push(wire, "pub") == []
    wire.say({"id": 4, "subscribe": {"channel": TOPIC}})
    scene.write()
    assert [pub["offset"] for pub in push(wire, "pub")] == [2]


def test_who_speaks_by_requests_of_its_own_is_told_how_they_find_it(scene):
    wire = Wire(scene.loop, scene.hub, secret="a secret")
    wire.say({"id": 1, "connect": {}})
    told = wire.heard[0]["connect"]
    assert (told["session"], told["node"]) == ("a secret", scene.hub.emulation.node)
    assert wire.connection.session == revocation.digest("a secret")


def test_who_leaves_while_it_joins_and_comes_again_is_answered_in_that_order(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    ask = {"channel": TOPIC}
    wire.say(
        {"id": 2, "subscribe": ask}, {"id": 3, "unsubscribe": ask}, {"id": 4, "subscribe": ask}
    )
    found = [reply for reply in wire.heard if reply.get("id", 0) > 1]
    assert [reply["id"] for reply in found] == [2, 3, 4]
    assert [list(reply)[1] for reply in found] == ["subscribe", "unsubscribe", "subscribe"]
    scene.write()
    assert [pub["offset"] for pub in push(wire, "pub")] == [1]
