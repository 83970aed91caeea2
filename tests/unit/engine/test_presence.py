"""What can be said of presence without Redis; with it: tests/integration/test_presence.py."""

import asyncio
import time

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from realtime.engine.conf import settings
from realtime.engine.exceptions import Unavailable
from realtime.engine.presence import EACH, Presence
from realtime.protocol.messages import ClientInfo
from tests.live import eventually

ADA = ClientInfo("a", "5", '{"name":"Ada"}', "{}")


class Hung:
    """A Redis that never answers; counts who asks."""

    def __init__(self):
        self.asked = 0

    def register_script(self, _text):
        return self.execute

    async def execute(self, *_, **__):
        self.asked += 1
        await asyncio.Event().wait()

    delete = aclose = execute

    def pipeline(self, **_):
        return self

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    def get(self, *_):
        return self

    zrevrange = get


@pytest.fixture
def redis():
    return Hung()


@pytest.mark.parametrize(
    "info",
    [
        ClientInfo("c", "5", "é" * 3000),
        ClientInfo("c", "5", None, "x" * 4096),
        ClientInfo("c", "x" * 5000),
        ClientInfo("c", "half a character: \ud800"),
    ],
)
async def test_who_has_more_to_say_than_its_bound_is_not_shown(redis, info):
    presence = Presence(redis)
    before = too_large()
    with capture_logs() as lines:
        presence.add("t:1", info)
        presence.add("t:1", info)
    assert not presence._node.roll.of("t:1")
    assert too_large() == before + 2
    assert [line["event"] for line in lines] == ["presence.too_large"]


def too_large():
    return REGISTRY.get_sample_value("tocsin_presence_too_large_total")


async def test_whoever_asks_a_silent_redis_is_answered_soon_and_the_next_at_once(redis):
    with settings.override(BROKER_TIMEOUT_S=0.1):
        presence = Presence(redis)
        await presence.start()
        presence.add("t:1", ADA)
        began = time.monotonic()
        asked = await asyncio.gather(
            *(presence.everybody(f"t:{n}") for n in range(200)), return_exceptions=True
        )
        asked += [await refused(presence) for _ in range(200)]
        assert time.monotonic() - began < 2.0
        assert all(isinstance(answer, Unavailable) for answer in asked)
        assert redis.asked < 10
        await presence.stop()


async def refused(presence):
    try:
        return await presence.count("t:1")
    except Unavailable as error:
        return error


async def test_many_who_ask_about_one_topic_share_a_read(redis):
    with settings.override(BROKER_TIMEOUT_S=0.1):
        presence = Presence(redis)
        await asyncio.gather(
            *(presence.everybody("t:1") for _ in range(200)), return_exceptions=True
        )
        assert redis.asked == 1


async def test_who_does_not_wait_for_the_answer_leaves_no_trace(redis):
    with settings.override(BROKER_TIMEOUT_S=0.05):
        presence = Presence(redis)
        asking = asyncio.create_task(presence.everybody("t:1"))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait(presence._reads.values())
        await asyncio.sleep(0)
        assert not presence._reads


async def test_a_stop_takes_no_longer_than_redis_may(redis):
    with settings.override(BROKER_TIMEOUT_S=0.1):
        presence = Presence(redis)
        await presence.start()
        await presence.start()
        began = time.monotonic()
        await presence.stop()
        assert time.monotonic() - began < 1.0


async def test_nobody_waits_long_for_a_read_in_a_queue(redis, monkeypatch):
    monkeypatch.setattr("realtime.engine.presence.ASK_S", 0.05)
    with settings.override(BROKER_TIMEOUT_S=10.0):
        presence = Presence(redis)
        asked = await asyncio.gather(
            *(presence.everybody(f"t:{n}") for n in range(10)), return_exceptions=True
        )
        assert all(isinstance(answer, Unavailable) for answer in asked)


async def test_however_much_one_person_asks_the_others_are_read_for(redis):
    with settings.override(BROKER_TIMEOUT_S=10.0):
        presence = Presence(redis)
        flood = [asyncio.create_task(presence.count(f"t:{n}", "5")) for n in range(100)]
        await eventually(lambda: redis.asked == EACH)
        other = asyncio.create_task(presence.everybody("t:other", "6"))
        await eventually(lambda: redis.asked == EACH + 1)
        for asking in (*flood, other):
            asking.cancel()
