"""The commands that docs/ shows for a site that runs, typed as they stand against a real Daphne."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from django.contrib.auth import get_user_model

from realtime.engine import tokens
from realtime.engine.broker import Broker
from realtime.notifications.actions import notify
from tests import live, realtime
from tests.processes import ROOT, running
from tests.realtime import Daphne, in_database

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.either,
    pytest.mark.skipif(shutil.which("curl") is None, reason="the commands are curl's"),
]
PYTHON = ".venv/bin/python"


@pytest.fixture
async def server(_log):
    found = Daphne()
    await live.eventually(found.up, deadline_s=60)
    yield found
    found.stop()


@pytest.fixture
def ada(settings):
    settings.DEBUG = True  # as the server: a key without being told
    return get_user_model().objects.create_user("ada")


def blocks(page, language="sh"):
    text = (ROOT / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shown(page, word, server, language="sh"):
    """The block of the page that has this word, for this server."""
    [block] = [block for block in blocks(page, language) if word in block]
    return re.sub(r"(localhost|127\.0\.0\.1):8000", rf"\1:{server.port}", block)


def typed(*scripts):
    """In a terminal of a newcomer, who has set nothing."""
    script = "\n".join(scripts).replace(PYTHON, sys.executable)
    return "sh", "-ec", f"unset DEBUG\n{script}"


def said(*scripts):
    """The lines that commands print."""
    done = subprocess.run(
        typed(*scripts),
        cwd=ROOT,
        env=realtime.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@contextlib.contextmanager
def going_on(*scripts):
    """Commands of which the last goes on until it is ended."""
    with running(*typed(*scripts), **realtime.environment()) as terminal:
        try:
            yield terminal
        finally:
            os.killpg(terminal.process.pid, signal.SIGTERM)  # the shell and what it began


async def test_the_tokens_of_the_page_are_believed(ada, server):
    lines = await asyncio.to_thread(said, shown("howto/tokens.md", "--expires 86400", server))
    connects, named, subscribes = lines
    assert tokens.connection(connects).user == str(ada.pk)
    assert json.loads(tokens.connection(named).info) == {"name": "Ada"}
    assert tokens.subscription(subscribes).topic == "announcements:all"
    page = shown("howto/tokens.md", "--token -", server)
    with going_on("export DEBUG=true", page) as client:
        await asyncio.to_thread(client.until, "tickers:all  subscribed")


async def test_the_client_of_the_page_listens(ada, server):
    page = shown("reference/commands.md", "--user ada", server)
    page = page.replace("inbox:#2", f"inbox:#{ada.pk}")
    lines = page.splitlines()
    needed = [line for line in lines if line.startswith("export ")]
    for word, topic in (("--user ada", "tickers:all"), ("--token -", f"inbox:#{ada.pk}")):
        [line] = [line for line in lines if word in line]
        with going_on(*needed, line) as client:
            await asyncio.to_thread(client.until, f"{topic}  subscribed")


async def test_the_key_of_the_page_publishes_by_curl_and_by_cent(ada, server):
    page = "howto/api-keys.md"
    key, curl = shown(page, "export KEY=", server), shown(page, "/api/publish", server)
    cent = shown(page, "import BatchRequest", server, "python")
    listens = shown(page, "--user ada", server)
    async with live.relaying(Broker()):
        with going_on(listens) as client:
            await asyncio.to_thread(client.until, "announcements:all  subscribed")
            await asyncio.to_thread(said, key, curl, f"{PYTHON} - <<'END'\n{cent}END")
            for n in range(1, 5):
                await asyncio.to_thread(client.until, rf'announcements:all  {n} .*"sale":\s*{n}\b')


async def test_the_server_api_of_the_page_publishes_and_answers_a_batch(ada, server):
    script = shown("reference/server-api.md", "/api/batch", server)
    async with live.relaying(Broker()):
        text = "".join(await asyncio.to_thread(said, script))
    published, end = json.JSONDecoder().raw_decode(text)
    assert published["result"]["offset"] == 1
    first, second = json.loads(text[end:])["replies"]
    assert first["publish"]["offset"] == 2
    assert [pub["data"] for pub in second["history"]["publications"]] == [{"sale": 2}]


async def test_the_event_stream_of_the_page_shows_rows_and_changes(ada, server):
    page = "reference/protocol.md"
    curl = shown(page, "/connection/sse", server).replace("tickers:all", f"inbox:#{ada.pk}")
    await in_database(notify, ada, "message", "before")
    async with live.relaying(Broker()):
        with going_on(shown(page, "export TOKEN=", server), curl) as stream:
            await asyncio.to_thread(stream.until, '^data: {"id":1,"connect":.*"session"')
            await asyncio.to_thread(stream.until, '^data: {"id":2,"subscribe":.*"before"')
            await in_database(notify, ada, "message", "live")
            await asyncio.to_thread(stream.until, '^data: {"push":.*"live"')
