"""The programs that docs/reference/protocol.md shows, run as they stand against a real Daphne."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

from realtime.engine import tokens
from realtime.engine.broker import Broker
from realtime.markets.models import Market, Ticker
from tests import live, realtime
from tests.processes import ROOT, running
from tests.realtime import Daphne, in_database

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = (ROOT / "docs" / "reference" / "protocol.md").read_text()
ADDRESS = "ws://localhost:8000/connection/websocket"
# the first that has WebSocket without being asked for it, and the first that can be asked
NODE, NODE_ON_REQUEST = 22, 20


def shown(language, server):
    """The program of the page, with the address of this server."""
    [program] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert ADDRESS in program
    return program.replace(ADDRESS, server.url)


def node():
    found = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    major = int(version.stdout.removeprefix("v").partition(".")[0])
    if major < NODE_ON_REQUEST:
        pytest.skip("this Node has no WebSocket")
    return [found] if major >= NODE else [found, "--experimental-websocket"]


@pytest.fixture
async def server(_log):
    found = Daphne()
    await live.eventually(found.up, deadline_s=60)
    yield found
    found.stop()


@pytest.mark.parametrize("language", ["js", "python"])
async def test_the_program_of_the_page_hears_rows_and_changes(server, language, settings):
    settings.DEBUG = True  # as the server: a key without being told
    program = shown(language, server)
    if language == "js":
        command = [*node(), "--input-type=module", "--eval", program]
    else:
        command = [sys.executable, "-c", program]
    ada = await in_database(get_user_model().objects.create_user, "ada")
    market = await in_database(Market.objects.create, symbol="BTC", base="B", quote="Q")
    await in_database(Ticker.objects.create, market=market, last=1)
    async with live.relaying(Broker()):
        await live.eventually(
            lambda: live.ask("SELECT 1 FROM tocsin_log WHERE topic = 'tickers:all'")
        )
        token = await in_database(tokens.issue, str(ada.pk))
        with running(*command, **realtime.environment(), TOKEN=token) as reader:
            await asyncio.to_thread(reader.until, "rows 1")
            await in_database(Ticker.objects.update, last="2.5")
            await asyncio.to_thread(reader.until, r"u BTC .*2\.50000000")
            await in_database(Ticker.objects.all().delete)
            await asyncio.to_thread(reader.until, "d BTC")
            if language == "js":
                await in_database(get_user_model().objects.update, is_active=False)
                await asyncio.to_thread(reader.until, "sent away: 3503 force disconnect")
