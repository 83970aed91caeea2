"""The whole protocol, as clients of both forms see it: who comes in, what they hear, what not."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from django.contrib.auth import get_user_model

from realtime.engine import conf, rpc, tokens
from realtime.engine.api import position, publish
from realtime.engine.broker import Broker
from realtime.engine.doors import real as real_doors
from realtime.engine.doors import tuning
from realtime.engine.hub import Hub
from realtime.protocol.session import GRACE_S
from tests import frames, live, realtime
from tests.app import rpc as calls
from tests.realtime import PROTOBUF, connected, in_database, opened, running_hub

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "a secret that is long enough for any test"


@pytest.fixture(autouse=True)
def _secret():
    # a busy machine is not what is tested here
    patient = {"BROKER_TIMEOUT_S": 5.0, "HOLD_S": 5.0}
    with conf.settings.override(TOKEN_SECRETS=SECRET, TOKEN_LEEWAY_S=0.0, **patient):
        yield


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", password="ada")


@pytest.fixture
def key(ada):
    return realtime.sign_in(ada)


@pytest.fixture
async def way():
    """Hub and relay in this loop, with a real Redis between them."""
    async with running_hub() as hub, live.relaying(Broker()):
        yield hub


@pytest.fixture(params=["JSON", "Protobuf"])
def form(request):
    return {} if request.param == "JSON" else {"subprotocols": [PROTOBUF]}


def token_of(user, **claims):
    return tokens.issue(str(user.pk), **claims)


def published(client, topic):
    return [pub["data"] for pub in client.publications(topic)]


async def history(client, topic, **request):
    return await client.ask(history={"channel": topic, **request})


async def write(topic, *values):
    for value in values:
        await in_database(publish, topic, value)


async def kept(topic, *values):
    """Written, and in the log."""
    await write(topic, *values)

    async def top():
        return (await in_database(position, topic)).offset

    await become(top, len(values))


async def become(ask, expected):
    """Ask until the answer is this one."""
    end = time.monotonic() + realtime.DEADLINE_S
    while (found := await ask()) != expected:
        assert time.monotonic() < end, found
        await asyncio.sleep(0.01)


# --- Coming in


async def test_a_token_brings_its_user_in(way, ada, form):
    token = token_of(ada, info={"name": "Ada"})
    async with connected(token=token, origin=None, **form) as client:
        await client.subscribe("room:a")
        reply = await client.ask(presence={"channel": "room:a"})
        [info] = reply["presence"]["presence"].values()
        assert info["user"] == str(ada.pk)
        assert info["conn_info"] == {"name": "Ada"}


async def test_a_token_says_how_long_the_connection_lives(way, ada, form):
    async with opened(origin=None, **form) as client:
        reply = await client.connect(token=token_of(ada, expires_in_s=600))
        assert reply["connect"]["expires"] is True
        assert 590 <= reply["connect"]["ttl"] <= 600
    async with opened(origin=None, **form) as client:
        reply = await client.connect(token=token_of(ada, expires_in_s=None))
        assert "expires" not in reply["connect"]
    async with opened(origin=None, **form) as client:
        reply = await client.connect(token=token_of(ada, expire_at=10**12))
        assert reply["connect"]["ttl"] == 2**31 - 1


async def test_an_expired_token_is_an_error_that_makes_clients_fetch_another(way, ada, form):
    token = token_of(ada, exp=time.time() - 60)
    async with opened(origin=None, **form) as client:
        assert (await client.connect(token=token))["error"]["code"] == 109


async def test_an_expired_connection_token_that_may_still_be_used_is_refused(way, ada):
    token = token_of(ada, expire_at=time.time() - 60)
    async with opened(origin=None) as client:
        assert (await client.connect(token=token))["error"]["code"] == 110


@pytest.mark.parametrize("kind", ["forged", "rubbish", "of a topic", "of nobody", "deactivated"])
async def test_a_token_that_names_nobody_ends_the_connection_for_good(way, ada, form, kind):
    if kind == "deactivated":
        ada.is_active = False
        await in_database(ada.save)
    token = {
        "forged": token_of(ada)[:-3] + "abc",
        "rubbish": "rubbish",
        "of a topic": token_of(ada, topic="room:a"),
        "of nobody": tokens.issue("987654"),
        "deactivated": token_of(ada),
    }[kind]
    async with opened(origin=None, **form) as client:
        await client.say(id=1, connect={"token": token})
        assert await client.ended() == 3500
        assert client.heard == [{"push": {"disconnect": {"code": 3500, "reason": "invalid token"}}}]


async def test_a_stranger_may_come_where_the_site_says_so(way):
    with conf.settings.override(TOKEN_STRANGERS=True, PERSONAL_TOPIC=True):
        async with opened(origin=None) as client:
            reply = await client.connect(token=tokens.issue("a,b c"))
            # a name that nobody else's id is in
            assert list(reply["connect"]["subs"]) == ["#a%2Cb%20c"]
            assert "publish" in await client.ask(publish={"channel": "#a%2Cb%20c", "data": 1})
            reply = await client.subscribe("#a")
            assert reply["error"]["code"] == 103


async def test_without_anything_to_show_nobody_comes_in(way):
    async with opened() as client:
        assert (await client.connect())["error"]["code"] == 101


async def test_who_is_deactivated_is_cut_off_whatever_let_them_in(way, ada, key, form):
    async with (
        connected(token=token_of(ada), origin=None, **form) as program,
        connected(key, **form) as browser,
    ):
        for client in (program, browser):
            await client.subscribe("room:a", token=token_of(ada, topic="room:a"))
        ada.is_active = False
        await in_database(ada.save)
        assert await program.ended() == 3503
        assert await browser.ended() == 3503
    assert not way.feeds["room:a"].members


async def test_applications_may_add_to_the_welcome_and_refuse(way, key, form, monkeypatch):
    monkeypatch.setattr(rpc, "_doormen", [calls.greet])
    async with opened(key, **form) as client:
        reply = await client.connect(data={"ask": "name"})
        assert reply["connect"]["data"]["name"] == "ada"
        assert reply["connect"]["data"]["now"] > 0
    async with opened(key, **form) as client:
        reply = await client.connect(data={"ask": "too much"})
        assert reply["error"] == {"code": 470, "message": "not today"}


# --- Staying


async def test_a_token_can_be_renewed_and_only_by_the_same_user(way, ada, form):
    other = await in_database(get_user_model().objects.create_user, "grace", password="g")
    async with connected(token=token_of(ada, expires_in_s=60), origin=None, **form) as client:
        reply = await client.ask(refresh={"token": token_of(ada, expires_in_s=600)})
        assert reply["refresh"]["expires"] is True
        assert 590 <= reply["refresh"]["ttl"] <= 600
        assert reply["refresh"]["client"]
        await client.say(id=90, refresh={"token": token_of(other)})
        assert await client.ended() == 3500


@pytest.mark.parametrize(
    ("claims", "code"), [({"exp": 1}, 3005), ({"expire_at": 1}, 3005), ({"nbf": 10**10}, 3005)]
)
async def test_an_expired_token_renews_nothing(way, ada, claims, code):
    async with connected(token=token_of(ada, expires_in_s=60), origin=None) as client:
        await client.say(id=90, refresh={"token": token_of(ada, **claims)})
        assert await client.ended() == code


async def test_who_was_not_asked_for_a_token_sends_none(way, ada, key):
    async with connected(key) as client:
        await client.say(id=9, refresh={"token": token_of(ada, expires_in_s=60)})
        assert await client.ended() == 3501


async def test_the_end_of_a_token_ends_the_connection_after_a_grace(way, ada):
    async with connected(token=token_of(ada, expires_in_s=1), origin=None) as client:
        loop = asyncio.get_running_loop()
        now = loop.time
        loop.time = lambda: now() + GRACE_S
        try:
            assert await client.ended() == 3005
        finally:
            loop.time = now


# --- Tokens for topics


async def test_a_topic_opens_to_its_token(way, ada, key, form):
    async with connected(key, **form) as client:
        assert (await client.subscribe("$secret:a"))["error"]["code"] == 103
        for what in ("presence", "presence_stats", "history"):
            assert (await client.ask(**{what: {"channel": "$secret:a"}}))["error"]["code"] == 103
        token = token_of(ada, topic="$secret:a", info={"seat": 4}, data={"hello": 1})
        reply = await client.subscribe("$secret:a", token=token)
        assert reply["subscribe"]["data"] == {"hello": 1}
        assert reply["subscribe"]["expires"] is True
        await kept("$secret:a", "news")
        await client.until(lambda: client.publications("$secret:a"))
        reply = await client.ask(presence={"channel": "$secret:a"})
        [info] = reply["presence"]["presence"].values()
        assert info["chan_info"] == {"seat": 4}


@pytest.mark.parametrize(
    ("claims", "code"),
    [({"exp": 1}, 109), ({"nbf": 10**10}, 109), ({"expire_at": 1}, 110)],
)
async def test_a_token_for_a_topic_may_be_over(way, ada, key, claims, code):
    async with connected(key) as client:
        token = token_of(ada, topic="$secret:a", **claims)
        assert (await client.subscribe("$secret:a", token=token))["error"]["code"] == code


async def test_a_forged_token_opens_nothing_and_one_of_somebody_else_ends_it(way, ada, key):
    async with connected(key) as client:
        forged = token_of(ada, topic="$secret:a")[:-3] + "abc"
        assert (await client.subscribe("$secret:a", token=forged))["error"]["code"] == 103
    for token in (
        tokens.issue("987654", topic="$secret:a"),
        token_of(ada, topic="$secret:b"),
        token_of(ada, topic="$secret:a", client="another"),
    ):
        async with connected(key) as client:
            await client.say(id=9, subscribe={"channel": "$secret:a", "token": token})
            assert await client.ended() == 3500


async def test_a_token_says_who_is_seen_and_told_of_in_place_of_the_declaration(way, ada, key):
    quiet = {"presence": {"value": False}, "join_leave": {"value": False}}
    loud = {"force_push_join_leave": {"value": True}}
    async with connected(key) as listener, connected(key) as hidden, connected(key) as seen:
        token = token_of(ada, topic="room:a", override=loud)
        await listener.subscribe("room:a", token=token)
        await hidden.subscribe("room:a", token=token_of(ada, topic="room:a", override=quiet))
        await seen.subscribe("room:a")
        # its own, that it did not ask for, and of the last to come; of the one between nothing
        await listener.until(lambda: len(listener.pushes("join", "room:a")) == 2)

        async def stats():
            return (await seen.ask(presence_stats={"channel": "room:a"}))["presence_stats"]

        await become(stats, {"num_clients": 2, "num_users": 1})


async def test_a_subscription_is_renewed_by_a_new_token(way, ada, key, form):
    async with connected(key, **form) as client:

        async def renew(**claims):
            token = token_of(ada, topic="$secret:a", **claims)
            return await client.ask(sub_refresh={"channel": "$secret:a", "token": token})

        assert (await renew())["error"]["code"] == 103
        await client.subscribe("$secret:a", token=token_of(ada, topic="$secret:a"))
        reply = await renew(expires_in_s=600)
        assert 590 <= reply["sub_refresh"]["ttl"] <= 600
        assert (await renew(expires_in_s=None))["sub_refresh"] == {}
        assert (await renew(exp=1))["error"] == {
            "code": 109, "message": "token expired", "temporary": True,
        }  # fmt: skip
        reply = await client.ask(sub_refresh={"channel": "$secret:a", "token": ""})
        assert reply["error"]["code"] == 107
        await client.say(id=99, sub_refresh={"channel": "$secret:a", "token": "rubbish"})
        assert await client.ended() == 3500


async def test_a_subscription_ends_with_its_token_and_the_client_may_ask_anew(way, ada, key):
    async with connected(key) as client:
        token = token_of(ada, topic="$secret:a", expires_in_s=1)
        await client.subscribe("$secret:a", token=token)
        loop = asyncio.get_running_loop()
        now = loop.time
        loop.time = lambda: now() + GRACE_S
        try:
            await client.until(lambda: client.pushes("unsubscribe", "$secret:a"))
        finally:
            loop.time = now
        [push] = client.pushes("unsubscribe", "$secret:a")
        assert push == {"code": 2501, "reason": "subscription expired"}


# --- What the server gives


async def test_a_token_brings_topics_of_its_own(way, ada, form):
    token = token_of(
        ada,
        channels=["journal:a", "journal:a"],
        subs={"room:b": {"info": {"seat": 1}, "data": {"hello": 2}}},
    )
    async with opened(origin=None, **form) as client:
        reply = await client.connect(token=token)
        subs = reply["connect"]["subs"]
        assert subs["journal:a"]["recoverable"] is True
        assert subs["room:b"] == {"data": {"hello": 2}}
        await write("journal:a", 1)
        await client.until(lambda: client.publications("journal:a"))
        assert (await client.subscribe("room:b"))["error"]["code"] == 105
        assert (await client.ask(unsubscribe={"channel": "room:b"}))["unsubscribe"] == {}
        assert "subscribe" in await client.subscribe("room:b")


async def test_ones_personal_topic_goes_on_where_one_left(way, ada, form):
    topic = f"#{ada.pk}"
    with conf.settings.override(PERSONAL_TOPIC=True):
        async with opened(origin=None, **form) as client:
            reply = await client.connect(token=token_of(ada))
            assert list(reply["connect"]["subs"]) == [topic]
            place = reply["connect"]["subs"][topic]
            await client.until(lambda: client.pushes("join", topic))
            await client.ask(publish={"channel": topic, "data": 1})
            await client.until(lambda: client.publications(topic))
            assert len(client.pushes("join", topic)) == 1
        async with opened(origin=None, **form) as client:
            since = {"recover": True, "offset": 0, "epoch": place["epoch"]}
            reply = await client.connect(token=token_of(ada), subs={topic: since})
            found = reply["connect"]["subs"][topic]
            assert found["recovered"] is True
            assert [pub["data"] for pub in found["publications"]] == [1]
            # the position of somebody else's topic grants nothing
        async with opened(origin=None, **form) as client:
            reply = await client.connect(token=token_of(ada), subs={"room:a": {"recover": True}})
            assert list(reply["connect"]["subs"]) == [topic]


async def test_more_topics_than_allowed_end_the_connection(way, ada):
    with conf.settings.override(TOPICS_PER_CONNECTION=2):
        async with opened(origin=None) as client:
            token = token_of(ada, channels=["room:a", "room:b", "room:c"])
            await client.say(id=1, connect={"token": token})
            assert await client.ended() == 3505


async def test_a_log_begun_anew_makes_who_was_given_its_topic_come_back(way, ada):
    async with connected(token=token_of(ada, channels=["journal:a"]), origin=None) as client:
        way.lose(way.feeds["journal:a"], "a test")
        assert await client.ended() == 3010


async def test_a_topic_lost_while_the_next_one_is_opened_is_not_given(way, ada):
    give = way.enter

    async def enter(member, **named):
        if member.topic == "room:b":
            way.lose(way.feeds["journal:a"], "a test")
        return await give(member, **named)

    way.enter = enter
    async with opened(origin=None) as client:
        reply = await client.connect(token=token_of(ada, channels=["journal:a", "room:b"]))
        assert reply["error"]["code"] == 100


async def test_who_goes_before_it_is_in_leaves_nothing(way, ada):
    arrived = asyncio.Event()
    give = way.enter

    async def enter(member, **named):
        feed = await give(member, **named)
        if member.topic == "room:b":
            arrived.set()
            await asyncio.Event().wait()
        return feed

    way.enter = enter
    async with opened(origin=None) as client:
        token = token_of(ada, channels=["journal:a", "room:b"])
        await client.say(id=1, connect={"token": token})
        await arrived.wait()
    assert not way.feeds["journal:a"].members
    assert not way.feeds["room:b"].members
    assert len(way.rights.register) == 0
    assert not way.users._taken


# --- Publish


async def test_what_a_client_publishes_is_kept_with_who_said_it(way, ada, key, form):
    async with connected(key, **form) as client, connected(key) as reader:
        await client.subscribe("journal:a")
        await reader.subscribe("journal:a")
        for number in range(5):
            assert (await client.ask(publish={"channel": "journal:a", "data": number})) == {
                "id": number + 3, "publish": {},
            }  # fmt: skip
        await reader.until(lambda: len(reader.publications("journal:a")) == 5)
        pubs = reader.publications("journal:a")
        assert [pub["data"] for pub in pubs] == [0, 1, 2, 3, 4]
        assert [pub["offset"] for pub in pubs] == [1, 2, 3, 4, 5]
        assert {pub["info"]["user"] for pub in pubs} == {str(ada.pk)}


async def test_publications_of_one_frame_keep_their_order(way, key):
    for topic in ("journal:a", "room:a"):
        async with connected(key) as client:
            await client.subscribe(topic)
            lines = [
                frames.command(str, {"id": 10 + n, "publish": {"channel": topic, "data": n}})
                for n in range(20)
            ]
            await client.wire.send("\n".join(lines))
            await client.until(lambda: len(client.publications(topic)) == 20)  # noqa: B023
            assert published(client, topic) == list(range(20))


async def test_what_nobody_keeps_is_passed_on_in_both_forms(way, key):
    async with connected(key) as client, connected(key, subprotocols=[PROTOBUF]) as other:
        for one in (client, other):
            await one.subscribe("room:a")
        await client.ask(publish={"channel": "room:a", "data": {"from": "JSON"}})
        await other.ask(publish={"channel": "room:a", "data": {"from": "Protobuf"}})
        for one in (client, other):
            await one.until(lambda: len(one.publications("room:a")) == 2)  # noqa: B023
            pubs = one.publications("room:a")
            assert [pub["data"] for pub in pubs] == [{"from": "JSON"}, {"from": "Protobuf"}]
            assert all("offset" not in pub for pub in pubs)


async def test_bytes_reach_who_can_read_them_and_end_who_cannot(way, key):
    async with (
        connected(key) as text,
        connected(key, subprotocols=[PROTOBUF]) as reader,
        connected(key, subprotocols=[PROTOBUF]) as writer,
    ):
        for client in (text, reader):
            await client.subscribe("room:a")
        await writer.ask(publish={"channel": "room:a", "data": b"\xff\x00"})
        await reader.until(lambda: reader.publications("room:a"))
        assert published(reader, "room:a") == [b"\xff\x00"]
        assert await text.ended() == 3506
        reply = await writer.ask(publish={"channel": "journal:a", "data": b"\xff\x00"})
        assert reply["error"]["code"] == 107


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"channel": "room:quiet", "data": 1}, 103),
        ({"channel": "journal:of:#999", "data": 1}, 103),
        ({"channel": "chat:lobby", "data": 1}, 103),
        ({"channel": "quotes:all", "data": 1}, 103),
        ({"channel": "nowhere:1", "data": 1}, 102),
        ({"channel": "room:a b", "data": 1}, 107),
        ({"channel": "room:a"}, 107),
        ({"channel": "room:a", "data": "é" * 60}, 107),
        ({"channel": "room:a", "data": 1, "type": 1}, 108),
    ],
)
async def test_what_may_not_be_published_is_refused(way, key, request_, code):
    with conf.settings.override(PUBLISH_BYTES=100):
        async with connected(key) as client:
            if "é" in str(request_.get("data")):
                # as it stands, two bytes a character
                await client.wire.send(
                    '{"id":2,"publish":{"channel":"room:a","data":"%s"}}' % ("é" * 60)
                )
                reply = await client.until(lambda: client.reply(2))
            else:
                reply = await client.ask(publish=request_)
            assert reply["error"]["code"] == code


@pytest.mark.parametrize("data", ['"\\u0000"', "1e400", "[" * 200 + "]" * 200, '"\\ud83d\\ude00"'])
async def test_odd_json_is_kept_or_refused_but_never_an_error_of_ours(way, key, data):
    async with connected(key) as client:
        await client.subscribe("journal:a")
        start = '{"id":9,"publish":{"channel":"journal:a","data":'
        await client.wire.send(f"{start}{data}}}}}")
        reply = await client.until(lambda: client.reply(9))
        assert reply.get("error", {}).get("code") in {None, 107}, reply
        if "error" not in reply:
            await client.until(lambda: client.publications("journal:a"))


async def test_who_publishes_too_fast_is_told(way, key):
    with conf.settings.override(PUBLISH_PER_S=0.001, PUBLISH_BURST=2):
        async with connected(key) as client:
            replies = [await client.ask(publish={"channel": "room:a", "data": n}) for n in range(3)]
            assert replies[2]["error"] == {
                "code": 111, "message": "too many requests", "temporary": True,
            }  # fmt: skip
            assert all("publish" in reply for reply in replies[:2])


# --- History


async def test_the_history_of_a_topic_can_be_read_from_either_end(way, key, form):
    async with connected(key, **form) as client:
        await kept("journal:a", *range(1, 5))

        async def read(**request):
            found = (await history(client, "journal:a", **request))["history"]
            assert found["offset"] == 4
            assert found["epoch"]
            return [pub["data"] for pub in found.get("publications", [])]

        assert await read() == []
        assert await read(limit=-1) == [1, 2, 3, 4]
        assert await read(limit=2) == [1, 2]
        assert await read(limit=2, reverse=True) == [4, 3]
        assert await read(limit=9, since={"offset": 2}) == [3, 4]
        assert await read(limit=9, since={"offset": 3}, reverse=True) == [2, 1]
        with conf.settings.override(HISTORY_LIMIT=1):
            assert await read(limit=-1) == [1]
        bad = {"offset": 2, "epoch": "another1"}
        assert (await history(client, "journal:a", since=bad))["error"]["code"] == 112
        reply = await history(client, "journal:a", since={"offset": 0}, reverse=True)
        assert reply["error"]["code"] == 107


@pytest.mark.parametrize(
    ("topic", "code"),
    [("room:a", 108), ("nowhere:1", 102), ("journal:closed", 103), ("journal:of:#999", 103)],
)
async def test_history_is_not_for_everybody(way, key, topic, code):
    async with connected(key) as client:
        reply = await history(client, topic, limit=-1, since={"offset": 1, "epoch": "another1"})
        assert reply["error"]["code"] == code


# --- Presence, joins and leaves


@asynccontextmanager
async def another_hub():
    """Another process, as far as Redis can tell."""
    other = Hub(real_doors(), tuning())
    try:
        yield other
    finally:
        await other.stop()
        await other.doors.broker.stop()


async def test_who_is_there_is_seen_by_all_processes_and_comes_and_goes_aloud(
    way, ada, key, form, monkeypatch
):
    async with another_hub() as elsewhere, connected(key, **form) as here:
        await here.subscribe("room:a", join_leave=True)
        await here.until(lambda: here.pushes("join", "room:a"))
        monkeypatch.setattr("realtime.engine.hub.current", lambda: elsewhere)
        async with connected(key) as there:
            monkeypatch.undo()
            await there.subscribe("room:a")
            await here.until(lambda: len(here.pushes("join", "room:a")) == 2)

            async def stats():
                reply = await here.ask(presence_stats={"channel": "room:a"})
                return reply["presence_stats"]

            await become(stats, {"num_clients": 2, "num_users": 1})
            everybody = (await here.ask(presence={"channel": "room:a"}))["presence"]["presence"]
            assert {info["user"] for info in everybody.values()} == {str(ada.pk)}
            assert not there.pushes("join")  # it did not ask for them
        await here.until(lambda: here.pushes("leave", "room:a"))
        await become(stats, {"num_clients": 1, "num_users": 1})
        assert len(here.pushes("leave", "room:a")) == 1


@pytest.mark.parametrize(
    ("topic", "code"), [("chat:lobby", 108), ("nowhere:1", 102), ("room:closed", 103)]
)
async def test_who_is_there_is_not_for_everybody(way, key, topic, code):
    async with connected(key) as client:
        for what in ("presence", "presence_stats"):
            assert (await client.ask(**{what: {"channel": topic}}))["error"]["code"] == code


# --- Calls and messages


async def test_a_method_is_called_as_the_user(way, ada, key, form):
    async with connected(key, **form) as client:
        for method in ("echo", "echo.async"):
            reply = await client.ask(rpc={"method": method, "data": [1]})
            assert reply["rpc"]["data"] == {"user": ada.pk, "data": [1]}
        reply = await client.ask(rpc={"method": "sold_out"})
        assert reply["error"] == {"code": 460, "message": "sold out", "temporary": True}
        assert (await client.ask(rpc={"method": "broken"}))["error"]["code"] == 100
        assert (await client.ask(rpc={"method": "unknown"}))["error"]["code"] == 104
        with conf.settings.override(RPC_S=0.01):
            assert (await client.ask(rpc={"method": "forever"}))["error"]["code"] == 100


async def test_where_there_are_no_methods_none_is_available(way, key, monkeypatch):
    monkeypatch.setattr(rpc, "_methods", {})
    async with connected(key) as client:
        assert (await client.ask(rpc={"method": "echo"}))["error"]["code"] == 108


async def test_who_calls_too_fast_is_told(way, key):
    with conf.settings.override(RPC_PER_S=0.001, RPC_BURST=1):
        async with connected(key) as client:
            await client.ask(rpc={"method": "echo"})
            assert (await client.ask(rpc={"method": "echo"}))["error"]["code"] == 111


async def test_nobody_calls_in_the_name_of_who_is_gone(way, ada, key):
    """The news of it has not come yet."""

    async def nothing():
        pass

    way.upkeep.audit = nothing
    way.upkeep.want_control = lambda offset: None
    async with connected(key) as client:
        ada.is_active = False
        await in_database(ada.save)
        for method in ("echo", "echo.async"):
            assert (await client.ask(rpc={"method": method}))["error"]["code"] == 103
        reply = await client.ask(publish={"channel": "room:a", "data": 1})
        assert reply["error"]["code"] == 103


async def test_a_message_is_heard_or_the_connection_ends(way, ada, key, form, monkeypatch):
    async with connected(key, **form) as client:
        await client.say(send={"data": 1})
        assert await client.ended() == 3508
    monkeypatch.setattr(rpc, "_listeners", [calls.hear])
    calls.heard.clear()
    async with connected(key, **form) as client:
        await client.say(send={"data": {"n": 1}})
        await live.eventually(lambda: calls.heard)
        assert [(user, data) for user, _, data in calls.heard] == [(ada.pk, {"n": 1})]


async def test_a_message_of_the_server_reaches_the_client(way, ada, key, form):
    async with connected(key, **form) as client:
        for reader in way.rights.register.readers(user=str(ada.pk)):
            reader.say('{"hello":1}')
        await client.until(lambda: client.pushes("message"))
        assert client.pushes("message") == [{"data": {"hello": 1}}]


# --- Recovery, filters, differences


async def test_the_newest_alone_is_brought_to_who_comes_back(way, key, form):
    async with connected(key, **form) as client:
        place = (await client.subscribe("newest:a"))["subscribe"]
        await client.ask(unsubscribe={"channel": "newest:a"})
        await kept("newest:a", 1, 2, 3)  # as many as it keeps
        since = {"offset": 1, "epoch": place["epoch"]}
        found = (await client.subscribe("newest:a", since, flag=3))["subscribe"]
        assert found["recovered"] is True
        assert found["offset"] == 1
        assert [(pub["offset"], pub["data"]) for pub in found["publications"]] == [(3, 3)]
        await client.ask(unsubscribe={"channel": "newest:a"})
        top = {"offset": 3, "epoch": place["epoch"]}
        found = (await client.subscribe("newest:a", top))["subscribe"]
        assert found["recovered"] is True
        assert "publications" not in found


async def test_who_would_rather_be_refused_than_miss_something_is(way, key, form):
    async with connected(key, **form) as client:
        await kept("journal:a", *range(1, 4))
        since = {"offset": 1, "epoch": "another1"}
        assert (await client.subscribe("journal:a", since, flag=3))["error"]["code"] == 112
        found = (await client.subscribe("journal:a", since))["subscribe"]
        assert "recovered" not in found
        assert found["was_recovering"] is True
        empty = (await client.subscribe("newest:b", since, flag=3))["error"]["code"]
        assert empty == 112


async def test_only_what_is_wanted_by_its_tags_is_heard(way, key, form):
    async with connected(key, **form) as client:
        node = {"key": "lang", "cmp": "eq", "val": "de"}
        place = (await client.subscribe("journal:a", tf=node))["subscribe"]
        for number, lang in enumerate(["en", "de", "en"], start=1):
            await in_database(publish, "journal:a", number, tags={"lang": lang})
        await client.until(lambda: client.publications("journal:a"))
        await client.ask(unsubscribe={"channel": "journal:a"})
        assert published(client, "journal:a") == [2]
        assert client.publications("journal:a")[0]["tags"] == {"lang": "de"}
        since = {"offset": 0, "epoch": place["epoch"]}

        async def again():
            found = (await client.subscribe("journal:a", since, tf=node))["subscribe"]
            await client.ask(unsubscribe={"channel": "journal:a"})
            return found

        found = await again()
        assert found["recovered"] is True
        assert [pub["data"] for pub in found["publications"]] == [2]
        reply = await client.subscribe("journal:a", tf={"cmp": "eq"})
        assert reply["error"]["code"] == 107
        reply = await client.subscribe("journal:a", tf=node, delta="fossil")
        assert reply["error"]["code"] == 107


async def test_differences_make_the_true_data_live_and_recovered(way, key, form):
    async with connected(key, **form) as client, connected(key) as plain:
        reply = await client.subscribe("journal:a", delta="fossil")
        assert reply["subscribe"]["delta"] is True
        await plain.subscribe("journal:a")
        said = [{"number": n, "text": "é the same again and again " * 3} for n in range(4)]
        await write("journal:a", *said)
        await client.until(lambda: len(client.raw("journal:a")) == 4)
        await plain.until(lambda: len(plain.publications("journal:a")) == 4)
        undelta = frames.Undelta()
        pubs = client.raw("journal:a")
        assert [frames.readable(undelta.data(pub)) for pub in pubs] == said
        assert [pub.get("delta", False) for pub in pubs] == [False, True, True, True]
        assert published(plain, "journal:a") == said
        found = await history(client, "journal:a", limit=-1)
        assert [pub["data"] for pub in found["history"]["publications"]] == said


async def test_where_no_differences_are_made_none_are_promised(way, key):
    async with connected(key) as client:
        reply = await client.subscribe("room:a", delta="fossil")
        assert "delta" not in reply["subscribe"]
        await client.say(id=9, subscribe={"channel": "room:b", "delta": "rsync"})
        assert await client.ended() == 3501


# --- Limits


async def test_more_subscriptions_than_allowed_are_refused(way, key, form):
    with conf.settings.override(TOPICS_PER_CONNECTION=1):
        async with connected(key, **form) as client:
            await client.subscribe("room:a")
            assert (await client.subscribe("room:a"))["error"]["code"] == 105
            assert (await client.subscribe("room:b"))["error"]["code"] == 106
            assert (await client.subscribe("x" * 256))["error"]["code"] in {106, 107}


@pytest.mark.parametrize(
    ("values", "frame", "code"),
    [
        ({"FRAME_BYTES": 100}, '{"id":2,"rpc":{"method":"%s"}}' % ("é" * 50), 3501),
        ({"FRAME_COMMANDS": 2}, "{}\n{}\n{}", 3501),
        ({"COMMANDS_BURST": 2, "COMMANDS_PER_S": 0.001}, "{}\n{}", 3013),
        ({}, b"{}", 3501),
        ({}, '{"id":2,"connect":{}}', 3501),
        ({}, '{"id":2,"subscribe":{}}', 3501),
        ({}, "rubbish", 3501),
    ],
)  # fmt: skip
async def test_what_goes_too_far_ends_the_connection(way, key, values, frame, code):
    with conf.settings.override(**values):
        async with connected(key) as client:
            await client.wire.send(frame)
            assert await client.ended() == code
            [push] = client.pushes("disconnect")
            assert push["code"] == code


async def test_more_connections_than_a_user_may_have_are_refused(way, ada, key):
    with conf.settings.override(CONNECTIONS_PER_USER=1):
        async with connected(key), opened(origin=None) as second:
            await second.say(id=1, connect={"token": token_of(ada)})
            assert await second.ended() == 3504
        async with connected(key):
            pass
