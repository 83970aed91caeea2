"""`manage.py client` against a real Daphne: what it prints, and how it ends."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import threading

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from realtime.engine import api, conf, tokens
from realtime.engine.broker import Broker
from realtime.notifications import actions
from tests import live, realtime
from tests.app.models import Right
from tests.processes import ROOT, Running, free_port, manage
from tests.realtime import Daphne, in_database

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.either]
TALK = "talk:lobby"


@pytest.fixture
async def server(_log, monkeypatch):
    """A process of this test alone, begun after the log was emptied; patient with a busy Redis."""
    monkeypatch.setenv("TOCSIN_BROKER_TIMEOUT_S", "5")
    found = Daphne()
    await live.eventually(found.up, deadline_s=60)
    yield found
    found.stop()


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", password="ada")


class Listener(Running):
    """The command; its words are awaited beside the relay in the test's own loop."""

    def __init__(self, *arguments):
        super().__init__(manage("client", *arguments), realtime.environment())

    async def hears(self, pattern, *, times=1):
        return await asyncio.to_thread(self.until, pattern, times=times)

    async def ends(self, how=None):
        """The exit code, and all that was said."""
        if how:
            self.process.send_signal(how)
        code = await asyncio.to_thread(self.process.wait, 30)
        await asyncio.to_thread(self._reader.join, 5)
        assert "Traceback" not in self.said
        return code, self.lines[:-1]

    def events(self):
        return [json.loads(line) for line in self.lines if line.startswith("{")]


@contextlib.contextmanager
def listening(*arguments):
    listener = Listener(*arguments)
    try:
        yield listener
    finally:
        listener.close()


def after(time, text):
    """A line of the text behind its time."""
    return re.fullmatch(rf"\d\d:\d\d:\d\d\.\d\d\d  {text}", time)


# --- What is heard


async def test_a_person_reads_what_happens(ada, server):
    topic = f"inbox:#{ada.pk}"
    with listening(server.url, topic, "--user", "ada", "--count", "2") as listener:
        async with live.relaying(Broker()):
            await listener.hears("subscribed")
            for title in ("first", "“second”\x1b[2J"):
                await in_database(actions.notify, ada, "alert", title, "", "")
            code, lines = await listener.ends()
    assert code == 0
    inbox = re.escape(topic)
    said = [
        rf"connecting to {server.url}",
        r"connected as client [0-9a-f-]{36}, server [\d.]+",
        rf"{inbox}  subscribed at [A-Za-z]{{8}}:0, 0 rows, unread 0, unseen 0",
        rf'{inbox}  1  [+-]\d+ ms  {{"op":"i","key":"\d+","body":{{.*"title":"first".*}}',
        rf'{inbox}  2  [+-]\d+ ms  {{.*"title":"“second”\\u001b\[2J".*}}',
    ]
    assert len(lines) == len(said)
    for line, pattern in zip(lines, said, strict=True):
        assert after(line, pattern), (line, pattern)


@pytest.mark.parametrize("form", [[], ["--protobuf"]], ids=["json", "protobuf"])
async def test_a_program_reads_lines_of_json(ada, server, form):
    await in_database(api.publish, TALK, {"n": 1}, tags={"kind": "greeting"})
    asks = ["--history", "5", "--presence", "--publish", '{"n": "“2”"}', "--rpc", "say", "[1]"]
    async with live.relaying(Broker()):
        await live.eventually(
            lambda: live.ask("SELECT 1 FROM tocsin_log WHERE topic = 'talk:lobby'")
        )
        with listening(server.url, TALK, "--user", "ada", "--json", *asks, *form) as listener:
            for event in ("returned", "publication", "join"):
                await listener.hears(f'"event":"{event}"')
            code, lines = await listener.ends(signal.SIGINT)
    assert code == 0, lines
    heard = {event["event"]: event for event in listener.events()}
    user = {"user": str(ada.pk), "client": heard["connected"]["client"]}
    assert heard["subscribed"]["offset"] == 1
    assert heard["history"].items() >= {"count": 1, "offset": 1, "topic": TALK}.items()
    assert heard["recorded"]["data"] == {"n": 1}
    assert heard["recorded"]["tags"] == {"kind": "greeting"}
    assert heard["presence"].items() >= {"clients": 1, "users": 1}.items()
    assert heard["present"].items() >= user.items()
    assert heard["join"].items() >= user.items()
    assert heard["published"]["took_ms"] > 0
    assert heard["publication"].items() >= {"offset": 2, "data": {"n": "“2”"}, "by": user}.items()
    assert heard["returned"]["data"] == {"user": "ada", "said": [1]}


async def test_who_says_since_when_hears_what_was_missed(ada, server):
    async with live.relaying(Broker()):
        for number in range(3):
            await in_database(api.publish, TALK, number)
        await live.eventually(lambda: len(live.ask("SELECT 1 FROM tocsin_log")) == 3)
        position = await in_database(api.position, TALK)
        since = f"{position.epoch}:1"
        with listening(
            server.url, TALK, "--user", "ada", "--since", since, "--count", "2"
        ) as listener:
            code, lines = await listener.ends()
    assert code == 0
    assert after(lines[2], rf"{TALK}  recovered from {since}; what was missed follows")
    assert [line[14:] for line in lines[3:]] == [f"{TALK}  2  1", f"{TALK}  3  2"]


async def test_a_position_that_is_lost_is_told_and_all_begins_anew(ada, server):
    with listening(
        server.url, TALK, "--user", "ada", "--since", "unknown:7", "--count", "0"
    ) as listener:
        code, lines = await listener.ends()
    lost = "cannot recover from unknown:7: 112 unrecoverable position; begins anew"
    assert code == 0
    assert after(lines[2], f"{TALK}  {lost}")
    assert after(lines[3], rf"{TALK}  subscribed at [A-Za-z]{{8}}:0")


async def test_a_server_that_dies_is_come_back_to(ada, server):
    async with live.relaying(Broker()):
        with listening(server.url, TALK, "--user", "ada", "--count", "1") as listener:
            await listener.hears("subscribed")
            server.stop()
            await listener.hears("connection lost: 1 transport closed; connects again")
            await listener.hears("connecting failed: nothing listens at .*; tries again")
            await in_database(api.publish, TALK, "missed")
            again = Daphne(server.port)
            try:
                code, lines = await listener.ends()
            finally:
                again.stop()
    assert code == 0
    assert after(lines[-2], rf"{TALK}  recovered from [A-Za-z]{{8}}:0; what was missed follows")
    assert lines[-1].endswith(f'{TALK}  1  "missed"')


# --- How it ends


async def test_a_right_that_is_lost_ends_it(ada, server):
    right = await in_database(Right.objects.create, user=ada, group="red")
    async with live.relaying(Broker()):
        with listening(server.url, "items:red", "--user", "ada") as listener:
            await listener.hears("subscribed at .*, 0 rows, open 0")
            await in_database(right.delete)
            code, lines = await listener.ends()
    assert code == 3
    assert after(lines[-1], "items:red  unsubscribed: 2000 server unsubscribe")


async def test_who_is_sent_away_for_good_stays_away(ada, server):
    async with live.relaying(Broker()):
        with listening(server.url, "--user", "ada") as listener:
            await listener.hears("connected")
            await in_database(get_user_model().objects.update, is_active=False)
            code, lines = await listener.ends()
    assert code == 3
    assert after(lines[-1], r"disconnected: 3503 force disconnect; stays away \(signed out .*\)")


REFUSALS = {
    ("inbox:#0",): r"inbox:#0  subscription refused: 103 permission denied \(.*allows.*\)",
    ("nothing:1",): r"nothing:1  subscription refused: 102 unknown channel \(.*\)",
    ("--rpc", "say", '"no"'): "rpc say refused: 444 not that",
    ("--rpc", "fly", "1"): "rpc fly refused: 104 method not found",
    ("talk:closed", "--publish", "1", "--count", "0"): (
        r"talk:closed  publish refused: 103 permission denied \(.*\)"
    ),
}


async def test_a_refusal_is_told_and_is_the_exit_code(ada, server):
    for arguments, says in REFUSALS.items():
        with listening(server.url, *arguments, "--user", "ada") as listener:
            code, lines = await listener.ends()
        assert code == 3
        assert after(lines[-1], says), lines[-1]


async def test_a_token_is_taken_as_it_is(ada, server, settings):
    settings.DEBUG = True  # as the server: a key without being told
    good = await in_database(tokens.issue, str(ada.pk), channels=["talk:a"])
    with listening(server.url, "--token", good) as listener:
        await listener.hears("talk:a  subscribed at")
        assert await listener.ends(signal.SIGINT) == (0, listener.lines[:-1])
    for token, says in (
        ("a.b.c", r"disconnected: 3500 invalid token; stays away \(signed by another .*\)"),
        ("", r"connection refused: 101 unauthorized \(nobody is signed in: .*\)"),
    ):
        with listening(server.url, TALK, "--token", token) as listener:
            code, lines = await listener.ends()
        assert code == 3
        assert after(lines[-1], says), lines[-1]


async def test_it_is_ended_from_outside_and_leaves_at_once(ada, server):
    for how in (signal.SIGINT, signal.SIGTERM):
        with listening(server.url, TALK, "--user", "ada") as listener:
            await listener.hears("subscribed")
            code, lines = await listener.ends(how)
        assert code == 0
        assert "subscribed" in lines[-1]
        assert "\ntocsin_connections 0.0" in server.get("/metrics")[1]


async def test_it_ends_in_time(ada, server):
    patient = [server.url, TALK, "--user", "ada", "--timeout", "4"]
    with listening(*patient) as first, listening(*patient, "--count", "1") as second:
        code, lines = await first.ends()
        assert (code, "subscribed" in lines[-1]) == (0, True)
        code, lines = await second.ends()
        assert (code, lines[-1]) == (4, "CommandError: not all came within 4 s")


async def test_a_reader_of_its_output_may_leave(ada, server):
    command = " ".join(manage("client", server.url, TALK, "--user", "ada", "--json"))
    done = await asyncio.to_thread(
        subprocess.run,
        f"{command} | head -n 1",
        shell=True,
        cwd=ROOT,
        env=realtime.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["event"] == "connecting"
    assert "Error" not in done.stderr


# --- Mistakes


def fails(*arguments):
    with pytest.raises(CommandError) as caught:
        call_command("client", *arguments)
    return str(caught.value)


def test_where_nothing_listens_it_says_so():
    port = free_port()
    said = fails(f"ws://127.0.0.1:{port}/connection/websocket")
    assert said.startswith(f"nothing listens at 127.0.0.1:{port}: is the server running?")
    said = fails("ws://no-such-host.invalid/connection/websocket")
    assert said == 'no host is named "no-such-host.invalid"'


async def test_a_wrong_path_is_told(server):
    with listening(f"ws://localhost:{server.port}/live") as listener:
        code, lines = await listener.ends()
    said = "no live connections at /live (HTTP 403); Tocsin's are at /connection/websocket"
    assert (code, lines[-1]) == (1, f"CommandError: {said}")


def test_a_server_of_another_kind_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"-ERR what?\r\n")

        threading.Thread(target=answer, daemon=True).start()
        port = listener.getsockname()[1]
        said = fails(f"ws://127.0.0.1:{port}/")
    assert said.startswith(f"127.0.0.1:{port} speaks no WebSocket: ")


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_asked():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = fails(f"ws://127.0.0.1:{port}/", "--timeout", "0.2")
    assert said == "no connection within 0.2 s"


URL = "ws://localhost:1/connection/websocket"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["http://localhost:8000/"], "say ws://127.0.0.1:8000/connection/websocket"),
        (["localhost:8000"], "is no address of live connections"),
        (["ws://:8000/"], "is no address of live connections"),
        (["ws://localhost:port/"], "is no address of live connections"),
        ([URL, "a:b", "--since", "41"], "say EPOCH:OFFSET"),
        ([URL, "a:b", "--since", "abcdefgh:-1"], "say EPOCH:OFFSET"),
        ([URL, "a:b", "a:c", "--since", "abcdefgh:1"], "--since is for one topic; there are 2"),
        ([URL, "--publish", "1"], "--publish is for one topic; there are 0"),
        ([URL, "a:b", "--publish", "hello"], "--publish is no JSON"),
        ([URL, "--rpc", "say", "{"], "--rpc is no JSON"),
        ([URL, "--presence"], "none is named"),
        ([URL, "--count", "-1"], "--count is -1; say at least 0"),
        ([URL, "--timeout", "nan"], "--timeout is nan"),
        ([URL, "--user", "nobody"], 'no user has the id or the name "nobody"'),
        (["wss://elsewhere.example/", "--user", "ada"], "none of ALLOWED_HOSTS"),
        ([URL, "--user", "ada", "--token", "x"], "not allowed with argument"),
    ],
    ids=str,
)
def test_a_mistake_is_told_before_anything_is_connected(arguments, says):
    assert says in fails(*arguments)


def test_without_a_key_no_user_can_be_spoken_for(ada):
    with conf.settings.override(TOKEN_SECRETS=""):
        assert "TOCSIN_TOKEN_SECRETS" in fails(URL, "--user", "ada")
