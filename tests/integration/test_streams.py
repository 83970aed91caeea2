"""The HTTP transports on real servers: the stream at one process, its commands at another."""

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from django.contrib.auth import get_user_model

from realtime.engine import api, conf, tokens
from realtime.engine.broker import Broker
from realtime.notifications import actions
from realtime.protocol import client_pb2
from tests import live, processes, realtime, streams
from tests.faults.site import Redis
from tests.processes import manage, running
from tests.realtime import Client, Daphne, in_database
from tests.streams import BINARY, PATHS, Wire, by_a_page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.either]
ROOT = Path(__file__).resolve().parents[2]
STARTED_S, HEARD_S = 60.0, 30.0
TOPIC = "chat:lobby"
SECRET = "a secret that is long enough for any test"


@pytest.fixture(autouse=True)
async def _lines():
    yield
    await streams.hang_up()


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", password="ada")


@pytest.fixture
def key(ada):
    return realtime.sign_in(ada)


@pytest.fixture
def token(ada, monkeypatch):
    """For ada, at every server begun from now on."""
    monkeypatch.setenv("TOCSIN_TOKEN_SECRETS", SECRET)
    with conf.settings.override(TOKEN_SECRETS=SECRET):
        return tokens.issue(str(ada.pk))


@contextlib.asynccontextmanager
async def two_servers():
    """Begun after the log was emptied, so that no hub has to send its clients away."""
    servers = [Daphne(), Daphne()]
    try:
        for server in servers:
            await live.eventually(server.up, STARTED_S)
        yield servers
    finally:
        for server in servers:
            server.stop()


@contextlib.asynccontextmanager
async def serving(**environment):
    """One process as `manage.py serve` runs it; its port, its lines."""
    port = processes.free_port()
    words = manage("serve", "--workers", "1", "--port", str(port))
    with running(*words, **{**realtime.environment(), **environment}) as program:
        program.port = port
        address = f"http://127.0.0.1:{port}/healthz"
        while not await asyncio.to_thread(lambda: processes.status(address) == 200):
            assert program.process.poll() is None, program.said
        yield program


def publish(*data):
    for one in data:
        api.publish(TOPIC, one)


def client_of(here, there, key, transport):
    return Client(Wire(here, there, transport=transport, headers=by_a_page(here, key)))


class Javascript:
    """The SDK of the pages, by HTTP streaming alone."""

    def __init__(self, here, there, form, token, count):
        told = {"origin": f"http://localhost:{here}", "emulation": f"http://localhost:{there}/emulation",
                "form": form, "token": token, "topic": TOPIC, "count": count}  # fmt: skip
        node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
        command = (node, "tests/js/stream.js", json.dumps(told))
        self.program = processes.Running(command, {})

    def lines(self, what):
        said = [json.loads(line) for line in self.program.lines if line.startswith("{")]
        return [line[what] for line in said if what in line]


async def test_every_form_hears_all_once_while_it_speaks_to_another_process(key, token):
    said = [{"n": number, "text": "é😀\n\r"} for number in range(30)]
    async with two_servers() as (first, second), live.relaying(Broker()):
        here, there = first.port, second.port
        clients = [client_of(here, there, key, transport) for transport in PATHS]
        programs = [
            Javascript(here, there, form, token, len(said)) for form in ("json", "protobuf")
        ]
        try:
            for client in clients:
                await client.connect()
                assert "subscribe" in await client.subscribe(TOPIC)
            for program in programs:
                subscribed = lambda program=program: program.lines("subscribed")  # noqa: E731
                await live.eventually(subscribed, HEARD_S)
            for one in said:
                await in_database(publish, one)
            for client in clients:
                await client.until(
                    lambda c=client: len(c.publications(TOPIC)) == len(said), HEARD_S
                )
                assert [pub["data"] for pub in client.publications(TOPIC)] == said
                assert set(client.wire.statuses) == {204}
            for program in programs:
                ended = lambda program=program: program.lines("disconnected")  # noqa: E731
                assert (await live.eventually(ended, HEARD_S), program.lines("heard")) == (
                    [0],
                    said,
                )
                assert program.lines("connected") == ["http_stream"]
        finally:
            for program in programs:
                program.program.close()


@pytest.mark.parametrize("transport", PATHS)
async def test_after_a_killed_process_its_client_goes_on_at_the_other(ada, key, transport):
    topic = f"inbox:#{ada.pk}"
    async with two_servers() as (first, second), live.relaying(Broker()):
        client = client_of(first.port, second.port, key, transport)
        await client.connect()
        start = (await client.subscribe(topic))["subscribe"]
        first.stop()
        assert await client.ended() == 1006
        begun = time.monotonic()
        await client.wire.send("{}")
        assert client.wire.statuses[-1] == 404
        assert time.monotonic() - begun < 5
        for title in ("one", "two"):
            await in_database(actions.notify, ada, "alert", title, "", "")
        again = client_of(second.port, second.port, key, transport)
        await again.connect()
        since = {"epoch": start["epoch"], "offset": start.get("offset", 0)}
        reply = (await again.subscribe(topic, since))["subscribe"]
        missed = reply.get("publications", [])
        await again.until(lambda: len(missed) + len(again.publications(topic)) == 2)
        heard = [pub["data"]["body"]["title"] for pub in missed + again.publications(topic)]
        assert heard == ["one", "two"]
        assert reply["recovered"]


async def test_a_frozen_redis_costs_only_the_way_to_the_other_process(key, tmp_path, monkeypatch):
    redis = Redis(tmp_path / "redis")
    redis.start()
    monkeypatch.setenv("REDIS_URL", redis.url)
    try:
        async with two_servers() as (first, second):
            near = client_of(first.port, first.port, key, "http_stream")
            far = client_of(first.port, second.port, key, "sse")
            for client in (near, far):
                await client.connect()
                assert "subscribe" in await client.subscribe(TOPIC)
            redis.signal(signal.SIGSTOP)
            assert "unsubscribe" in await near.ask(unsubscribe={"channel": TOPIC})
            begun = time.monotonic()
            await far.wire.send('{"id":9,"unsubscribe":{"channel":"chat:lobby"}}')
            assert far.wire.statuses[-1] == 503
            assert time.monotonic() - begun < 5
            redis.signal(signal.SIGCONT)
            await until_posted(far, 204)
    finally:
        redis.kill()


async def until_posted(client, status):
    end = time.monotonic() + HEARD_S
    while client.wire.statuses[-1] != status:
        assert time.monotonic() < end, client.wire.statuses
        await client.wire.send("{}")


PLANTED = "planted-where-a-token-is"
ASKED = f"cf_connect={quote(json.dumps({'id': 1, 'connect': {'token': PLANTED}}))}"
STREAM, SSE, EMULATION = PATHS["http_stream"], PATHS["sse"], "/emulation"
EVIL, BYTES = "Origin: http://evil.test", f"Content-Type: {BINARY}"
ODD = [
    ("GET", STREAM, b"", [], 405),
    ("PUT", SSE, b"", [], 405),
    ("DELETE", EMULATION, b"", [], 405),
    ("GET", EMULATION, b"", [], 405),
    ("HEAD", STREAM, b"", [], 405),
    ("BREW", STREAM, b"", [], 405),
    ("GET", SSE, b"", [], 400),
    ("GET", f"{SSE}?cf_connect=", b"", [], 400),
    ("GET", f"{SSE}?{ASKED}", b"", [EVIL], 403),
    ("GET", f"{SSE}?{ASKED}", b"", ["Origin: null"], 403),
    ("GET", f"{SSE}/?{ASKED}", b"", [], 404),
    ("OPTIONS", STREAM, b"", [], 204),
    ("OPTIONS", f"{SSE}?{ASKED}", b"", [], 204),
    ("OPTIONS", EMULATION, b"", [], 204),
    ("OPTIONS", EMULATION, b"", [EVIL], 403),
    ("POST", STREAM, b"x" * 65_537, [], 413),
    ("POST", STREAM, b"\xff", [], 400),
    ("POST", EMULATION, b"x" * 65_537, [], 413),
    ("POST", EMULATION, b"", [], 400),
    ("POST", EMULATION, b"{}", [], 400),
    ("POST", EMULATION, b"[" * 60_000, [], 400),
    ("POST", EMULATION, b"\xff\xff", [BYTES], 400),
    ("POST", EMULATION, b"", [BYTES], 404),
    ("POST", EMULATION, b'{"session":"\xc3\xa9","node":"\\u0000","data":"{}"}', [], 404),
    ("POST", EMULATION, b'{"session":"a","node":"b","data":"{}"}', ["Daphne-Root-Path: /x"], 404),
]
UPGRADE = [
    *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
    *("Sec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==", "Daphne-Root-Path: /x"),
]
FATAL = [
    ("POST", STREAM, b"", []),
    ("POST", STREAM, b"[]", []),
    ("POST", STREAM, b"{}\n\n{}", []),
    ("POST", STREAM, b"{}", [BYTES]),
    ("POST", STREAM, b"\xff" * 65_536, [BYTES]),
    ("GET", f"{SSE}?cf_connect=%FF%00", b"", []),
    ("GET", f"{SSE}?{ASKED}", b"", []),
]


async def test_whatever_comes_it_is_answered_and_nothing_is_told_that_is_secret():
    async with serving(TOCSIN_TOKEN_SECRETS=SECRET) as server:
        for method, path, body, headers, status in ODD:
            answer = await streams.ask(server.port, method, path, body, headers)
            said = b"" if method == "HEAD" else await answer.body()
            assert (answer.status, method, path) == (status, method, path)
            assert PLANTED.encode() not in said
            answer.cut()
        socket = await streams.ask(server.port, "GET", "/connection/websocket", headers=UPGRADE)
        assert socket.status == 101
        for method, path, body, headers in FATAL:
            answer = await streams.ask(server.port, method, path, body, headers)
            said = b"".join([chunk async for chunk in chunks_of(answer)])
            assert answer.status == 200
            assert b"bad request" in said or b"invalid token" in said, (path, said)
        assert await asyncio.to_thread(server.end) == 0
    assert PLANTED not in server.said
    assert "Traceback" not in server.said, server.said


async def chunks_of(answer):
    async with asyncio.timeout(HEARD_S):
        while chunk := await answer.chunk():
            yield chunk


async def test_a_server_that_stops_sends_its_streams_elsewhere_and_waits_for_none(key):
    async with serving(TOCSIN_DRAIN_S="0.2", TOCSIN_CONNECT_S="600") as server:
        here = server.port
        client = client_of(here, here, key, "http_stream")
        await client.connect()
        silent = await streams.ask(here, "POST", STREAM, b'{"id":1,"connect":{}}', by_a_page(here))
        assert b"unauthorized" in await silent.chunk()
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert await client.ended() == 3001
        assert b"3001" in b"".join([chunk async for chunk in chunks_of(silent)])
        assert await asyncio.to_thread(server.process.wait, HEARD_S) == 0
        assert time.monotonic() - begun < 5  # the time that requests in flight would have


async def test_who_reads_nothing_is_cut_off_within_a_bound(key):
    bounds = {"TOCSIN_UNSENT_BYTES": "65536", "TOCSIN_SLOW_S": "0.5"}
    async with serving(**bounds) as server, live.relaying(Broker()):
        client = client_of(server.port, server.port, key, "http_stream")
        await client.connect()
        await client.subscribe(TOPIC)
        client.wire.answer.writer.transport.pause_reading()
        await in_database(publish, *["x" * 50_000] * 40)
        closed = lambda: "code=3008" in server.said  # noqa: E731
        await live.eventually(closed, HEARD_S)
        await client.wire.send("{}")
        assert client.wire.statuses[-1] == 404
        assert "Traceback" not in server.said


async def test_answers_to_pings_that_nobody_has_read_do_not_help(key):
    """What has not left the process counts, whatever a client says of itself."""
    bounds = {"TOCSIN_UNSENT_BYTES": "65536", "TOCSIN_SLOW_S": "0.5"}
    async with serving(**bounds) as server, live.relaying(Broker()):
        client = client_of(server.port, server.port, key, "http_stream")
        await client.connect()
        await client.subscribe(TOPIC)
        client.wire.answer.writer.transport.pause_reading()
        end = time.monotonic() + HEARD_S
        while "code=3008" not in server.said:
            assert time.monotonic() < end
            await in_database(publish, *["x" * 60_000] * 5)
            await client.wire.send("{}")


async def test_overlapping_requests_are_all_answered(key):
    async with two_servers() as (first, second):
        client = client_of(first.port, second.port, key, "http_stream")
        await client.connect()
        asked = [{"id": 100 + n, "presence": {"channel": f"none:{n}"}} for n in range(40)]
        await asyncio.gather(*(client.wire.send(json.dumps(one)) for one in asked))
        for one in asked:
            await client.until(lambda one=one: client.reply(one["id"]))
        assert client.wire.statuses == [204] * len(asked)
        replies = [reply["id"] for reply in client.heard if reply.get("id", 0) >= 100]
        assert sorted(replies) == [one["id"] for one in asked]


async def test_bytes_are_spoken_across_processes(key):
    async with two_servers() as (first, second):
        command = client_pb2.Command(id=1, connect=client_pb2.ConnectRequest())
        headers = [*by_a_page(first.port, key), BYTES]
        opened = await streams.ask(first.port, "POST", STREAM, framed(command), headers)
        connected = unframed(await opened.chunk()).connect
        asked = client_pb2.Command(id=2, subscribe=client_pb2.SubscribeRequest(channel=TOPIC))
        body = client_pb2.EmulationRequest(
            node=connected.node, session=connected.session, data=framed(asked)
        )
        sent = body.SerializeToString()
        assert await streams.post(second.port, sent, kind=BINARY) == 204
        reply = unframed(await opened.chunk())
        assert (reply.id, reply.HasField("subscribe")) == (2, True)
        opened.cut()
        await live.eventually(lambda: "tocsin_connections 0.0" in first.get("/metrics")[1])


def framed(command):
    body = command.SerializeToString()
    assert len(body) < 128
    return bytes([len(body)]) + body


def unframed(chunk):
    """The one reply of a chunk, which is whole."""
    size, start = chunk[0], 1
    if size > 127:
        size, start = (size & 0x7F) | chunk[1] << 7, 2
    assert len(chunk) == start + size
    return client_pb2.Reply.FromString(chunk[start:])
