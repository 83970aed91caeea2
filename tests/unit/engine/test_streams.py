"""A connection over a response: what its client reads, and by what it speaks."""

import asyncio
import json
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from realtime.engine import streams
from realtime.engine.conf import settings
from realtime.engine.connection import Connection
from realtime.protocol import client_pb2
from realtime.protocol.codes import Disconnect
from tests.unit.engine.world import TOPIC, World
from tests.virtual import VirtualLoop

CONNECT = '{"id":1,"connect":{}}'
HOST, ORIGIN = (b"host", b"localhost"), (b"origin", b"http://localhost")
COOKIE, FETCHED = (b"cookie", b"sessionid=5"), (b"sec-fetch-site", b"same-origin")
BINARY = (b"content-type", b"application/octet-stream; x=y")


class Request:
    """A request under way: `scene.ask` lets it run until nothing happens any more."""

    def __init__(self, scene, application, body, scope):
        self._inbox = asyncio.Queue()
        self.said = []
        self._inbox.put_nowait({"type": "http.request", "body": body, "more_body": False})
        work = application(scope, self._inbox.get, self._take)
        self.task = scene.loop.create_task(work)
        self.scene = scene

    async def _take(self, message):
        self.said.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._inbox.put_nowait({"type": "http.disconnect"})

    def leave(self):
        self._inbox.put_nowait({"type": "http.disconnect"})
        self.scene.loop.pass_time(0.01)

    @property
    def status(self):
        return self.said[0]["status"]

    @property
    def headers(self):
        return dict(self.said[0]["headers"])

    @property
    def chunks(self):
        return [message["body"] for message in self.said[1:] if message["body"]]

    @property
    def ended(self):
        return not self.said[-1].get("more_body")

    @property
    def heard(self):
        return [json.loads(line) for line in b"".join(self.chunks).splitlines()]

    @property
    def welcome(self):
        return next(reply["connect"] for reply in self.heard if "connect" in reply)


class Scene:
    def __init__(self):
        self.loop, self.world = VirtualLoop(), World()
        self.hub = self.world.hub()

    def ask(self, application, body=b"", *, method="POST", query=b"", headers=(), **scope):
        found = [HOST, *headers]
        scope = {"type": "http", "http_version": "1.1", "method": method, "headers": found,
                 "query_string": query, "client": ("192.0.2.1", 5), **scope}  # fmt: skip
        request = Request(self, application, body, scope)
        self.loop.pass_time(0.01)
        return request

    def open(self, first=CONNECT, headers=(ORIGIN, COOKIE), **named):
        return self.ask(streams.http_stream, first.encode(), headers=headers, **named)

    def post(self, stream, *commands):
        data = "\n".join(json.dumps(command) for command in commands)
        session, node = stream.welcome["session"], stream.welcome["node"]
        body = json.dumps({"session": session, "node": node, "data": data}).encode()
        return self.ask(streams.emulated, body).status


@pytest.fixture
def scene(monkeypatch):
    scene = Scene()
    monkeypatch.setattr(streams.hub, "current", lambda: scene.hub)
    yield scene
    left = asyncio.all_tasks(scene.loop)
    for task in left:
        task.cancel()
    scene.loop.run_until_complete(asyncio.wait({*left, scene.loop.create_task(asyncio.sleep(0))}))
    scene.loop.run_until_complete(scene.hub.stop())
    scene.loop.close()


def test_a_stream_speaks_in_lines_and_hears_by_requests(scene):
    stream = scene.open()
    assert (stream.status, stream.headers[b"content-type"]) == (200, b"application/json")
    assert scene.post(stream, {"id": 2, "subscribe": {"channel": TOPIC}}) == 204
    assert "subscribe" in stream.heard[-1]
    assert all(chunk.endswith(b"\n") for chunk in stream.chunks)
    assert not stream.ended


def test_the_session_is_told_to_its_client_alone_and_never_twice(scene):
    first, second = scene.open(), scene.open()
    assert first.welcome["node"] == second.welcome["node"] == scene.hub.emulation.node
    assert first.welcome["session"] != second.welcome["session"]
    assert len(first.welcome["session"]) >= 40


def test_events_come_one_for_each_reply_after_a_preamble(scene):
    query = b"cf_connect=" + quote(CONNECT + '\n{"id":2,"subscribe":{"channel":"no:1"}}').encode()
    stream = scene.ask(streams.sse, method="GET", query=query, headers=[FETCHED, COOKIE])
    assert stream.headers[b"content-type"] == b"text/event-stream"
    assert stream.chunks[0] == b"\r\n"
    events = b"".join(stream.chunks[1:]).decode().removesuffix("\n\n").split("\n\n")
    replies = [json.loads(event.removeprefix("data: ")) for event in events]
    assert [reply["id"] for reply in replies] == [1, 2]


def test_events_may_be_asked_for_without_a_secret_in_the_address(scene):
    stream = scene.ask(streams.sse, CONNECT.encode(), headers=[ORIGIN, COOKIE])
    assert b'"session"' in b"".join(stream.chunks)


def test_bytes_come_as_messages_behind_their_length(scene):
    command = client_pb2.Command(id=1, connect=client_pb2.ConnectRequest()).SerializeToString()
    body = bytes([len(command)]) + command
    stream = scene.ask(streams.http_stream, body, headers=[ORIGIN, COOKIE, BINARY])
    assert stream.headers[b"content-type"] == b"application/octet-stream"
    said = b"".join(stream.chunks)
    size = said[0] & 0x7F | said[1] << 7 if said[0] > 127 else said[0]
    reply = client_pb2.Reply.FromString(said[1 + (said[0] > 127) :])
    assert size == reply.ByteSize()
    posted = client_pb2.EmulationRequest(
        node=reply.connect.node, session=reply.connect.session, data=b"\x02\x08\x02"
    )
    answer = scene.ask(streams.emulated, posted.SerializeToString(), headers=[BINARY])
    assert answer.status == 204
    assert stream.ended  # a command without a request is fatal
    last = client_pb2.Reply.FromString(stream.chunks[-1][1:])
    assert last.push.disconnect.code == 3501


def test_what_is_not_ascii_is_escaped_as_json_escapes_it():
    said = '{"data":"é😀 \\" 漢","x":"\ud800"}'
    chunk = streams._lines(said)
    assert chunk.isascii()
    assert json.loads(chunk) == json.loads(said)


@pytest.mark.parametrize("frame", ["", "{", "null", '{"id":1,"ping":{}}', "\x00"])
def test_a_bad_first_frame_is_told_in_the_stream(scene, frame):
    stream = scene.open(frame)
    assert stream.heard[-1]["push"]["disconnect"]["code"] == 3501
    assert stream.ended
    assert stream.task.done()


@pytest.mark.parametrize("query", [b"", b"cf_connect=", b"cf_connect", b"x=1"])
def test_events_without_a_first_frame_are_a_bad_request(scene, query):
    assert scene.ask(streams.sse, method="GET", query=query).status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"session":1}'])
def test_a_request_that_brings_no_commands_is_a_bad_one(scene, body):
    assert scene.ask(streams.emulated, body).status == 400


def test_a_text_that_is_none_is_a_bad_request(scene):
    assert scene.ask(streams.http_stream, b"\xff").status == 400


def test_an_unknown_session_is_not_found(scene):
    body = json.dumps({"session": "s", "node": scene.hub.emulation.node, "data": "{}"}).encode()
    assert scene.ask(streams.emulated, body).status == 404


def test_after_its_stream_a_session_is_unknown(scene):
    stream = scene.open()
    stream.leave()
    assert stream.task.done()
    assert len(scene.hub.rights.register) == 0
    assert scene.post(stream, {}) == 404


@pytest.mark.parametrize(
    ("headers", "user"),
    [
        ([ORIGIN, COOKIE], True),
        ([FETCHED, COOKIE], True),
        ([COOKIE], False),
        ([(b"sec-fetch-site", b"none"), COOKIE], False),
        ([(b"sec-fetch-site", b"same-site"), COOKIE], False),
        ([(b"sec-fetch-site", b"cross-site"), COOKIE], False),
        ([FETCHED, (b"sec-fetch-site", b"cross-site"), COOKIE], False),
    ],
)
def test_the_cookie_counts_only_where_a_page_of_the_site_asks(scene, headers, user):
    query = b"cf_connect=" + quote(CONNECT).encode()
    scene.ask(streams.sse, method="GET", query=query, headers=headers)
    assert bool(scene.hub.rights.register.readers(user="5")) is user


def test_another_sites_page_is_refused(scene):
    assert scene.open(headers=[(b"origin", b"http://evil.test"), FETCHED, COOKIE]).status == 403


def test_too_many_of_an_address_are_told_so(scene):
    with settings.override(CONNECTIONS_PER_ADDRESS=1):
        first, second = scene.open(), scene.open()
    assert not first.ended
    assert second.heard[-1]["push"]["disconnect"]["code"] == 3504
    assert second.ended


def test_a_process_that_ends_sends_all_away_and_takes_nobody_in(scene):
    with settings.override(CONNECT_S=1000):
        connected, silent = scene.open(), scene.open("{}")
    scene.loop.run_until_complete(scene.hub.drain(0))
    scene.loop.pass_time(0.01)
    assert connected.heard[-1]["push"]["disconnect"]["code"] == 3001
    assert silent.ended
    assert connected.task.done()
    assert scene.open().status == 503


def test_pings_come_and_a_silent_client_is_given_up(scene):
    with settings.override(PING_S=5, PONG_S=2):
        stream = scene.open()
        while {} not in stream.heard:
            scene.loop.pass_time(0.5)
        assert scene.post(stream, {}) == 204  # the pong
        scene.loop.pass_time(15)
    assert stream.heard[-1]["push"]["disconnect"]["code"] == 3012
    assert stream.ended


@pytest.mark.parametrize(
    ("code", "unsent", "cut"),
    [
        (Disconnect.SLOW, 10, True),
        (Disconnect.NO_PONG, 10, True),
        (Disconnect.SLOW, 0, False),
        (Disconnect.SHUTDOWN, 10, False),
    ],
)
def test_who_reads_nothing_is_cut_off(scene, code, unsent, cut):
    cuts = []
    named = {"tocsin.unsent": lambda: unsent, "tocsin.abort": lambda: cuts.append(1)}
    stream = scene.open(**named)
    reader = scene.hub.rights.register.readers()[0]

    async def end():
        reader.disconnect(code)

    scene.loop.run_until_complete(end())
    assert stream.ended
    assert bool(cuts) is cut


def test_a_failure_ends_its_stream_and_raises_nothing(scene, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    stream = scene.open()
    monkeypatch.setattr(Connection, "receive", fail)
    with capture_logs() as lines:
        assert scene.post(stream, {}) == 204
    assert stream.ended
    assert stream.task.done()
    assert stream.task.exception() is None
    assert [line["event"] for line in lines].count("stream.failed") == 1


def test_a_process_that_cancels_its_applications_leaves_no_connection(scene):
    stream = scene.open()
    stream.task.cancel()
    scene.loop.pass_time(0.01)
    assert len(scene.hub.rights.register) == 0


def test_a_client_that_leaves_before_it_has_asked_is_nobody(scene):
    scope = {"type": "http", "method": "POST", "headers": [HOST]}

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError(message)

    scene.loop.run_until_complete(streams.emulated(scope, receive, send))
