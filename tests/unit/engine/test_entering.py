"""How a connection begins: who may come, what it is told, which topics it is given and may have."""

import json
from types import SimpleNamespace

import pytest

from realtime.engine import entering, rpc, tokens, topics
from realtime.engine.conf import settings
from realtime.engine.exceptions import Unavailable
from realtime.engine.rpc import RpcError
from realtime.protocol.codes import Disconnect, Error
from tests.unit.engine.test_connection import Scene, Wire
from tests.unit.engine.world import TOPIC

SECRET = "a secret that is long enough for any test"
NOW = 1_700_000_000.0
AGO = 1_000


@pytest.fixture(autouse=True, scope="module")
def _secret():
    with settings.override(TOKEN_SECRETS=SECRET, TOKEN_LEEWAY_S=5.0):
        yield


@pytest.fixture
def scene():
    scene = Scene()
    scene.world.gone.add("deleted")
    yield scene
    scene.close()


def token(user="7", **claims):
    return tokens.issue(user, **claims)


def came(scene, *, user="", **connect):
    """A connection that has said who it is, and what it was told."""
    wire = Wire(scene.loop, scene.hub, user)
    wire.say({"id": 1, "connect": connect})
    return wire


def told(wire, number=1):
    [reply] = [reply for reply in wire.heard if reply.get("id") == number]
    return reply


def welcome(wire):
    return told(wire)["connect"]


# --- Time


@pytest.fixture
def _now(monkeypatch):
    monkeypatch.setattr(entering, "time", SimpleNamespace(time=lambda: NOW))


@pytest.mark.usefixtures("_now")
@pytest.mark.parametrize(
    ("expire_at", "ttl_s", "over"),
    [
        (None, None, False),
        (NOW + 60.9, 60, False),
        (NOW + 0.5, 1, False),
        (NOW, 1, True),
        (NOW - 5, 1, True),
        (NOW + 1e12, 2**31 - 1, False),
    ],
)
def test_an_end_is_told_in_whole_seconds_that_every_client_can_read(expire_at, ttl_s, over):
    assert entering.ttl_s(expire_at) == ttl_s
    assert entering.is_over(expire_at) is over


def test_first_pings_are_spread_over_half_of_their_pause():
    with settings.override(PING_S=20):
        pauses = {entering.first_ping_s() for _ in range(100)}
    assert len(pauses) > 1
    assert min(pauses) >= 10
    assert max(pauses) <= 20


# --- Who may come


def test_who_has_a_session_or_a_token_is_let_in(scene):
    assert welcome(came(scene, user="5"))["client"]
    assert "ttl" not in welcome(came(scene, user="5"))
    wire = came(scene, token=token(info={"name": "Ada"}))
    assert welcome(wire)["ttl"] > 3000
    assert (wire.connection.person.user, wire.connection.info) == ("7", '{"name":"Ada"}')


def test_a_token_has_the_say_though_there_is_a_session(scene):
    assert came(scene, user="5", token=token("7")).connection.person.user == "7"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"user": "deleted"}, Disconnect.INVALID_TOKEN),
        ({"topic": TOPIC}, Disconnect.INVALID_TOKEN),
        ({"exp": AGO}, Error.TOKEN_EXPIRED),
        ({"expire_at": AGO}, Error.EXPIRED),
        ({"user": ""}, Error.UNAUTHORIZED),
        ({"channels": ["nowhere:1"]}, Error.UNKNOWN_CHANNEL),
        ({"channels": ["items:\u00e9"]}, Error.BAD_REQUEST),
    ],
    ids=str,
)
def test_a_token_that_lets_nobody_in_says_why(scene, claims, why):
    wire = came(scene, token=token(**claims))
    if isinstance(why, Disconnect):
        assert wire.code == why.number
    else:
        assert told(wire)["error"]["code"] == why.number
    assert scene.hub.feeds == {}


def test_what_is_no_token_is_the_end(scene):
    assert came(scene, token="a.b.c").code == Disconnect.INVALID_TOKEN.number


@pytest.mark.parametrize("open_to_all", [True, False])
def test_who_is_nobody_is_let_in_where_some_topic_is_open_to_all(scene, monkeypatch, open_to_all):
    some = {"items": SimpleNamespace(anonymous=open_to_all)}
    monkeypatch.setattr(topics, "registry", lambda: some)
    wire = came(scene)
    assert ("connect" in told(wire)) is open_to_all
    assert open_to_all or told(wire)["error"]["code"] == Error.UNAUTHORIZED.number


def test_an_application_adds_to_the_welcome_or_turns_a_client_away(scene, monkeypatch):
    async def greet(user, client, data):
        if data == '"no"':
            raise RpcError(470, "not today", temporary=True)
        return {"name": f"user {user}"}

    monkeypatch.setattr(rpc, "greet", greet)
    data = welcome(came(scene, user="5"))["data"]
    assert data["name"] == "user 5"
    assert data["now"] > NOW
    wire = came(scene, user="5", data="no")
    assert told(wire)["error"] == {"code": 470, "message": "not today", "temporary": True}


def test_an_application_that_fails_is_an_error_for_now(scene, monkeypatch):
    async def greet(user, client, data):
        raise ZeroDivisionError

    monkeypatch.setattr(rpc, "greet", greet)
    assert told(came(scene, user="5"))["error"]["code"] == Error.INTERNAL.number


# --- Topics that are given


def test_the_topics_of_a_token_are_had_without_asking(scene):
    scene.write(2)
    scene.world.denied.add("7")
    subs = {"items:2": {"data": {"x": 1}, "info": {"seat": 4}}}
    wire = came(scene, token=token(channels=[TOPIC], subs=subs))
    given = welcome(wire)["subs"]
    assert list(given) == [TOPIC, "items:2"]
    assert given[TOPIC]["data"]["rows"] == [1, 2]
    assert given["items:2"]["data"] == {"x": 1}
    scene.write()
    assert [m["push"]["pub"]["offset"] for m in wire.heard if "pub" in m.get("push", {})] == [3]
    [member] = scene.hub.feeds["items:2"].members
    assert json.loads(member.info) == {"seat": 4}


def test_a_client_that_comes_back_goes_on_in_the_topics_it_is_given(scene):
    scene.write(3)
    stood = {"recover": True, "epoch": scene.world.epoch, "offset": 1}
    wire = came(scene, token=token(channels=[TOPIC]), subs={TOPIC: stood})
    given = welcome(wire)["subs"][TOPIC]
    assert given["recovered"]
    assert [one["offset"] for one in given["publications"]] == [2, 3]


@pytest.mark.parametrize("on", [True, False])
def test_a_person_has_a_topic_of_their_own_where_that_is_set(scene, on):
    with settings.override(PERSONAL_TOPIC=on):
        given = welcome(came(scene, user="a b")).get("subs", {})
    assert list(given) == (["#a%20b"] if on else [])


def test_more_topics_than_a_connection_may_have_are_not_given(scene):
    with settings.override(TOPICS_PER_CONNECTION=1):
        wire = came(scene, token=token(channels=[TOPIC, "items:2"]))
    assert wire.code == Disconnect.CHANNEL_LIMIT.number


def test_a_topic_that_cannot_be_opened_is_an_error_for_now_and_leaves_nothing(scene):
    async def away(*values, **named):
        raise ConnectionError

    object.__setattr__(scene.hub.doors, "open_topic", away)
    wire = came(scene, token=token(channels=[TOPIC]))
    assert told(wire)["error"]["code"] == Error.INTERNAL.number
    assert not any(feed.members for feed in scene.hub.feeds.values())


def test_what_is_lost_while_the_next_is_opened_is_no_part_of_a_welcome(scene):
    open_topic = scene.world.open_topic

    async def meanwhile(user, match, *values, **named):
        if match.topic == "items:2":
            scene.hub.lose(scene.hub.feeds[TOPIC], "a test")
        return await open_topic(user, match, *values, **named)

    object.__setattr__(scene.hub.doors, "open_topic", meanwhile)
    wire = came(scene, token=token(channels=[TOPIC, "items:2"]))
    assert told(wire)["error"]["code"] == Error.INTERNAL.number


@pytest.mark.parametrize("gone", [False, True])
def test_a_revocation_while_the_next_is_opened_is_handled_before_the_welcome(scene, gone):
    """A right that a token gives is not asked for again; who the user is, is."""
    open_topic = scene.world.open_topic

    async def meanwhile(user, match, *values, **named):
        if match.topic == "items:2":
            scene.world.gone |= {"7"} if gone else set()
            scene.world.revoke("7")
            scene.world.move()
            scene.hub.take(scene.world.flying.pop())
            await scene.hub.settled()
        return await open_topic(user, match, *values, **named)

    object.__setattr__(scene.hub.doors, "open_topic", meanwhile)
    wire = came(scene, token=token(channels=[TOPIC, "items:2"]))
    scene.loop.pass_time(5)
    assert ("connect" in wire.heard[0]) is not gone


# --- Topics that are asked for


def asked(wire, topic=TOPIC, number=2, **request):
    wire.say({"id": number, "subscribe": {"channel": topic, **request}})
    return wire


def room_token(user="5", topic=TOPIC, **claims):
    return token(user, topic=topic, **claims)


@pytest.mark.parametrize(
    ("topic", "request_", "why"),
    [
        ("nowhere:1", {}, Error.UNKNOWN_CHANNEL),
        ("items:a b", {}, Error.BAD_REQUEST),
        ("$secret:1", {}, Error.PERMISSION_DENIED),
        ("$secret:a b", {}, Error.PERMISSION_DENIED),
        ("$nowhere:1", {}, Error.UNKNOWN_CHANNEL),
        ("items:a b", {"token": {"user": "6"}}, Disconnect.INVALID_TOKEN),
        (TOPIC, {"tf": {"key": "lang"}, "token": {"user": "6"}}, Disconnect.INVALID_TOKEN),
        (TOPIC, {"tf": {"key": "lang", "cmp": "no such"}}, Error.BAD_REQUEST),
        (TOPIC, {"token": "a.b.c"}, Error.PERMISSION_DENIED),
        (TOPIC, {"token": {"exp": AGO}}, Error.TOKEN_EXPIRED),
        (TOPIC, {"token": {"expire_at": AGO}}, Error.EXPIRED),
        (TOPIC, {"token": {"user": "6"}}, Disconnect.INVALID_TOKEN),
        (TOPIC, {"token": {"topic": "items:2"}}, Disconnect.INVALID_TOKEN),
        (TOPIC, {"token": {"client": "another"}}, Disconnect.INVALID_TOKEN),
    ],
    ids=str,
)
def test_a_topic_that_cannot_be_had_is_refused_with_the_reason(scene, topic, request_, why):
    wire = came(scene, user="5")
    if isinstance(request_.get("token"), dict):
        request_ = {**request_, "token": room_token(**request_["token"])}
    asked(wire, topic, **request_)
    if isinstance(why, Disconnect):
        assert wire.code == why.number
    else:
        assert told(wire, 2)["error"]["code"] == why.number
    assert scene.hub.feeds == {}


def test_public_keys_that_cannot_be_read_are_an_error_for_now(scene, monkeypatch):
    def unread(token):
        raise Unavailable

    monkeypatch.setattr(entering.tokens, "subscription", unread)
    wire = asked(came(scene, user="5"), token="a.b.c")
    assert told(wire, 2)["error"]["code"] == Error.INTERNAL.number


def test_a_token_opens_a_topic_whatever_its_rule_says(scene):
    scene.write()
    scene.world.denied.add("5")
    wire = came(scene, user="5")
    assert told(asked(wire), 2)["error"]["code"] == Error.PERMISSION_DENIED.number
    asked(wire, number=3, token=room_token(info=1))
    given = told(wire, 3)["subscribe"]
    assert given["data"]["rows"] == [1]
    assert given["ttl"] > 3000
    [member] = scene.hub.feeds[TOPIC].members
    assert (member.vouched, member.info) == (True, "1")


def test_a_token_for_this_connection_alone_is_good_and_its_data_comes_instead(scene):
    wire = came(scene, user="5")
    mine = room_token(client=wire.connection.client, data=[1], expires_in_s=None)
    given = told(asked(wire, token=mine), 2)["subscribe"]
    assert given["data"] == [1]
    assert "ttl" not in given


def test_a_token_opens_no_topic_that_cannot_be_read_now(scene):
    wire = came(scene, user="5")
    scene.world.broken = True
    asked(wire, token=room_token())
    scene.world.broken = False
    assert told(wire, 2)["error"]["code"] == Error.INTERNAL.number


@pytest.mark.parametrize(
    ("topic", "asks", "override", "found"),
    [
        # announced, hears of others, is present
        ("items:1", True, {}, (False, False, False)),
        ("talk:1", False, {}, (True, False, True)),
        ("talk:1", True, {}, (True, True, True)),
        ("journal:1", False, {}, (True, True, True)),
        ("items:1", True, {"join_leave": True, "presence": True}, (True, True, True)),
        ("talk:1", False, {"force_push_join_leave": True}, (True, True, True)),
        ("journal:1", True, {"join_leave": False, "presence": False}, (False, False, False)),
        ("journal:1", False, {"force_push_join_leave": False}, (True, False, True)),
    ],
)
def test_who_comes_and_goes_is_told_as_declared_or_as_a_token_says(
    scene, topic, asks, override, found
):
    wire = came(scene, user="5")
    said = {name: {"value": value} for name, value in override.items()}
    asked(wire, topic, join_leave=asks, token=room_token(topic=topic, override=said))
    [member] = scene.hub.feeds[topic].members
    assert (member.announced, member.join_leave, member.present) == found


@pytest.mark.parametrize(
    ("topic", "delta", "told_so"),
    [("talk:1", "fossil", True), ("talk:1", "", False), ("items:1", "fossil", False)],
)
def test_differences_are_for_who_wants_them_where_they_are_declared(scene, topic, delta, told_so):
    wire = asked(came(scene, user="5"), topic, delta=delta)
    assert told(wire, 2)["subscribe"].get("delta", False) is told_so


def test_of_the_latest_of_each_key_no_differences_are_promised(scene, monkeypatch):
    """Between two of them there may be holes."""
    monkeypatch.setattr(type(topics.match("quotes:a").declaration), "deltas", True)
    wire = asked(came(scene, user="5"), "quotes:a", delta="fossil")
    assert "delta" not in told(wire, 2)["subscribe"]


@pytest.mark.parametrize("topic", ["nowhere:1", "items:a b"])
def test_a_topic_that_is_none_is_not_given(scene, topic):
    member = SimpleNamespace(topic=topic)
    answer = scene.loop.run_until_complete(entering.give(scene.hub, member))
    assert isinstance(answer, Error)
    assert answer is not Error.INTERNAL
