"""Real Daphne processes, a real Redis and real clients."""

import json

import centrifuge
import pytest
import websockets
from django.conf import settings
from django.contrib.auth import get_user_model

from realtime.engine import pool
from realtime.engine.broker import Broker
from realtime.notifications import actions
from tests import live, realtime
from tests.realtime import Client, Daphne, Socket, in_database

pytestmark = pytest.mark.django_db(transaction=True)


def two_servers(blocker):
    with blocker.unblock():
        found = [Daphne(), Daphne()]
    yield found
    for server in found:
        server.stop()


@pytest.fixture(scope="module")
def servers(django_db_setup, django_db_blocker):
    yield from two_servers(django_db_blocker)


@pytest.fixture
async def doors(servers):
    """Two processes shared by tests that need no subscription: between two tests the log is
    emptied, and hubs that live through that send their clients away (3001), as they must.
    """
    for server in servers:
        await live.eventually(server.up)
    return servers


@pytest.fixture
def beginning(_log, django_db_blocker):
    yield from two_servers(django_db_blocker)


@pytest.fixture
async def two(beginning):
    """Two processes of this test alone, begun after the log was emptied."""
    for server in beginning:
        await live.eventually(server.up)
    return beginning


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", password="ada")


@pytest.fixture
def key(ada):
    return realtime.sign_in(ada)


def open_socket(server, key="", **options):
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={key}"} if key else {}
    options.setdefault("origin", server.origin)
    return websockets.connect(server.url, additional_headers=headers, proxy=None, **options)


async def test_two_processes_hear_the_same(ada, key, two):
    topic = f"inbox:#{ada.pk}"
    async with (
        live.relaying(Broker()),
        open_socket(two[0], key) as first,
        open_socket(two[1], key) as second,
    ):
        clients = [Client(Socket(first)), Client(Socket(second))]
        for client in clients:
            await client.connect()
            await client.subscribe(topic)
        for number in range(20):
            await in_database(actions.notify, ada, "alert", str(number), "", "")
        for client in clients:
            await client.until(lambda c=client: len(c.publications(topic)) == 20)
            heard = [pub["data"]["body"]["title"] for pub in client.publications(topic)]
            assert heard == [str(number) for number in range(20)]


async def test_a_reader_goes_on_at_another_process(ada, key, two):
    topic = f"inbox:#{ada.pk}"
    async with live.relaying(Broker()):
        async with open_socket(two[0], key) as socket:
            client = Client(Socket(socket))
            await client.connect()
            start = (await client.subscribe(topic))["subscribe"]
        for title in ("one", "two"):
            await in_database(actions.notify, ada, "alert", title, "", "")
        position = {"epoch": start["epoch"], "offset": start.get("offset", 0)}
        async with open_socket(two[1], key) as socket:
            client = Client(Socket(socket))
            await client.connect()
            reply = (await client.subscribe(topic, position))["subscribe"]
            missed = reply.get("publications", [])
            await client.until(lambda: len(missed) + len(client.publications(topic)) >= 2)
            heard = [pub["data"]["body"]["title"] for pub in missed + client.publications(topic)]
            assert reply["recovered"]
            assert heard == ["one", "two"]


async def test_a_sign_out_cuts_every_process(ada, key, two):
    async with (
        live.relaying(Broker()),
        open_socket(two[0], key) as first,
        open_socket(two[1], key) as second,
    ):
        clients = [Client(Socket(first)), Client(Socket(second))]
        for client in clients:
            await client.connect()
            await client.subscribe(f"inbox:#{ada.pk}")
        await in_database(realtime.sign_out, key)
        for client in clients:
            assert await client.ended() == 3503


@pytest.mark.parametrize(
    ("origin", "subprotocols"),
    [
        ("https://localhost:{port}", None),
        ("http://localhost:1", None),
        ("http://evil.test", None),
        ("null", None),
        ("http://localhost:{port}", ["centrifuge-xml"]),
        ("http://localhost:{port}", ["chat"]),
    ],
)
async def test_a_handshake_from_elsewhere_is_refused(key, doors, origin, subprotocols):
    origin = origin.format(port=doors[0].port)
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with open_socket(doors[0], key, origin=origin, subprotocols=subprotocols):
            pass
    assert refused.value.response.status_code == 403


async def test_the_subprotocol_is_echoed_only_where_it_was_offered(key, doors):
    async with open_socket(doors[0], key) as plain:
        assert plain.subprotocol is None
    async with open_socket(doors[0], key, subprotocols=["centrifuge-json"]) as named:
        assert named.subprotocol == "centrifuge-json"


async def test_an_unknown_path_is_no_socket(doors):
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(doors[0].origin.replace("http", "ws") + "/x", proxy=None):
            pass
    assert refused.value.response.status_code == 403


def test_watchers_are_answered(doors):
    assert doors[0].get("/healthz") == (200, '{"status": "ok"}')
    status, body = doors[0].get("/readyz")
    assert status == 503  # no relay leads in this test
    assert json.loads(body)["relay"] == "down"
    assert "tocsin_connections" in doors[0].get("/metrics")[1]
    assert doors[0].get("/connection/websocket")[0] == 426


async def test_the_python_sdk_subscribes_hears_and_comes_back(ada, key, two):
    """The unmodified client: rows, publications, and recovery after its connection was cut."""
    topic = f"inbox:#{ada.pk}"
    heard, states = [], []

    class Events(centrifuge.SubscriptionEventHandler):
        async def on_subscribed(self, context):
            states.append(context)

        async def on_publication(self, context):
            heard.append((context.pub.offset, context.pub.data["body"]["title"]))

    async with live.relaying(Broker()):
        client = centrifuge.Client(
            two[0].url,
            headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={key}", "Origin": two[0].origin},
            min_reconnect_delay=0.05,
        )
        subscription = client.new_subscription(topic, Events())
        await client.connect()
        await subscription.subscribe()
        await live.eventually(lambda: states)
        assert states[0].data["rows"] == []
        await in_database(actions.notify, ada, "alert", "one", "", "")
        await live.eventually(lambda: len(heard) == 1)
        await client._conn.close()
        await in_database(actions.notify, ada, "alert", "two", "", "")
        await live.eventually(lambda: len(heard) == 2)
        assert [title for _, title in heard] == ["one", "two"]
        assert states[-1].recovered
        await client.disconnect()
    pool.close()
