"""What a subscribed client has received after a full replay equals the recorded facts, too."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

import pytest
from centrifuge import Client, SubscriptionEventHandler
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client as Browser

from realtime.markets.feeds.player import Player
from realtime.markets.feeds.recorded import Recording
from realtime.markets.models import AlertFiring
from tests.integration.test_replay_oracle import FOLDER, ORACLE, level_alerts
from tests.live import eventually, raw
from tests.processes import free_port

pytestmark = [
    pytest.mark.recording,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not ORACLE.is_file(),
        reason="the tick recording and its oracle.json lie neither in TOCSIN_RECORDING "
        "nor in ../shared/data",
    ),
]
START_S, RECEIVED_S = 40.0, 120.0


def answers(port):
    try:
        with urlopen(f"http://127.0.0.1:{port}/login/", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextlib.contextmanager
def site(folder):
    """A web process and a relay on this test's database; gives the port."""
    name, url = str(connection.settings_dict["NAME"]), os.environ["DATABASE_URL"]
    if connection.vendor == "postgresql":
        url = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    else:
        url = f"sqlite:///{name}"
    port = free_port()
    programs = []
    for words in (("serve", "--workers", "1", "--port", str(port)), ("relay",)):
        log = (folder / f"{words[0]}.log").open("w")
        programs.append(
            subprocess.Popen(
                [sys.executable, "manage.py", *words],
                cwd=settings.BASE_DIR,
                env={**os.environ, "DATABASE_URL": url},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        )
        log.close()
    try:
        yield port
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait(timeout=20)


class Reader(SubscriptionEventHandler):
    """Keeps the rows as the pages do, and the offsets it was given."""

    def __init__(self):
        self.rows, self.bodies, self.offsets, self.begun = {}, [], [], 0

    async def on_subscribed(self, ctx):
        if ctx.data is not None:
            self.begun += 1
            self.rows = {row["key"]: row["body"] for row in ctx.data["rows"]}
            for publication in ctx.data["publications"]:
                self.take(publication)

    async def on_publication(self, ctx):
        self.offsets.append(ctx.pub.offset)
        self.bodies.append(ctx.pub.data.get("body"))
        self.take(ctx.pub.data)

    def take(self, publication):
        if publication["op"] == "d":
            self.rows.pop(publication["key"], None)
        elif publication.get("body"):
            self.rows[publication["key"]] = publication["body"]


async def join(client, topics):
    readers = {topic: Reader() for topic in topics}
    for topic, reader in readers.items():
        subscription = client.new_subscription(topic, events=reader, recoverable=True)
        await subscription.subscribe()
        await subscription.ready(timeout=30)
    return readers


def check_trades(facts, reader):
    """Every trade once, in order, to the last digit."""
    told = reader.bodies
    first, last = facts["first"]["trade_id"], facts["last"]["trade_id"]
    assert [int(body["trade_id"]) for body in told] == list(range(first, last + 1))
    assert reader.offsets == list(range(1, facts["count"] + 1))
    assert (told[0]["price"], told[-1]["price"]) == (
        facts["first"]["price"],
        facts["last"]["price"],
    )
    prices = [Decimal(body["price"]) for body in told]
    assert str(min(prices)) == facts["min_price"]["price"]
    assert str(max(prices)) == facts["max_price"]["price"]
    assert str(sum(Decimal(body["quantity"]) for body in told)) == facts["volume"]
    bought = sum(Decimal(body["quantity"]) for body in told if body["side"] == "buy")
    assert str(bought) == facts["taker_buy_volume"]
    money = sum(Decimal(body["price"]) * Decimal(body["quantity"]) for body in told)
    assert str(money.quantize(Decimal("1e-8"))) == facts["quote_volume"]


def check_ticker(facts, body):
    trades, quotes = facts["trades"], facts["book_ticker"]["last"]
    told = ("bid", "bid_quantity", "ask", "ask_quantity")
    assert [body[name] for name in told] == [quotes[letter] for letter in "bBaA"]
    assert body["last"] == trades["last"]["price"]
    assert body["open"] == trades["first"]["price"]
    assert (body["high"], body["low"]) == (
        trades["max_price"]["price"],
        trades["min_price"]["price"],
    )
    assert body["volume"] == trades["volume"]
    assert body["last_trade_id"] == str(trades["last"]["trade_id"])


def check_alerts(oracle, alerts, rows):
    """The client's alerts: how often each was crossed, and where the first time."""
    for (symbol, level, direction, once), alert in alerts.items():
        facts = oracle["symbols"][symbol]["levels"]
        fact = next(fact for fact in facts if fact["level"] == level)
        count, first = fact[f"{direction}_crossings"], fact[f"first_{direction}"]
        body = rows[str(alert.pk)]
        assert body["firings"] == (min(count, 1) if once else count)
        assert body["state"] == ("fired" if once and count else "armed")
        if once and count:
            assert body["fired_price"] == first["price"]
            assert body["fired_at"][:23] + "Z" == first["time"]


async def follow(port, cookie, user, oracle):
    """Join, play the whole recording, and wait for its last trades; gives the readers."""
    symbols = oracle["symbols"]
    topics = [f"trades:{symbol}" for symbol in symbols]
    topics += ["tickers:all", f"alerts:#{user.pk}", f"inbox:#{user.pk}"]
    origin = f"http://127.0.0.1:{port}"
    client = Client(
        f"ws://127.0.0.1:{port}/connection/websocket",
        headers={"Cookie": f"sessionid={cookie}", "Origin": origin},
        max_server_ping_delay=60.0,
    )
    await client.connect()
    readers = await join(client, topics)
    firings = await asyncio.to_thread(play)

    def whole():
        tapes = [
            len(readers[f"trades:{s}"].bodies) >= symbols[s]["trades"]["count"] for s in symbols
        ]
        latest = [
            body["last_trade_id"] == str(symbols[symbol]["trades"]["last"]["trade_id"])
            and body["bid"] == symbols[symbol]["book_ticker"]["last"]["b"]
            for symbol, body in readers["tickers:all"].rows.items()
        ]
        news = len(readers[f"inbox:#{user.pk}"].rows) >= firings
        return all(tapes) and all(latest) and len(latest) == len(symbols) and news

    await eventually(whole, RECEIVED_S)
    await client.disconnect()
    return readers, firings


def play():
    """The whole recording, as fast as the database takes it; gives the firings."""
    try:
        call_command("replay", "--speed", "max")
        return AlertFiring.objects.count()
    finally:
        connection.close()


def begin():
    """Clear the market and stop before the first message: the reader joins, then it is played."""
    player = Player(Recording(FOLDER), lambda _: None, stopped=lambda: True)
    player.round()


def test_a_reader_of_the_whole_replay_has_the_recorded_facts(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "TOCSIN_RECORDING", str(FOLDER))
    oracle = json.loads(ORACLE.read_text())
    user = User.objects.create_user("ada")
    alerts = level_alerts(oracle, user)
    browser = Browser()
    browser.force_login(user, "django.contrib.auth.backends.ModelBackend")
    cookie = browser.cookies["sessionid"].value
    begin()

    program = raw()

    def handed_over():
        return program.execute("SELECT count(*) FROM tocsin_entry").fetchone()[0] == 0

    async def run(port):
        await eventually(lambda: answers(port), START_S)
        await eventually(handed_over, START_S)
        return await follow(port, cookie, user, oracle)

    with site(tmp_path) as port:
        readers, firings = asyncio.run(run(port))
    for symbol, facts in oracle["symbols"].items():
        check_trades(facts["trades"], readers[f"trades:{symbol}"])
        check_ticker(facts, readers["tickers:all"].rows[symbol])
    check_alerts(oracle, alerts, readers[f"alerts:#{user.pk}"].rows)
    assert len(readers[f"inbox:#{user.pk}"].rows) == firings
