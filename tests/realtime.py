"""A client of the Centrifuge protocol for tests, and the sessions it signs in with."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from websockets.exceptions import ConnectionClosed

from realtime import routing
from realtime.engine import hub, pool
from tests import frames
from tests.processes import free_port

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_S = 20.0
ORIGIN = "http://localhost"
PROTOBUF = "centrifuge-protobuf"


def sign_in(user):
    """A session of this user, as the login page makes it; gives its key."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session.session_key


def sign_out(key):
    SessionStore(key).delete()


class Client:
    """Says commands, remembers everything it heard. `wire` sends and receives frames.

    `form`: of its frames, str for JSON or bytes for Protobuf; what it heard reads the same.
    """

    def __init__(self, wire, form=str):
        self.wire, self.form = wire, form
        self.heard = []
        self.said = []  # the same, with data as it came
        self.closed = None
        self._id = 0

    async def ask(self, **command):
        """Send one command and give its reply."""
        self._id += 1
        number = self._id
        await self.say(id=number, **command)
        return await self.until(lambda: self.reply(number))

    async def say(self, **command):
        """Send what nobody answers."""
        await self.wire.send(frames.command(self.form, command))

    async def connect(self, **request):
        return await self.ask(connect=request)

    async def subscribe(self, topic, position=None, **request):
        since = {} if position is None else {"recover": True, **position}
        return await self.ask(subscribe={"channel": topic, "flag": 1, **since, **request})

    def reply(self, number):
        return next((reply for reply in self.heard if reply.get("id") == number), None)

    def pushes(self, kind, topic=None):
        found = [reply["push"] for reply in self.heard if reply.get("push", {}).get(kind)]
        return [push[kind] for push in found if topic in {None, push.get("channel")}]

    def publications(self, topic):
        return self.pushes("pub", topic)

    def raw(self, topic):
        """Publications with their data as it came: the text or the bytes of it."""
        pushes = [reply.get("push", {}) for reply in self.said]
        return [push["pub"] for push in pushes if push.get("channel") == topic and "pub" in push]

    async def until(self, fact, deadline_s=DEADLINE_S):
        """Listen until `fact()` is true, and give it."""
        end = time.monotonic() + deadline_s
        while not (found := fact()):
            left = end - time.monotonic()
            assert left > 0, f"it did not happen in time; heard {self.heard}, {self.closed}"
            assert self.closed is None, f"closed {self.closed}; heard {self.heard}"
            try:
                await self._listen(left)
            except TimeoutError:
                continue
        return found

    async def ended(self, deadline_s=DEADLINE_S):
        """Listen until the server closes; gives the close code."""
        end = time.monotonic() + deadline_s
        while self.closed is None:
            await self._listen(end - time.monotonic())
        return self.closed

    async def _listen(self, within_s):
        frame = await self.wire.receive(max(within_s, 0.001))
        if isinstance(frame, int):
            self.closed = frame
            return
        for said in frames.replies(frame):
            message = frames.readable(said)
            self.said.append(said)
            self.heard.append(message)
            if message == {}:
                await self.say()


class InProcess:
    """The wire to the consumer in the test's own loop."""

    def __init__(self, communicator):
        self.communicator = communicator

    async def send(self, frame):
        if isinstance(frame, bytes):
            await self.communicator.send_to(bytes_data=frame)
        else:
            await self.communicator.send_to(text_data=frame)

    async def receive(self, within_s):
        # not receive_output: that one cancels the application when it has to wait
        message = await asyncio.wait_for(self.communicator.output_queue.get(), within_s)
        if message["type"] == "websocket.close":
            return message["code"]
        return message["text"] if message.get("text") is not None else message["bytes"]


class Socket:
    """The wire to a server of another process: a connection of `websockets`."""

    def __init__(self, socket):
        self.socket = socket

    async def send(self, frame):
        await self.socket.send(frame)

    async def receive(self, within_s):
        try:
            return await asyncio.wait_for(self.socket.recv(), within_s)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


def handshake(session_key="", *, origin=ORIGIN, subprotocols=None, headers=()):
    found = [(b"host", b"localhost"), *headers]
    if origin:
        found.append((b"origin", origin.encode()))
    if session_key:
        found.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={session_key}".encode()))
    return WebsocketCommunicator(
        routing.websocket, "/connection/websocket", headers=found, subprotocols=subprotocols
    )


@asynccontextmanager
async def opened(session_key="", **options):
    """A client whose socket is open, in the test's own process."""
    communicator = handshake(session_key, **options)
    asked = options.get("subprotocols") or ()
    accepted, _ = await communicator.connect()
    assert accepted
    try:
        yield Client(InProcess(communicator), bytes if PROTOBUF in asked else str)
    finally:
        await communicator.disconnect()


@asynccontextmanager
async def connected(session_key="", *, token="", **options):
    async with opened(session_key, **options) as client:
        reply = await client.connect(**{"token": token} if token else {})
        assert "connect" in reply, reply
        yield client


@asynccontextmanager
async def running_hub():
    """The hub of the test's loop, stopped at the end."""
    running = hub.current()
    try:
        yield running
    finally:
        await running.stop()
        await running.doors.broker.stop()


@pool.awaitable
def in_database(function, *values, **named):
    """Call something that asks the database, from an asynchronous test."""
    return function(*values, **named)


def database_url():
    """The test's own database, for other processes."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return os.environ["DATABASE_URL"].replace("/postgres?", f"/{name}?")


def environment():
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }


class Daphne:
    """A real server process."""

    def __init__(self, port=0):
        self.port = port or free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port),
             "project.asgi:application"],
            cwd=ROOT,
            env=environment(),
        )  # fmt: skip

    @property
    def url(self):
        return f"ws://localhost:{self.port}/connection/websocket"

    @property
    def origin(self):
        return f"http://localhost:{self.port}"

    def up(self):
        try:
            return self.get("/healthz")[0] == 200
        except OSError:
            return False

    def get(self, path):
        try:
            with urllib.request.urlopen(f"{self.origin}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self, how=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(timeout=15)
