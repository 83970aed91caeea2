"""How many are where: two processes and a real Redis that forgets."""

import asyncio
import contextlib
import time

import pytest
from redis.asyncio import Redis as Client

from realtime.engine import census
from realtime.engine.census import Census
from realtime.engine.conf import settings as conf
from realtime.engine.exceptions import Unavailable
from tests.live import DEADLINE_S

PACE = {"PRESENCE_BEAT_S": 0.1, "PRESENCE_TTL_S": 2.0, "BROKER_TIMEOUT_S": 1.0}


def counted(topics):
    n = sum(topics.values())
    return {"clients": n, "users": 1, "subscriptions": n, "channels": len(topics), "topics": topics}


@contextlib.asynccontextmanager
async def counting(topics):
    one = Census()
    task = asyncio.create_task(one.keep(lambda: counted(topics)))
    try:
        yield one
    finally:
        task.cancel()
        await one.leave()


@pytest.fixture(autouse=True)
async def redis(settings):
    client = Client.from_url(settings.REDIS_URL)
    await client.delete(census.NODES)
    with conf.override(**PACE):
        yield client
    await client.aclose()


async def told(one):
    return sorted(tally.clients for tally in await one.everybody())


async def answer(one):
    """The first that there is."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        with contextlib.suppress(Unavailable):
            return await told(one)
        await asyncio.sleep(0.01)
    raise TimeoutError


async def becomes(one, expected):
    end = time.monotonic() + DEADLINE_S
    while (found := await answer(one)) != expected:
        assert time.monotonic() < end, found
        await asyncio.sleep(0.02)


async def test_every_process_is_told_by_every_process():
    async with counting({"a": 2}) as one, counting({"a": 1, "b": 4}) as other:
        await becomes(one, [2, 5])
        await becomes(other, [2, 5])
        tallies = await one.everybody()
        assert {tally.uid for tally in tallies} == {one._uid, other._uid}
        assert sorted(tally.topics["a"] for tally in tallies) == [1, 2]
    assert await told(Census()) == []


async def test_a_process_without_connections_only_reads():
    reader = Census()
    async with counting({"a": 2}):
        await becomes(reader, [2])
    await reader.leave()


async def test_what_redis_has_forgotten_is_no_shorter_answer(redis):
    async with counting({"a": 1}) as one, counting({"a": 2}) as other:
        await becomes(one, [1, 2])
        assert one._known
        await redis.delete(census.NODES, census._key(one._uid), census._key(other._uid))
        assert await answer(one) == [1, 2]


async def test_a_killed_process_is_forgotten(redis):
    async with counting({"a": 1}) as one:
        async with counting({"a": 2}) as other:
            await becomes(one, [1, 2])
            uid = other._uid
        await redis.sadd(census.NODES, uid)  # as if it could not say good-bye
        await becomes(one, [1])
        assert not await redis.sismember(census.NODES, uid)


async def test_what_somebody_else_wrote_is_not_believed(redis):
    async with counting({"a": 1}) as one:
        await becomes(one, [1])
        await redis.sadd(census.NODES, "forged", b"\xff")
        await redis.set(census._key("forged"), await redis.get(census._key(one._uid)))
        assert await told(one) == [1]


async def test_of_too_many_topics_the_number_alone_is_told(monkeypatch):
    monkeypatch.setattr(census, "TOPICS", 1)
    async with counting({"a": 1, "b": 1}), counting({"c": 1}) as other:
        await becomes(other, [1, 2])
        topics = [tally.topics for tally in await other.everybody()]
        assert {"c": 1} in topics
        assert None in topics


async def test_without_redis_there_is_no_answer(settings):
    settings.REDIS_URL = "unix:///nowhere.sock?db=0"
    async with counting({"a": 1}) as one:
        with pytest.raises(Unavailable):
            await one.everybody()
