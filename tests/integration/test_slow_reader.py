"""A reader that stops reading for a while, on a real socket, beside one that reads on."""

import pytest
from django.contrib.auth import get_user_model

from realtime.engine.broker import Broker
from tests import live, realtime
from tests.app.models import Quote
from tests.integration.test_consumers import Socket, open_socket
from tests.realtime import Client, Daphne, in_database

pytestmark = pytest.mark.django_db(transaction=True)

TOPIC = "quotes:all"
SYMBOLS = [f"S{number}" for number in range(8)]
ROUNDS = 100
PATIENT = {
    # busy is whoever has half of this unread: some hundred changes
    "TOCSIN_UNSENT_BYTES": "65536",
    # a loaded machine may take its time for the changes
    "TOCSIN_SLOW_S": "60",
    "TOCSIN_PING_S": "120",
    "TOCSIN_PONG_S": "60",
}


@pytest.fixture
async def server(_log, monkeypatch):
    for name, value in PATIENT.items():
        monkeypatch.setenv(name, value)
    server = Daphne()
    await live.eventually(server.up, deadline_s=60)
    yield server
    server.stop()


def change(price):
    for symbol in SYMBOLS:
        Quote.objects.filter(symbol=symbol).update(price=price)


def values(start, publications):
    """The rows as the page has them: what it began with, and each change on top."""
    found = {row["key"]: row["body"]["price"] for row in start["data"]["rows"]}
    for publication in publications:
        data = publication["data"]
        if data["op"] == "d":
            found.pop(data["key"], None)
        else:
            found[data["key"]] = data["body"]["price"]
    return found


async def test_it_gets_the_newest_of_each_and_disturbs_nobody(server):
    ada = await in_database(get_user_model().objects.create_user, "ada", password="ada")
    key = await in_database(realtime.sign_in, ada)
    await in_database(
        Quote.objects.bulk_create, [Quote(symbol=symbol, price=0) for symbol in SYMBOLS]
    )
    async with (
        live.relaying(Broker()),
        open_socket(server, key) as first,
        open_socket(server, key, max_queue=1) as second,
    ):
        healthy, slow = Client(Socket(first)), Client(Socket(second))
        starts = []
        for client in (healthy, slow):
            await client.connect()
            starts.append((await client.subscribe(TOPIC))["subscribe"])
        # from here on the slow one reads nothing, so it answers no ping either
        for price in range(1, ROUNDS + 1):
            await in_database(change, price)
            await healthy.until(lambda p=price: _has(healthy, SYMBOLS[-1], p))
        await in_database(Quote.objects.filter(symbol=SYMBOLS[0]).delete)
        await healthy.until(lambda: _has(healthy, SYMBOLS[0], None))
        await slow.until(lambda: _has(slow, SYMBOLS[0], None), deadline_s=60)

        expected = dict.fromkeys(SYMBOLS[1:], ROUNDS)
        assert values(starts[0], healthy.publications(TOPIC)) == expected
        assert values(starts[1], slow.publications(TOPIC)) == expected
        offsets = [publication["offset"] for publication in slow.publications(TOPIC)]
        assert offsets == sorted(set(offsets))
        assert offsets[-1] == healthy.publications(TOPIC)[-1]["offset"]
        # it got what was under way, and then the newest of each instead of hundreds
        assert len(offsets) < len(healthy.publications(TOPIC)) / 2
        assert slow.pushes("unsubscribe") == slow.pushes("disconnect") == []


def _has(client, symbol, price):
    """Whether the last that the client heard of the symbol is this price, or None: its end."""
    of_it = [pub for pub in client.publications(TOPIC) if pub["data"]["key"] == symbol]
    return bool(of_it) and (of_it[-1]["data"].get("body") or {}).get("price") == price
