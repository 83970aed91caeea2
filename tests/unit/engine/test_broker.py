"""The broker over layers that fail, hang and lie; over a real Redis: tests/integration."""

import asyncio

import pytest
from channels.layers import InMemoryChannelLayer
from structlog.testing import capture_logs

from realtime.engine import broker as module
from realtime.engine.broker import Broker, Seldom, group_of
from realtime.engine.conf import settings
from realtime.engine.envelope import Reset
from tests.live import eventually


class Hung(InMemoryChannelLayer):
    async def group_send(self, group, message):
        await asyncio.Event().wait()


class Broken(InMemoryChannelLayer):
    async def group_send(self, *args):
        raise OSError("no route")

    group_add = new_channel = send = group_send


class BrokenOnce(InMemoryChannelLayer):
    """Of all groups the first cannot be joined."""

    tried = 0

    async def group_add(self, group, channel):
        self.tried += 1
        if self.tried == 1:
            raise OSError("no route")
        await super().group_add(group, channel)


def test_a_group_is_named_in_the_few_characters_it_may_have():
    names = {group_of(topic) for topic in ("inbox:#5", "a" * 255, "!control", "é")}
    assert len(names) == 4
    assert all(InMemoryChannelLayer().require_valid_group_name(name) for name in names)


@pytest.mark.parametrize("layer", [Hung, Broken])
async def test_trouble_is_waited_for_once_and_logged_once(layer):
    broker = Broker(layer())
    # each of the hundred waiting would take fifty seconds
    with settings.override(BROKER_TIMEOUT_S=0.5), capture_logs() as lines:
        async with asyncio.timeout(15):
            for _ in range(100):
                assert not await broker.reset("t:1", "E")
    assert [line["event"] for line in lines] == ["redis.unreachable"]


async def test_a_mailbox_that_cannot_be_opened_is_no_error():
    broker = Broker(Broken())
    await broker.start()
    await broker.join("t:1")
    await broker.leave("t:1")
    assert not broker.healthy
    await broker.stop()


async def test_what_is_sent_is_heard_in_one_process_too():
    broker = Broker(InMemoryChannelLayer())
    heard = broker.listen()
    first = asyncio.ensure_future(anext(heard))
    await eventually(lambda: broker.healthy)
    await broker.join("t:1")
    assert await broker.reset("t:1", "E")
    assert await asyncio.wait_for(first, 5) == Reset("t:1", "E")
    await broker.stop()


async def test_who_could_not_hear_itself_at_first_tries_again_with_the_next_beat(monkeypatch):
    for name, value in (("BEAT_S", 0.001), ("BREAK_S", 0.0), ("REJOIN_S", 3600.0)):
        monkeypatch.setattr(module, name, value)
    broker = Broker(BrokenOnce())
    await broker.start()
    await eventually(lambda: broker.healthy)
    await broker.stop()


def test_seldom_is_once():
    seldom = Seldom(60)
    assert [seldom.due() for _ in range(3)] == [True, False, False]
