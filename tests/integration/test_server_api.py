"""The server API as its Python client sees it: cent, unmodified, on two processes of Daphne."""

import asyncio
import base64
import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import cent
import pytest
from cent import (
    BatchRequest,
    BroadcastRequest,
    ChannelsRequest,
    Disconnect,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    StreamPosition,
    SubscribeRequest,
    UnsubscribeRequest,
)
from cent.exceptions import (
    CentApiResponseError,
    CentTransportError,
    CentUnauthorizedError,
)
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from websockets.asyncio.client import connect

from realtime.engine import history, keys, pool
from realtime.engine.api import disconnect, message, subscribe, unsubscribe
from realtime.engine.conf import VERSION, settings
from realtime.protocol.messages import Position
from tests import live
from tests.processes import eventually, free_port, manage, running, status, workers
from tests.realtime import Client, Socket, database_url, in_database, sign_in

numbers = itertools.count()


class Site:
    def __init__(self, port, web, relay):
        self.port, self.web, self.relay = port, web, relay
        self.url = f"http://localhost:{port}/api"

    def client(self, *methods, topics=()):
        _, text = keys.make("test", methods or keys.METHODS, topics)
        return cent.Client(self.url, text)

    def post(self, method, body=b"{}", key="", **headers):
        """Without a client: status and what was answered."""
        if key:
            headers["X-API-Key"] = key
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{method}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    @contextlib.asynccontextmanager
    async def reader(self, name="ada", topic=""):
        """A person whose browser is connected."""
        user, _ = await in_database(User.objects.get_or_create, username=name)
        session = await in_database(sign_in, user)
        url = f"ws://localhost:{self.port}/connection/websocket"
        headers = {"Cookie": f"sessionid={session}"}
        origin = f"http://localhost:{self.port}"
        async with connect(url, origin=origin, additional_headers=headers) as socket:
            client = Client(Socket(socket))
            reply = await client.connect()
            client.user, client.id = str(user.pk), reply["connect"]["client"]
            if topic:
                reply = await client.subscribe(topic)
                assert "subscribe" in reply, reply
            yield client


@contextlib.contextmanager
def relaying():
    with running(*manage("relay"), **where()) as relay:
        relay.until("relay.leading")
        yield relay


def where():
    return {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "tests.settings"}


@contextlib.contextmanager
def serving(**environment):
    port = free_port()
    command = manage("serve", "--workers", "2", "--port", str(port))
    with running(*command, **where(), **environment) as web:
        web.until("server.started")
        eventually(lambda: status(f"http://127.0.0.1:{port}/healthz") == 200)
        yield port, web


@pytest.fixture(scope="module")
def site(django_db_setup, django_db_blocker):
    """One for all: nothing is flushed between the tests, each has topics of its own."""
    with django_db_blocker.unblock():
        live.empty()
        with relaying() as relay, serving(TOCSIN_BROKER_TIMEOUT_S="5") as (port, web):
            yield Site(port, web, relay)
            assert "Traceback" not in web.said + relay.said
            assert "tocsin_" not in web.said  # no key is ever logged
        live.close_programs()
        pool.close()
        call_command("flush", interactive=False, reset_sequences=False)
        live.empty()


@pytest.fixture
def db(django_db_blocker):
    """In the place of pytest-django's own, which would flush what the running site has read."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(autouse=True)
def _database(db):
    pass


@pytest.fixture
def room():
    return f"rooms:{next(numbers)}"


@pytest.fixture
def chat(room):
    return room.replace("rooms", "chat")


@pytest.fixture
def text(site):
    """A key that may do everything."""
    return keys.make("test", keys.METHODS)[1]


@pytest.fixture
def api(site, text):
    with cent.Client(site.url, text) as client:
        yield client


async def done(function, *values):
    """Call something that waits, beside the test's own loop."""
    return await asyncio.to_thread(function, *values)


# --- Publish


async def test_what_is_published_reaches_the_reader_and_the_history(site, api, room):
    async with site.reader(topic=room) as reader:
        said = PublishRequest(channel=room, data={"n": "é\u2028"}, tags={"lang": "de"})
        result = await done(api.publish, said)
        assert (result.offset, len(result.epoch)) == (1, 8)
        [push] = await reader.until(lambda: reader.publications(room))
        assert push == {"data": {"n": "é\u2028"}, "tags": {"lang": "de"}, "offset": 1}
        kept = await done(api.history, HistoryRequest(channel=room, limit=10))
        assert (kept.offset, kept.epoch) == (1, result.epoch)
        [one] = kept.publications
        assert (one.data, one.tags, one.offset) == ({"n": "é\u2028"}, {"lang": "de"}, 1)


@pytest.mark.parametrize("namespace", ["chat", "rooms"])
async def test_what_no_log_keeps_goes_straight_to_the_readers(site, api, namespace, room):
    topic = room.replace("rooms", namespace)
    async with site.reader(topic=topic) as reader:
        said = PublishRequest(channel=topic, data=[1], skip_history=True)
        assert (await done(api.publish, said)).epoch == ""
        [push] = await reader.until(lambda: reader.publications(topic))
        assert push == {"data": [1]}
        assert await in_database(published, topic) == []


def published(topic):
    page = history.since(topic, Position("", 0), 100)
    return [json.loads(one.data) for one in page.publications]


def b64(data):
    return base64.b64encode(data).decode()


async def test_json_in_base64_is_published_as_json(site, api, room):
    async with site.reader(topic=room) as reader:
        await done(api.publish, PublishRequest(channel=room, data=None, b64data=b64(b'{"a": 1}')))
        [push] = await reader.until(lambda: reader.publications(room))
        assert push["data"] == {"a": 1}


def test_bytes_are_for_the_topics_that_take_them(api, room, chat):
    assert api.publish(PublishRequest(channel="room:a", data=None, b64data=b64(b"\xff\x00")))
    for topic in (room, chat):
        with pytest.raises(CentApiResponseError) as refused:
            api.publish(PublishRequest(channel=topic, data=None, b64data=b64(b"\xff")))
        assert refused.value.code == 107


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"channel": "nowhere:1", "data": 1}, 102),
        ({"channel": "rooms:a b", "data": 1}, 107),
        ({"channel": "!control", "data": 1}, 107),
        ({"channel": "", "data": 1}, 107),
        ({"channel": 1, "data": 1}, 107),
        ({"data": 1}, 107),
        ({"channel": "rooms:wrong"}, 107),
        ({"channel": "rooms:wrong", "data": "a" * 65_600}, 107),
        ({"channel": "rooms:wrong", "data": 1, "b64data": "%"}, 107),
        ({"channel": "rooms:wrong", "data": 1, "tags": {"a": 1}}, 107),
        ({"channel": "rooms:wrong", "data": 1, "idempotency_key": "a" * 256}, 107),
        ({"channel": "quotes:all", "data": 1}, 108),
        ({"channel": "rooms:wrong", "data": 1, "version": 3}, 108),
        (b'{"channel": "rooms:wrong", "data": "\xff"}', 107),
        (b'{"channel": "rooms:wrong", "data": 1e999}', 107),
        (b'{"channel": "rooms:wrong", "data": ' + b"[" * 5000 + b"]" * 5000 + b"}", 107),
        (b'{"channel": "rooms:wrong", ', 107),
        (b"[]", 107),
        (b"null", 107),
    ],
)
def test_a_wrong_publish_says_what_is_wrong(site, request_, code, text):
    answered, body = site.post("publish", request_, key=text)
    assert answered == 200
    assert body["error"]["code"] == code
    assert body["error"]["message"]


def test_a_null_is_published_where_it_is_said(site, room, text):
    body = f' {{"channel": "{room}", "data": null, "tags": null, "unknown": 1}} '.encode()
    answered = site.post("publish", body, key=text)
    assert answered[1]["result"]["offset"] == 1


# --- Broadcast


async def test_a_broadcast_answers_for_each_topic(site, api, room, chat):
    topics = [f"{room}.a", "nowhere:1", chat, f"{room}.c", "quotes:all", f"{room}.a"]
    async with site.reader(topic=f"{room}.a") as reader:
        await reader.subscribe(chat)
        result = await done(api.broadcast, BroadcastRequest(channels=topics, data={"n": 1}))
        heard = [(r.error.code if r.error else r.result.offset) for r in result.responses]
        assert heard == [1, 102, 0, 1, 108, 2]
        await reader.until(lambda: len(reader.publications(f"{room}.a")) == 2)
        await reader.until(lambda: reader.publications(chat))


def test_a_broadcast_has_a_bound(api, room):
    with pytest.raises(CentApiResponseError) as refused:
        api.broadcast(BroadcastRequest(channels=[f"{room}.a"] * 1001, data=1))
    assert refused.value.code == 107


# --- Idempotency keys


def test_what_was_said_before_is_answered_again_and_not_published_again(api, room):
    once = PublishRequest(channel=room, data=1, idempotency_key="a")
    first, again = api.publish(once), api.publish(once)
    assert (first.offset, first.epoch) == (again.offset, again.epoch)
    assert first.offset == 1
    api.publish(PublishRequest(channel=room, data=2, idempotency_key="b"))
    api.publish(PublishRequest(channel=f"{room}.other", data=3, idempotency_key="a"))
    assert published(room) == [1, 2]
    assert published(f"{room}.other") == [3]


def test_a_broadcast_said_again_reaches_only_the_topics_that_it_missed(api, room):
    api.publish(PublishRequest(channel=f"{room}.b", data=0, idempotency_key="a"))
    for _ in range(2):
        request = BroadcastRequest(channels=[f"{room}.a", f"{room}.b"], data=1, idempotency_key="a")
        offsets = [r.result.offset for r in api.broadcast(request).responses]
        assert offsets == [1, 1]
    assert published(f"{room}.a") == [1]
    assert published(f"{room}.b") == [0]


def test_another_program_may_use_the_same_word(site, api, room):
    for client in (api, site.client()):
        client.publish(PublishRequest(channel=room, data=1, idempotency_key="a"))
    assert published(room) == [1, 1]


def test_many_at_once_with_one_word_publish_once(site, room, text):
    body = {"channels": [f"{room}.a", f"{room}.b"], "data": 1, "idempotency_key": "a"}
    turned = {**body, "channels": [f"{room}.b", f"{room}.a"]}
    with ThreadPoolExecutor(16) as threads:
        answers = list(
            threads.map(
                lambda n: site.post("broadcast", (body, turned)[n % 2], key=text),
                range(32),
            )
        )
    offsets = {r["result"]["offset"] for _, body in answers for r in body["result"]["responses"]}
    assert offsets == {1}
    assert published(f"{room}.a") == published(f"{room}.b") == [1]


def test_a_process_killed_in_the_middle_neither_loses_nor_repeats(site, text, room):
    words = [f"w{number}" for number in range(90)]
    kills = iter([20, 60])
    at = next(kills)

    def publish(word):
        """As a careful program does it: until it is told that it was done."""
        body = {"channel": room, "data": word, "idempotency_key": word}
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if "result" in site.post("publish", body, key=text)[1]:
                    return
        raise AssertionError(word)

    with ThreadPoolExecutor(4) as threads:
        for number, _ in enumerate(threads.map(publish, words)):
            if number == at:
                for pid in workers(site.web.process):
                    os.kill(pid, signal.SIGKILL)
                at = next(kills, None)
    assert sorted(published(room)) == sorted(words)


async def test_a_word_holds_for_what_no_log_keeps(site, api, room, chat):
    async with site.reader(topic=chat) as reader:
        twice = BroadcastRequest(channels=[chat, chat], data=0, idempotency_key="a")
        await done(api.broadcast, twice)
        for number in (1, 2):
            said = PublishRequest(channel=chat, data=number, idempotency_key="a")
            await done(api.publish, said)
        await done(api.publish, PublishRequest(channel=chat, data="end"))
        await reader.until(lambda: {"data": "end"} in reader.publications(chat))
        assert reader.publications(chat) == [{"data": 0}, {"data": "end"}]


# --- What was missed


async def test_who_missed_much_gets_it_all_though_no_client_could_send_as_much(site, api, room):
    said = {"text": "a" * 4000}
    for _ in range(50):
        last = await done(api.publish, PublishRequest(channel=room, data=said))
    async with site.reader() as reader:
        since = {"epoch": last.epoch, "offset": 0}
        reply = (await reader.subscribe(room, since))["subscribe"]
        assert reply["recovered"]
        assert [pub["data"] for pub in reply["publications"]] == [said] * 50
        assert sum(len(pub["data"]["text"]) for pub in reply["publications"]) > settings.FRAME_BYTES
        await done(api.publish, PublishRequest(channel=room, data="and then"))
        await reader.until(lambda: reader.publications(room))
        assert [pub["offset"] for pub in reader.publications(room)] == [51]


# --- History and presence


def test_history_is_read_in_pages_from_both_ends(api, room):
    for n in range(1, 6):
        last = api.publish(PublishRequest(channel=room, data=n))

    def page(**words):
        found = api.history(HistoryRequest(channel=room, **words))
        assert (found.offset, found.epoch) == (5, last.epoch)
        return [one.offset for one in found.publications]

    assert page() == []
    assert page(limit=2) == [1, 2]
    assert page(limit=-1) == [1, 2, 3, 4, 5]
    assert page(limit=2, since=StreamPosition(offset=2, epoch=last.epoch)) == [3, 4]
    assert page(limit=2, reverse=True) == [5, 4]
    assert page(limit=9, since=StreamPosition(offset=3), reverse=True) == [2, 1]
    for code, words in (
        (112, {"since": StreamPosition(offset=1, epoch="another")}),
        (107, {"since": StreamPosition(offset=0), "reverse": True}),
    ):
        with pytest.raises(CentApiResponseError) as refused:
            page(limit=1, **words)
        assert refused.value.code == code


async def test_presence_tells_who_is_there_in_all_processes(site, api, room):
    async with contextlib.AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(site.reader(name, room))
            for name in ("ada", "ada", "grace", "grace", "alan")
        ]
        expected = {reader.id: reader.user for reader in readers}

        def seen():
            found = api.presence(PresenceRequest(channel=room)).presence
            return {client: info.user for client, info in found.items()} == expected

        await done(eventually, seen)
        counted = await done(api.presence_stats, PresenceStatsRequest(channel=room))
        assert (counted.num_clients, counted.num_users) == (5, 3)


@pytest.mark.parametrize("method", ["history", "presence", "presence_stats"])
def test_what_a_topic_does_not_provide_for_is_not_available(site, method, room, text, chat):
    for topic, code in ((chat, 108), ("nowhere:a", 102)):
        _, body = site.post(method, {"channel": topic}, key=text)
        assert body["error"]["code"] == code


async def test_a_removed_history_is_read_by_nobody_and_its_readers_go_on(site, api, room):
    async with site.reader(topic=room) as reader:
        for n in (1, 2, 3):
            last = await done(api.publish, PublishRequest(channel=room, data=n))
        await reader.until(lambda: len(reader.publications(room)) == 3)
        await done(api.history_remove, HistoryRemoveRequest(channel=room))
        kept = await done(api.history, HistoryRequest(channel=room, limit=10))
        assert (kept.publications, kept.offset, kept.epoch) == ([], 3, last.epoch)
        assert (await done(api.publish, PublishRequest(channel=room, data=4))).offset == 4
        await reader.until(lambda: len(reader.publications(room)) == 4)
        for offset, recovered in ((3, [4]), (1, None)):
            async with site.reader() as late:
                since = {"offset": offset, "epoch": last.epoch}
                reply = (await late.subscribe(room, since))["subscribe"]
                assert reply.get("recovered", False) is (recovered is not None)
                found = [one["data"] for one in reply.get("publications", ())] or None
                assert found == recovered
        assert reader.pushes("unsubscribe") == []


def test_only_a_history_is_removed(site, text, chat):
    for topic, code in ((chat, 108), ("quotes:all", 108), ("nowhere:a", 102)):
        _, body = site.post("history_remove", {"channel": topic}, key=text)
        assert body["error"]["code"] == code


# --- Of a user's connections


async def everybody(site, stack, count=4, **options):
    """As many connections of Ada as reach both processes."""
    return [await stack.enter_async_context(site.reader(**options)) for _ in range(count)]


async def test_a_disconnected_user_is_gone_from_every_process(site, api):
    async with contextlib.AsyncExitStack() as stack:
        readers = await everybody(site, stack)
        other = await stack.enter_async_context(site.reader("grace"))
        await done(api.disconnect, DisconnectRequest(user=readers[0].user))
        for reader in readers:
            assert await reader.ended() == 3503
            assert reader.pushes("disconnect") == [{"code": 3503, "reason": "force disconnect"}]
        assert "subscribe" in await other.subscribe("rooms:other")


async def test_one_client_goes_and_those_on_the_list_stay(site, api):
    async with contextlib.AsyncExitStack() as stack:
        first, second, third = await everybody(site, stack, 3)
        one = DisconnectRequest(user=first.user, client=first.id)
        await done(api.disconnect, one)
        assert await first.ended() == 3503
        custom = Disconnect(code=4001, reason="come back")
        others = DisconnectRequest(user=first.user, whitelist=[third.id], disconnect=custom)
        await done(api.disconnect, others)
        assert await second.ended() == 4001
        assert second.pushes("disconnect") == [{"code": 4001, "reason": "come back"}]
        assert "subscribe" in await third.subscribe("rooms:other")
        nobody = DisconnectRequest(user=first.user, session="of somebody else")
        await done(api.disconnect, nobody)
        assert "subscribe" in await third.subscribe("rooms:another")


async def test_a_session_of_a_stream_names_its_connection(site, api):
    user, _ = await in_database(User.objects.get_or_create, username="alan")
    cookie = f"sessionid={await in_database(sign_in, user)}"
    origin = f"http://localhost:{site.port}"
    headers = {"Cookie": cookie, "Origin": origin, "Content-Type": "application/json"}
    body = b'{"id":1,"connect":{}}'

    def listen():
        url = f"{origin}/connection/http_stream"
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as said:
            session = json.loads(said.readline())["connect"]["session"]
            api.disconnect(DisconnectRequest(user=str(user.pk), session=f"{session}."))
            api.disconnect(DisconnectRequest(user=str(user.pk), session=session))
            return json.loads(said.readline())

    assert (await done(listen))["push"]["disconnect"]["code"] == 3503


@pytest.mark.parametrize(
    "words",
    [
        {"user": ""},
        {},
        {"user": 1},
        {"user": "1", "disconnect": {"code": 2999, "reason": "a"}},
        {"user": "1", "disconnect": {"code": 5000, "reason": "a"}},
        {"user": "1", "disconnect": {"code": 4000, "reason": ""}},
        {"user": "1", "disconnect": {"code": 4000, "reason": "a" * 33}},
        {"user": "1", "disconnect": {"code": 4000, "reason": "é"}},
        {"user": "1", "disconnect": {"reason": "a"}},
        {"user": "1", "whitelist": [1]},
    ],
)
def test_a_disconnect_that_no_client_could_read_is_refused(site, text, words):
    _, body = site.post("disconnect", words, key=text)
    assert body["error"]["code"] == 107


async def test_a_user_is_subscribed_and_unsubscribed_by_the_server(site, api):
    topic = "rooms:private"  # for which nobody may ask
    async with contextlib.AsyncExitStack() as stack:
        readers = await everybody(site, stack, 3)
        assert (await readers[0].subscribe(topic))["error"]["code"] == 103
        asked = SubscribeRequest(
            user=readers[0].user, channel=topic, info={"seat": 1}, data={"hello": 1}
        )
        await done(api.subscribe, asked)
        for reader in readers:
            [push] = await reader.until(lambda r=reader: r.pushes("subscribe", topic))
            assert push["data"] == {"hello": 1}
            assert push["recoverable"]

        def seen():
            found = api.presence(PresenceRequest(channel=topic)).presence
            return len(found) == 3 and all(i.chan_info == {"seat": 1} for i in found.values())

        await done(eventually, seen)
        await done(api.publish, PublishRequest(channel=topic, data=1))
        for reader in readers:
            await reader.until(lambda r=reader: r.publications(topic))
        await done(api.unsubscribe, UnsubscribeRequest(user=readers[0].user, channel=topic))
        await done(api.publish, PublishRequest(channel=topic, data=2))
        for reader in readers:
            [push] = await reader.until(lambda r=reader: r.pushes("unsubscribe", topic))
            assert push == {"code": 2000, "reason": "server unsubscribe"}
            assert len(reader.publications(topic)) == 1
        await done(eventually, lambda: not api.presence(PresenceRequest(channel=topic)).presence)


async def test_who_is_subscribed_by_the_server_goes_on_from_a_position(site, api, room):
    for n in (1, 2, 3):
        last = await done(api.publish, PublishRequest(channel=room, data=n))
    async with site.reader() as reader:
        since = StreamPosition(offset=1, epoch=last.epoch)
        asked = SubscribeRequest(user=reader.user, channel=room, recover_since=since)
        await done(api.subscribe, asked)
        await done(api.subscribe, asked)  # it holds it already
        [push] = await reader.until(lambda: reader.pushes("subscribe", room))
        assert push["recoverable"]
        heard = [one["data"] for one in push.get("publications", ())]
        heard += [one["data"] for one in reader.publications(room)]
        assert heard == [2, 3]
        await done(api.publish, PublishRequest(channel=room, data=4))
        await reader.until(lambda: {"data": 4, "offset": 4} in reader.publications(room))
        assert len(reader.pushes("subscribe", room)) == 1


@pytest.mark.parametrize("method", ["subscribe", "unsubscribe"])
def test_a_wrong_topic_or_what_is_not_offered_is_refused(site, text, method):
    for words, code in (
        ({"channel": "nowhere:a"}, 102),
        ({"channel": "rooms:a b"}, 107),
        ({}, 107),
        *(
            [({"channel": "rooms:a", "override": {"presence": {"value": True}}}, 108)]
            if method == "subscribe"
            else []
        ),
    ):
        _, body = site.post(method, {"user": "1", **words}, key=text)
        assert body["error"]["code"] == code


async def test_a_connection_is_ended_as_expired(site, api):
    async with contextlib.AsyncExitStack() as stack:
        first, second, third = await everybody(site, stack, 3)
        await done(api.refresh, RefreshRequest(user=first.user, client=first.id, expired=True))
        assert await first.ended() == 3005
        past = RefreshRequest(user=first.user, client=second.id, expire_at=1)
        await done(api.refresh, past)
        assert await second.ended() == 3005
        later = RefreshRequest(user=first.user, expire_at=int(time.time()) + 1000)
        await done(api.refresh, later)
        await done(api.refresh, RefreshRequest(user=first.user))
        assert "subscribe" in await third.subscribe("rooms:other")


def test_orders_need_a_key_for_the_topic_but_not_for_a_user(site, room):
    client = site.client("subscribe", "unsubscribe", "disconnect", topics=[room])
    assert client.subscribe(SubscribeRequest(user="0", channel=room))
    assert client.disconnect(DisconnectRequest(user="0"))
    for call, request in (
        (client.subscribe, SubscribeRequest(user="0", channel="inbox:#0")),
        (client.unsubscribe, UnsubscribeRequest(user="0", channel="inbox:#0")),
        (client.refresh, RefreshRequest(user="0")),
    ):
        with pytest.raises(CentApiResponseError) as refused:
            call(request)
        assert refused.value.code == 103


async def test_an_app_says_something_to_a_user_and_sends_them_away(site, room):
    async with site.reader() as reader:
        user = await in_database(User.objects.get, pk=reader.user)
        await in_database(say_in_vain, user)
        await in_database(message, user, {"hello": "ada"})
        await reader.until(lambda: reader.pushes("message"))
        await in_database(subscribe, user, room, data=[1])
        [given] = await reader.until(lambda: reader.pushes("subscribe", room))
        assert given["data"] == [1]
        await in_database(unsubscribe, user.pk, room, client=reader.id)
        await reader.until(lambda: reader.pushes("unsubscribe", room))
        await in_database(disconnect, user, code=4500, reason="good bye")
        assert await reader.ended() == 4500
        assert reader.pushes("message") == [{"data": {"hello": "ada"}}]


def say_in_vain(user):
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        message(user, "never")
        raise ZeroDivisionError


@pytest.mark.parametrize(("code", "reason"), [(2000, "a"), (4000, ""), (4000, "a" * 33)])
def test_an_app_is_told_of_a_reason_that_no_client_could_read(code, reason):
    with pytest.raises(ValueError, match="code"):
        disconnect(1, code=code, reason=reason)


# --- All processes


async def test_channels_tell_how_many_listen_to_what(site, api, room):
    names = [f"{room}.a", f"{room}.b", room.replace("rooms", "chat")]
    async with contextlib.AsyncExitStack() as stack:
        for topic in (*names, names[0], names[0]):
            await stack.enter_async_context(site.reader(topic=topic))

        def told(pattern, client=api):
            found = client.channels(ChannelsRequest(pattern=pattern)).channels
            return {name: one.num_clients for name, one in found.items()}

        await done(eventually, lambda: told(f"{room}.*") == {names[0]: 3, names[1]: 1})
        # the other process may have heard it a beat later
        await done(eventually, lambda: set(names) <= set(told(None)))
        few = await in_database(site.client, "channels", topics=[names[1]])
        await done(eventually, lambda: told("*", few) == {names[1]: 1})
    await done(eventually, lambda: told(f"{room}.*") == {})


async def test_info_tells_of_every_process_with_connections_until_it_ends(site, api):
    with serving() as (port, web):
        other = Site(port, web, site.relay)
        names = {f"{socket.gethostname()}_{pid}" for pid in workers(web.process)}

        def nodes():
            """Those of the other server: of the first, one test has killed some."""
            return [node for node in api.info(InfoRequest()).nodes if node.name in names]

        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(other.reader("grace"))
            clients, found = 1, []
            while len(found) < 2:  # it is chance to which process a connection comes
                assert clients < 60
                await everybody(other, stack, 6, topic="rooms:other")
                clients += 6
                found = await done(eventually, lambda: told(nodes(), clients))  # noqa: B023
            assert {node.name for node in found} == names
            assert len({node.uid for node in found}) == 2
            assert {node.version for node in found} == {VERSION}
            assert all(1 <= node.num_users <= 2 for node in found)
            assert all(node.num_channels <= 1 for node in found)
            # who ends in order is gone at once, and needs nobody's patience
            assert await done(web.end) == 0
            assert nodes() == []


def told(nodes, clients):
    """The nodes, when all so many clients are counted, and the subscriptions of all but one."""
    subs, found = sum(node.num_subs for node in nodes), sum(node.num_clients for node in nodes)
    return found == clients and subs == clients - 1 and nodes


# --- Batch


def test_a_batch_is_done_in_its_order(api, room):
    commands = [
        PublishRequest(channel=room, data=1),
        PublishRequest(channel=room, data=2),
        HistoryRequest(channel=room, limit=10),
        PresenceStatsRequest(channel=room),
    ]
    first, second, kept, count = api.batch(BatchRequest(requests=commands)).replies
    assert (first.offset, second.offset) == (1, 2)
    assert [one.data for one in kept.publications] == [1, 2]
    assert count.num_clients == 0


def test_a_batch_at_once_does_all_of_it(api, room):
    commands = [PublishRequest(channel=f"{room}.{n}", data=n) for n in range(40)]
    replies = api.batch(BatchRequest(requests=commands, parallel=True)).replies
    assert [one.offset for one in replies] == [1] * 40


def test_a_wrong_command_fails_alone(site, room):
    _, text = keys.make("test", ["publish"])
    commands = [
        {"publish": {"channel": room, "data": 1}},
        {"publish": {"channel": "nowhere:1", "data": 1}},
        {"publish": {}},
        {"info": {}},
        {"nothing": {}},
        {"batch": {"commands": []}},
        {},
        {"publish": {"channel": room, "data": 1}, "info": {}},
        {"publish": {"channel": room, "data": 2}},
    ]
    answered, body = site.post("batch", {"commands": commands}, key=text)
    assert answered == 200
    codes = [
        r["error"]["code"] if "error" in r else r["publish"]["offset"] for r in body["replies"]
    ]
    assert codes == [1, 102, 107, 103, 107, 107, 107, 107, 2]
    _, body = site.post("batch", {"commands": [{}] * 1001}, key=text)
    assert body["error"]["code"] == 107


# --- Keys


def test_without_a_good_key_nothing_is_done(site, api, room):
    with pytest.raises(CentUnauthorizedError):
        cent.Client(site.url, "wrong").publish(PublishRequest(channel=room, data=1))
    with pytest.raises(CentUnauthorizedError):
        cent.Client(site.url, "").publish(PublishRequest(channel=room, data=1))
    _, text = keys.make("gone", keys.METHODS)
    client = cent.Client(site.url, text)
    assert client.publish(PublishRequest(channel=room, data=1))
    keys.revoke(keys.named("gone"))
    with pytest.raises(CentUnauthorizedError):
        client.publish(PublishRequest(channel=room, data=1))
    assert site.post(f"publish?api_key={text}")[0] == 401
    assert published(room) == [1]


def test_a_key_may_come_as_an_authorization(site, room, text):
    body = {"channel": room, "data": 1}
    assert site.post("publish", body, Authorization=f"apikey {text}")[1]["result"]["offset"] == 1
    assert site.post("publish", body, Authorization=f"Bearer {text}")[0] == 401


def test_a_key_is_for_its_methods_and_topics(site, room):
    client = site.client("publish", "broadcast", topics=[f"{room}.a"])
    assert client.publish(PublishRequest(channel=f"{room}.a1", data=1))
    for call, request in (
        (client.publish, PublishRequest(channel=f"{room}.b", data=1)),
        (client.history, HistoryRequest(channel=f"{room}.a1")),
    ):
        with pytest.raises(CentApiResponseError) as refused:
            call(request)
        assert refused.value.code == 103
    request = BroadcastRequest(channels=[f"{room}.a1", f"{room}.b", "!control"], data=1)
    answers = client.broadcast(request).responses
    assert [one.error and one.error.code for one in answers] == [None, 103, 103]
    assert published(f"{room}.b") == []


# --- HTTP


def test_other_requests_are_told_so_by_http(site, api, text):
    key = {"X-API-Key": text}
    assert site.post("nothing", **key)[0] == 404
    assert site.post("publish", b"a" * (1024 * 1024 + 1), **key)[0] == 413
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{site.url}/publish", timeout=10)
    assert refused.value.code == 405
    with pytest.raises(CentTransportError) as unknown:
        api.block_user(cent.BlockUserRequest(user="1"))
    assert unknown.value.status_code == 404


async def test_the_asynchronous_client_works_as_well(site, room, text, chat):
    async with cent.AsyncClient(site.url, text) as client:
        first = await client.publish(PublishRequest(channel=room, data=1))
        kept = await client.history(HistoryRequest(channel=room, limit=1))
        assert (kept.offset, kept.epoch) == (1, first.epoch)
        commands = [PublishRequest(channel=room, data=n) for n in (2, 3)]
        replies = (await client.batch(BatchRequest(requests=commands))).replies
        assert [one.offset for one in replies] == [2, 3]
        with pytest.raises(CentApiResponseError):
            await client.presence(PresenceRequest(channel=chat))


# --- Without Redis


async def test_without_redis_what_is_kept_is_published_and_nothing_else_is_promised(
    site, room, text
):
    with serving(REDIS_URL="unix:///nowhere/redis.sock?db=0") as (port, web):
        away = Site(port, web, site.relay)
        async with away.reader(topic=room) as reader:
            with cent.Client(away.url, text) as api:
                said = PublishRequest(channel=room, data=1, idempotency_key="a")
                assert (await done(api.publish, said)).offset == 1
                await reader.until(lambda: reader.publications(room))
                for call, request in (
                    (api.publish, said.model_copy(update={"channel": "chat:a"})),
                    (api.presence, PresenceRequest(channel=room)),
                    (api.presence_stats, PresenceStatsRequest(channel=room)),
                    (api.channels, ChannelsRequest()),
                    (api.info, InfoRequest()),
                ):
                    with pytest.raises(CentApiResponseError) as refused:
                        await done(call, request)
                    assert refused.value.code == 100
                asked = SubscribeRequest(user=reader.user, channel="chat:a", data=1)
                await done(api.subscribe, asked)
                await reader.until(lambda: reader.pushes("subscribe", "chat:a"))
                await done(api.disconnect, DisconnectRequest(user=reader.user))
                assert await reader.ended() == 3503
        # what came to nothing may be said again
    async with site.reader(topic="chat:a") as reader:
        with cent.Client(site.url, text) as api:
            await done(api.publish, said.model_copy(update={"channel": "chat:a"}))
        await reader.until(lambda: reader.publications("chat:a"))
