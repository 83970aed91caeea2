"""What a client asks on its connection is answered, or it is told why not."""

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from realtime.engine import publishing, rpc, tokens
from realtime.engine.conf import settings
from realtime.engine.envelope import Passing
from realtime.engine.exceptions import EpochChanged, Unavailable
from realtime.engine.openings import Excerpt
from realtime.engine.outbox import Unnumbered
from realtime.engine.passing import Seen
from realtime.engine.publishing import Put
from realtime.protocol.codes import Disconnect, Error
from realtime.protocol.commands import Publish, Rpc
from realtime.protocol.messages import ClientInfo, Position, Publication, Published, Returned
from tests.unit.engine.test_connection import Scene, Wire

SECRET = "a secret that is long enough for any test"
AGO = 1_000
TALK, ROOM, SECRETS = "talk:1", "room:1", "$secret:1"


@pytest.fixture(autouse=True, scope="module")
def _secret():
    with settings.override(TOKEN_SECRETS=SECRET, TOKEN_LEEWAY_S=5.0):
        yield


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.close()


@pytest.fixture
def wire(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    return wire


@pytest.fixture
def desk(monkeypatch):
    """Where what is published arrives; it may be closed."""
    desk = SimpleNamespace(put=[], awaited=[], allowed=True, unnumbered=None)

    async def put(user, match, data, about):
        if not desk.allowed:
            return Put(False)
        desk.put.append((user, match.topic, data, about))
        return Put(True, desk.unnumbered)

    async def may(user, match):
        return Seen(0) if desk.allowed else None

    async def numbered(topic, entry):
        desk.awaited.append((topic, entry))

    monkeypatch.setattr(publishing, "apublish_for", put)
    monkeypatch.setattr(publishing, "amay_pass", may)
    monkeypatch.setattr(publishing, "numbered", numbered)
    return desk


def asked(wire, command, number=9, **request):
    """What one command is answered: its result, the number of an error, or that it was the end."""
    wire.say({"id": number, command: request})
    for reply in wire.heard:
        if reply.get("id") == number:
            return reply[command] if command in reply else reply["error"]["code"]
    return wire.code


def subscribed(wire, topic, **request):
    wire.say({"id": 8, "subscribe": {"channel": topic, **request}})
    assert "subscribe" in wire.heard[-1], wire.heard


def door(scene, name, function):
    object.__setattr__(scene.hub.doors, name, function)


# --- Publish


def test_what_is_published_is_put_with_who_says_it(wire, desk):
    assert asked(wire, "publish", channel=TALK, data={"a": 1}) == {}
    [(user, topic, data, about)] = desk.put
    assert (user, topic, json.loads(data)) == ("5", TALK, {"a": 1})
    assert json.loads(about)["info"] == {"user": "5", "client": wire.connection.client}
    assert desk.awaited == []


def test_what_a_token_says_of_its_user_is_said_with_each_publication(wire, desk):
    subscribed(wire, TALK, token=tokens.issue("5", topic=TALK, info={"seat": 4}))
    asked(wire, "publish", channel=TALK, data=1)
    assert json.loads(desk.put[0][3])["info"]["chan_info"] == {"seat": 4}


def test_who_is_told_that_it_is_published_finds_it_in_the_history(wire, desk):
    desk.unnumbered = Unnumbered(entry=7, after=3)
    assert asked(wire, "publish", channel=TALK, data=1) == {}
    assert desk.awaited == [(TALK, desk.unnumbered)]


def test_what_nobody_keeps_goes_straight_to_who_is_there(scene, wire, desk):
    assert asked(wire, "publish", channel=ROOM, data=[1]) == {}
    [passing] = scene.world.flying
    assert isinstance(passing, Passing)
    assert (passing.topic, json.loads(passing.data)) == (ROOM, [1])
    assert desk.put == []


@pytest.mark.parametrize("topic", [TALK, ROOM])
def test_who_may_not_publish_is_told_so_and_nothing_goes_out(scene, wire, desk, topic):
    desk.allowed = False
    assert asked(wire, "publish", channel=topic, data=1) == Error.PERMISSION_DENIED.number
    assert desk.put == scene.world.flying == []


def test_what_reached_nobody_is_an_error_for_now(scene, wire, desk):
    async def send(topic, message):
        return False

    scene.world.broker.send = send
    assert asked(wire, "publish", channel=ROOM, data=1) == Error.INTERNAL.number
    assert desk.put == []


@pytest.mark.parametrize("topic", [TALK, ROOM])
def test_more_than_a_publication_may_have_is_refused(wire, desk, topic):
    with settings.override(PUBLISH_BYTES=10):
        assert asked(wire, "publish", channel=topic, data="x" * 8) == {}
        longer = asked(wire, "publish", 10, channel=topic, data="x" * 9)
    assert longer == Error.BAD_REQUEST.number
    assert len(desk.put) <= 1


def test_a_name_that_means_nothing_takes_nothing(wire, desk):
    assert asked(wire, "publish", channel="nowhere:1", data=1) == Error.UNKNOWN_CHANNEL.number
    assert desk.put == []


def test_who_publishes_too_often_waits(scene, desk):
    with settings.override(PUBLISH_PER_S=1.0, PUBLISH_BURST=2):
        wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    answers = [asked(wire, "publish", n, channel=TALK, data=n) for n in (2, 3, 4)]
    assert answers == [{}, {}, Error.TOO_MANY_REQUESTS.number]
    scene.loop.pass_time(1)
    assert asked(wire, "publish", 5, channel=TALK, data=5) == {}


@pytest.mark.parametrize(
    ("topic", "data", "passed", "answer"),
    [
        (ROOM, b"\xff\x00", ("", b"\xff\x00"), Published()),
        (ROOM, b'{"a":1}', ('{"a":1}', None), Published()),
        (ROOM, b'"\xff"', ("", b'"\xff"'), Published()),
        (ROOM, b"[" * 2000, ("", b"[" * 2000), Published()),
        (TALK, b"\xff\x00", None, Error.BAD_REQUEST),
        (ROOM, None, None, Error.BAD_REQUEST),
        (TALK, None, None, Error.BAD_REQUEST),
    ],
)
def test_bytes_are_for_topics_that_take_them_and_json_stays_json(
    scene, wire, desk, topic, data, passed, answer
):
    found = wire.connection._answers.find(Publish(9, topic, data))
    assert scene.loop.run_until_complete(found) == answer
    sent = [(passing.data, passing.blob) for passing in scene.world.flying]
    assert sent == ([passed] if passed else [])


# --- History


@pytest.fixture
def book(scene):
    """What is asked of the history, and what it says."""
    book = SimpleNamespace(asked=[], found=Excerpt(True, Position("e", 2), 0, ()), why=None)

    async def excerpt(user, match, since, limit, **how):
        book.asked.append((user, match.topic, since, limit, how))
        if book.why is not None:
            raise book.why
        return book.found

    door(scene, "excerpt", excerpt)
    return book


def test_a_history_is_told_with_the_position_of_its_top(wire, book):
    one = Publication(2, '{"a":1}', None, "p", 1, 0)
    book.found = Excerpt(True, Position("e", 2), 0, (one,))
    found = asked(wire, "history", channel=TALK, limit=5, since={"epoch": "e", "offset": 1})
    assert (found["epoch"], found["offset"]) == ("e", 2)
    assert [(p["offset"], p["data"]) for p in found["publications"]] == [(2, {"a": 1})]
    how = {"reverse": False, "vouched": False}
    assert book.asked == [("5", TALK, Position("e", 1), 5, how)]


@pytest.mark.parametrize(("limit", "rows"), [(0, 0), (3, 3), (11, 10), (-1, 10)])
def test_a_history_is_given_in_pages_of_bounded_length(wire, book, limit, rows):
    with settings.override(HISTORY_LIMIT=10):
        asked(wire, "history", channel=TALK, limit=limit)
    assert [row[3] for row in book.asked] == [rows]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"channel": ROOM}, Error.NOT_AVAILABLE),
        ({"channel": "nowhere:1"}, Error.UNKNOWN_CHANNEL),
        ({"channel": SECRETS}, Error.PERMISSION_DENIED),
        ({"channel": TALK, "reverse": True, "since": {"epoch": "e"}}, Error.BAD_REQUEST),
    ],
)
def test_a_history_that_cannot_be_is_not_looked_for(wire, book, request_, why):
    assert asked(wire, "history", **request_) == why.number
    assert book.asked == []


@pytest.mark.parametrize(
    ("why", "code"),
    [
        (EpochChanged(), Error.UNRECOVERABLE_POSITION),
        (Unavailable(), Error.INTERNAL),
        (ConnectionError("away"), Error.INTERNAL),
    ],
)
def test_a_history_that_fails_says_whether_to_ask_again(wire, book, why, code):
    book.why = why
    with capture_logs() as lines:
        assert asked(wire, "history", channel=TALK) == code.number
    unforeseen = isinstance(why, ConnectionError)
    assert [(line["event"], line["command"]) for line in lines] == (
        [("answer.failed", "History")] if unforeseen else []
    )


def test_a_history_is_for_who_may_read_it(wire, book):
    book.found = Excerpt(False, Position("e", 2), 0)
    assert asked(wire, "history", channel=TALK) == Error.PERMISSION_DENIED.number


def test_a_history_is_not_told_before_the_revocations_that_it_follows(scene, wire, book):
    scene.world.revoke("someone")
    scene.world.move()
    book.found = Excerpt(True, Position("e", 2), 1)
    scene.world.broken = True
    wire.say({"id": 9, "history": {"channel": TALK}})
    scene.loop.pass_time(5)
    scene.world.broken = False
    wire.say({"id": 10, "history": {"channel": TALK}})
    scene.loop.pass_time(5)
    early, later = [reply for reply in wire.heard if reply.get("id") in {9, 10}]
    assert early["error"]["code"] == Error.INTERNAL.number
    assert later["history"]["offset"] == 2


def test_who_has_a_token_for_a_private_topic_reads_its_history(wire, book):
    subscribed(wire, SECRETS, token=tokens.issue("5", topic=SECRETS))
    assert asked(wire, "history", channel=SECRETS)["offset"] == 2
    assert book.asked[0][4]["vouched"]


@pytest.mark.parametrize("topic", [TALK, "talk:2"])
def test_a_history_is_not_told_by_a_token_that_is_being_asked_about(scene, guest, book, topic):
    scene.world.revocations.append((99, {"kind": "user", "user": "7"}))
    scene.world.move()
    book.found = Excerpt(True, Position("e", 2), 1)
    known = asyncio.Event()

    async def late(keys):
        await known.wait()
        return await scene.world.identify(keys)

    scene.hub.rights._identify = late
    assert asked(guest, "history", channel=topic) == Error.INTERNAL.number
    known.set()
    scene.loop.pass_time(0.1)
    assert asked(guest, "history", 10, channel=topic)["offset"] == 2


# --- Presence


def test_who_is_there_is_told_to_who_is_there(scene, wire):
    subscribed(wire, TALK)
    scene.world.asked.clear()
    client = wire.connection.client
    there = asked(wire, "presence", channel=TALK)["presence"]
    assert there == {client: {"user": "5", "client": client}}
    stats = asked(wire, "presence_stats", 10, channel=TALK)
    assert stats == {"num_clients": 1, "num_users": 1}
    assert scene.world.asked == []


def test_who_may_come_may_ask_who_is_there(scene, wire):
    stats = asked(wire, "presence_stats", channel=TALK)
    assert stats == {"num_clients": 0, "num_users": 0}
    assert scene.world.asked == [("authorise", "5")]
    scene.world.denied.add("5")
    assert asked(wire, "presence", 10, channel=TALK) == Error.PERMISSION_DENIED.number


@pytest.mark.parametrize(
    ("topic", "why"),
    [
        ("items:1", Error.NOT_AVAILABLE),
        ("nowhere:1", Error.UNKNOWN_CHANNEL),
        (SECRETS, Error.PERMISSION_DENIED),
    ],
)
def test_who_is_there_is_told_where_it_is_declared_and_open(scene, wire, topic, why):
    assert asked(wire, "presence", channel=topic) == why.number
    assert scene.world.asked == []


def test_who_is_held_for_a_moment_asks_again(scene, wire):
    """Its token is good, and a revocation of its session is being looked into."""
    subscribed(wire, SECRETS, token=tokens.issue("5", topic=SECRETS))
    wire.connection.person.grant.raise_to(10**6)
    assert asked(wire, "presence", channel=SECRETS) == Error.INTERNAL.number


def crowd(scene, count):
    for n in range(count):
        scene.world.presence.add(TALK, ClientInfo(f"{n:036}", str(n)))


def test_who_asks_too_often_who_is_there_waits(scene):
    with settings.override(PRESENCE_PER_S=1.0, PRESENCE_BURST=2):
        wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    nobody = {"num_clients": 0, "num_users": 0}
    assert asked(wire, "presence_stats", 2, channel=TALK) == nobody
    assert asked(wire, "presence", 3, channel=TALK) == {"presence": {}}
    assert asked(wire, "presence", 4, channel=TALK) == Error.TOO_MANY_REQUESTS.number
    assert asked(wire, "presence_stats", 5, channel=TALK) == Error.TOO_MANY_REQUESTS.number
    scene.loop.pass_time(1)
    assert asked(wire, "presence_stats", 6, channel=TALK) == nobody


def test_more_than_may_be_listed_are_counted_alone(scene, wire):
    crowd(scene, 3)
    with settings.override(PRESENCE_CLIENTS=2):
        assert asked(wire, "presence", 2, channel=TALK) == Error.LIMIT_EXCEEDED.number
        found = asked(wire, "presence_stats", 3, channel=TALK)
    assert found == {"num_clients": 3, "num_users": 3}


async def gone(wire):
    wire.connection.lost(1006)


def test_who_does_not_read_who_is_there_is_told_it_no_more(scene):
    crowd(scene, 100)
    with settings.override(UNSENT_BYTES=10_000):
        wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    subscribed(wire, TALK)
    wire.say(*({"id": n, "presence": {"channel": TALK}} for n in range(10, 60)))
    scene.loop.pass_time(1)
    replies = [reply for reply in wire.heard if "presence" in reply]
    assert 1 <= len(replies) <= 2
    for _ in replies:
        wire.say({})  # to the ping behind it: it has been read
    assert len([reply for reply in wire.heard if "presence" in reply]) > len(replies)
    scene.loop.run_until_complete(gone(wire))


# --- Calls


def test_a_call_is_answered_by_who_is_declared_for_it(wire, monkeypatch):
    async def answer(user, client, method, data):
        return Returned(json.dumps([user, client, method, json.loads(data)]))

    monkeypatch.setattr(rpc, "answer", answer)
    called = asked(wire, "rpc", method="m", data={"a": 1})
    assert called["data"] == ["5", wire.connection.client, "m", {"a": 1}]


def test_a_call_with_bytes_is_a_bad_request(scene, wire):
    found = wire.connection._answers.find(Rpc(9, "echo", b"\xff"))
    assert scene.loop.run_until_complete(found) is Error.BAD_REQUEST


def test_who_calls_too_often_waits(scene):
    with settings.override(RPC_PER_S=1.0, RPC_BURST=1):
        wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    asked(wire, "rpc", 2, method="no such method")
    assert asked(wire, "rpc", 3, method="echo") == Error.TOO_MANY_REQUESTS.number


# --- Tokens


@pytest.fixture
def guest(scene):
    """Came with a token, and has a topic by another."""
    wire = Wire(scene.loop, scene.hub, user="")
    wire.say({"id": 1, "connect": {"token": tokens.issue("7", expires_in_s=60)}})
    subscribed(wire, TALK, token=tokens.issue("7", topic=TALK, expires_in_s=60))
    return wire


def test_a_new_token_makes_a_connection_last_longer(scene, guest):
    found = asked(guest, "refresh", token=tokens.issue("7", expires_in_s=3600))
    assert found["client"] == guest.connection.client
    assert found["expires"]
    assert found["ttl"] > 3000
    assert guest.code is None


def test_a_new_token_without_an_end_ends_no_connection(guest):
    found = asked(guest, "refresh", token=tokens.issue("7", expires_in_s=None))
    assert "ttl" not in found


@pytest.mark.parametrize(
    ("user", "claims", "why"),
    [
        ("7", {"exp": AGO}, Disconnect.EXPIRED),
        ("7", {"expire_at": AGO}, Disconnect.EXPIRED),
        ("8", {}, Disconnect.INVALID_TOKEN),
        ("7", {"topic": TALK}, Disconnect.INVALID_TOKEN),
    ],
)
def test_a_new_token_that_is_not_good_ends_the_connection(guest, user, claims, why):
    assert asked(guest, "refresh", token=tokens.issue(user, **claims)) == why.number


def test_a_new_token_for_a_topic_makes_the_subscription_last_longer(guest):
    token = tokens.issue("7", topic=TALK, expires_in_s=3600)
    found = asked(guest, "sub_refresh", channel=TALK, token=token)
    assert found["ttl"] > 3000


def test_a_token_shown_for_a_topic_that_the_rule_gave_changes_nothing_of_it(scene, guest):
    subscribed(guest, "talk:2")
    asked(guest, "sub_refresh", channel="talk:2", token=tokens.issue("7", topic="talk:2"))
    scene.world.asked.clear()
    scene.world.revocations.append((99, {"kind": "namespace", "namespace": "talk"}))
    scene.write()
    assert scene.world.asked == [("authorise", "7")]


@pytest.mark.parametrize("claims", [{"exp": AGO}, {"expire_at": AGO}])
def test_an_expired_token_for_a_topic_is_fetched_again(guest, claims):
    token = tokens.issue("7", topic=TALK, **claims)
    guest.say({"id": 9, "sub_refresh": {"channel": TALK, "token": token}})
    [reply] = [reply for reply in guest.heard if reply.get("id") == 9]
    assert reply["error"] == {"code": 109, "message": "token expired", "temporary": True}
    assert guest.code is None


@pytest.mark.parametrize(
    "claims", [{"topic": "talk:2"}, {"user": "8"}, {"client": "another"}, {"topic": ""}]
)
def test_a_token_for_something_else_is_the_end(guest, claims):
    token = tokens.issue(**{"user": "7", "topic": TALK, **claims})
    ended = asked(guest, "sub_refresh", channel=TALK, token=token)
    assert ended == Disconnect.INVALID_TOKEN.number


def test_however_many_connections_one_person_asks_on_the_others_are_answered(scene):
    """All threads to the database might wait for what was asked before."""
    with settings.override(DATABASE_THREADS=4):
        hub = scene.world.hub()
    inside, going = [], asyncio.Event()

    async def excerpt(user, *_, **__):
        inside.append(user)
        if user == "5":
            await going.wait()
        return Excerpt(True, Position("epoch001", 0), 0, ())

    hub.doors = replace(hub.doors, excerpt=excerpt)
    wires = [Wire(scene.loop, hub) for _ in range(10)]
    for wire in (*wires, other := Wire(scene.loop, hub, user="6")):
        wire.say({"id": 1, "connect": {}})
        wire.say(*({"id": n, "history": {"channel": TALK}} for n in (2, 3, 4)))
    assert inside.count("5") == 2
    assert [reply["id"] for reply in other.heard if "history" in reply] == [2, 3, 4]
    going.set()
    scene.loop.pass_time(1)
    assert all(len([r for r in wire.heard if "history" in r]) == 3 for wire in wires)
    scene.loop.run_until_complete(hub.stop())
