"""The door to Redis: what it carries, and how it lives without it."""

import asyncio
import os
import re
import signal
import time
from pathlib import Path

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings as site
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from structlog.testing import capture_logs

from project import servers
from project.cache import Cache
from realtime.engine import broker as module
from realtime.engine.broker import Broker, group_of
from realtime.engine.conf import settings
from realtime.engine.envelope import Batch, Reset
from realtime.protocol.messages import Publication

pytestmark = pytest.mark.either
DEADLINE_S = 20.0
ROOT = Path(__file__).parents[2]


class Server:
    """A Redis of this test alone, which may be killed, stopped and begun again."""

    def __init__(self, folder):
        self.folder = folder
        self.url = ""
        self._running = None

    def start(self):
        self._running = servers.redis(self.folder)
        self.url = self._running.__enter__()

    def stop(self):
        if self._running:
            self._running.__exit__(None, None, None)
        self._running = None

    async def pid(self):
        async with Redis.from_url(self.url) as redis:
            return (await redis.info("server"))["process_id"]

    def broker(self):
        host = {"address": self.url, "retry": Retry(NoBackoff(), 0)}
        return Broker(RedisPubSubChannelLayer(hosts=[host], prefix="test"))


@pytest.fixture
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("r"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def hub(server):
    broker = server.broker()
    broker.heard = []

    async def listen():
        async for message in broker.listen():
            broker.heard.append(message)

    task = asyncio.create_task(listen())
    await until(lambda: broker.healthy)
    yield broker
    task.cancel()
    await broker.stop()


@pytest.fixture
async def relay(server):
    broker = server.broker()
    yield broker
    await broker.stop()


async def until(fact, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while not fact():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


def publications(*offsets):
    return tuple(Publication(o, f'{{"n":{o}}}', "5", "u", 70 + o, 3) for o in offsets)


def count(name):
    return REGISTRY.get_sample_value(f"tocsin_broker_{name}_total")


async def carries(relay, hub, topic, offset):
    """Publish until it arrives: the first after a fault may be lost, for that there is the log."""
    end = time.monotonic() + DEADLINE_S
    while Batch(topic, "E", publications(offset)) not in hub.heard:
        assert time.monotonic() < end, "nothing is carried"
        await relay.publish(topic, "E", publications(offset))
        await asyncio.sleep(0.05)


async def test_publications_and_resets_arrive_as_they_were_sent(relay, hub):
    await hub.join("inbox:#5")
    assert await relay.publish("inbox:#5", "abcdefgh", publications(1, 2))
    assert await relay.reset("inbox:#5", "ijklmnop")
    await until(lambda: len(hub.heard) == 2)
    assert hub.heard == [
        Batch("inbox:#5", "abcdefgh", publications(1, 2)),
        Reset("inbox:#5", "ijklmnop"),
    ]


async def test_the_user_that_the_docs_give_redis_may_do_what_is_needed_and_nothing_else(server):
    """With the site's own prefixes: who shares a Redis with us neither reads nor writes ours."""
    page = " ".join((ROOT / "docs/howto/deploy.md").read_text().split())
    rule = re.search(r"`(ACL SETUSER tocsin [^`]+)`", page)[1].replace(">password", ">of-a-test")
    async with Redis.from_url(server.url) as redis:
        await redis.execute_command(*rule.split())
    url = server.url.replace("unix://", "unix://tocsin:of-a-test@")
    host = {"address": url, "retry": Retry(NoBackoff(), 0)}
    config = site.CHANNEL_LAYERS["default"]["CONFIG"]
    layer = RedisPubSubChannelLayer(hosts=[host], prefix=config["prefix"])
    broker = Broker(layer)
    first = asyncio.create_task(anext(aiter(broker.listen())))
    await until(lambda: broker.healthy)
    await broker.join("a:1")
    assert await broker.publish("a:1", "E", publications(1))
    assert await asyncio.wait_for(first, DEADLINE_S) == Batch("a:1", "E", publications(1))
    await broker.stop()
    cache = Cache(url, {"KEY_PREFIX": site.CACHES["default"]["KEY_PREFIX"]})
    with capture_logs() as said:
        cache.set("logins", 1)
        assert cache.incr("logins") == 2
    assert said == [], "it was Redis that counted"
    async with Redis.from_url(url) as redis:
        for command in (("GET", "another:1"), ("PUBLISH", "another", "x"), ("FLUSHALL",)):
            with pytest.raises(NoPermissionError):
                await redis.execute_command(*command)


async def test_a_topic_that_was_left_is_heard_no_more(relay, hub):
    await hub.join("a:1")
    await hub.join("b:1")
    await hub.leave("a:1")
    await relay.publish("a:1", "E", publications(1))
    await relay.publish("b:1", "E", publications(1))
    await until(lambda: hub.heard)
    assert [message.topic for message in hub.heard] == ["b:1"]


async def test_a_large_batch_comes_in_messages_of_bounded_size(relay, hub):
    await hub.join("a:1")
    many = publications(*range(1, 1202))
    await relay.publish("a:1", "E", many)
    await until(lambda: sum(len(batch.publications) for batch in hub.heard) == 1201)
    assert [len(batch.publications) for batch in hub.heard] == [500, 500, 201]
    assert tuple(p for batch in hub.heard for p in batch.publications) == many


async def test_what_nobody_signed_is_counted_and_ignored(server, relay, hub):
    await hub.join("a:1")
    before = count("refused")
    channel = f"test__group__{group_of('a:1')}"
    layer = RedisPubSubChannelLayer(hosts=[server.url], prefix="test")
    async with Redis.from_url(server.url) as redis:
        await redis.publish(channel, b"\xc1 rubbish")
        await redis.publish(channel, layer.serialize({"type": "tocsin"}))
        await redis.publish(channel, layer.serialize({"type": "tocsin", "sealed": "text"}))
        await redis.publish(channel, layer.serialize({"sealed": b"x" * 10_000_000}))
        await redis.publish(channel, layer.serialize([1, 2]))
    await relay.publish("a:1", "E", publications(1))
    await until(lambda: hub.heard)
    assert hub.heard == [Batch("a:1", "E", publications(1))]
    assert count("refused") == before + 5


async def test_more_than_the_queue_holds_is_dropped_and_counted(relay, server):
    hub = server.broker()
    await hub.start()
    await hub.join("a:1")
    before = count("dropped")
    with settings.override(BROKER_QUEUE=2):
        for offset in range(1, 6):
            await relay.publish("a:1", "E", publications(offset))
        await until(lambda: count("dropped") == before + 3)
    await hub.stop()


async def test_a_connection_that_redis_cut_is_made_again(server, relay, hub):
    await hub.join("a:1")
    async with Redis.from_url(server.url) as redis:
        await redis.client_kill_filter(_type="pubsub")
        await redis.client_kill_filter(_type="normal", skipme=True)
    await carries(relay, hub, "a:1", 7)


async def test_a_redis_that_was_killed_and_came_back_carries_again(server, relay, hub):
    await hub.join("a:1")
    os.kill(await server.pid(), signal.SIGKILL)
    await until(lambda: not hub.healthy)
    async with asyncio.timeout(15):
        await hub.join("b:1")
        await hub.leave("a:1")
        await hub.join("a:1")
        assert not await relay.publish("a:1", "E", publications(1))
    server.stop()
    server.start()
    await until(lambda: hub.healthy)
    await carries(relay, hub, "a:1", 2)
    await carries(relay, hub, "b:1", 3)


async def test_a_frozen_redis_holds_nobody_up(server, relay, hub):
    await hub.join("a:1")
    pid = await server.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        await until(lambda: not hub.healthy)
        # each of them waiting its BROKER_TIMEOUT_S would take a hundred seconds
        async with asyncio.timeout(15):
            for offset in range(1, 500):
                await relay.publish("a:1", "E", publications(offset))
            await hub.join("c:1")
    finally:
        os.kill(pid, signal.SIGCONT)
    await until(lambda: hub.healthy)
    await carries(relay, hub, "a:1", 600)
    await carries(relay, hub, "c:1", 601)


async def test_a_mailbox_that_hears_nothing_is_opened_anew(server, relay, hub, monkeypatch):
    monkeypatch.setattr(module, "DEAF_S", 0.3)
    await hub.join("a:1")
    # the layer believes it is subscribed, Redis does not
    layer = hub._layer._get_layer()
    await layer._shards[0]._pubsub.unsubscribe()
    await until(lambda: not hub.healthy)
    await until(lambda: hub.healthy)
    await carries(relay, hub, "a:1", 9)


async def test_a_start_without_redis_is_healed_by_its_coming(server, relay):
    server.stop()
    hub = server.broker()
    await hub.start()
    await hub.join("a:1")
    assert not hub.healthy
    assert not any(hub._prefix in name for name in hub._layer.channels)
    server.start()
    await until(lambda: hub.healthy)
    await until(lambda: "a:1" in hub._joined)
    await hub.stop()
