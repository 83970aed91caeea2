"""Lines of which one end is gone and the other was not told: noticed, cut, dialled anew."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.db import OperationalError, connection

from realtime.engine import broker, metrics, pool, relay
from realtime.engine.broker import Broker
from realtime.engine.conf import settings
from tests.faults import site as sites
from tests.faults.links import BACK, THERE, Link
from tests.live import DEADLINE_S, eventually, raw, relaying, write
from tests.realtime import in_database

pytestmark = pytest.mark.django_db(transaction=True)
WAYS = pytest.mark.parametrize("way", [THERE, BACK])
THREADS = 3


@pytest.fixture
async def link(_log, tmp_path, monkeypatch):
    """The line to PostgreSQL of every connection that is opened from now on."""
    options, name = connection.settings_dict["OPTIONS"], ".s.PGSQL.5432"
    real = options["host"]
    link = Link(f"{tmp_path}/{name}", f"{real}/{name}")
    await link.start()
    monkeypatch.setitem(options, "host", str(tmp_path))
    pool.close()
    with settings.override(DATABASE_ANSWER_S=0.2, DATABASE_THREADS=THREADS):
        yield link
        await asyncio.to_thread(pool.close)
    await link.stop()


def ask(text="SELECT pg_backend_pid()"):
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone()[0]


async def lines_of_all():
    """The backend that each thread of the pool is connected to."""
    together = threading.Barrier(THREADS)

    def ask_together():
        together.wait()
        return ask()

    return await asyncio.gather(*(in_database(ask_together) for _ in range(THREADS)))


@WAYS
@pytest.mark.postgresql
async def test_who_asks_on_a_half_open_line_gets_an_answer_and_all_others_are_left(link, way):
    old, silent = await lines_of_all(), metrics.DATABASE_SILENT._value.get()
    link.deafen(way)
    assert await in_database(ask) not in old
    assert set(old).isdisjoint(await lines_of_all())
    assert metrics.DATABASE_SILENT._value.get() == silent + 1


@WAYS
@pytest.mark.postgresql
async def test_a_line_that_falls_silent_under_a_question_fails_it(link, way):
    loop, asked = asyncio.get_running_loop(), []

    def ask_twice():
        asked.append(ask())
        asyncio.run_coroutine_threadsafe(deafen(), loop).result()
        asked.append(ask())

    async def deafen():
        link.deafen(way)

    with pytest.raises(OperationalError):
        await in_database(ask_twice)
    assert len(asked) == 1
    assert await in_database(ask) not in asked


@pytest.mark.postgresql
async def test_a_statement_that_takes_too_long_is_cancelled_and_its_line_is_kept(link):
    def ask_slowly():
        try:
            before = ask()
            with pytest.raises(OperationalError, match="canceling statement"):
                ask("SELECT pg_sleep(60)")
        finally:
            assert ask() == before

    await in_database(ask_slowly)


def say(number):
    """By a line of its own, which dials through the link that this loop serves."""
    write(raw(), "t:1", {"n": number})


@pytest.mark.postgresql
async def test_a_relay_that_hears_nothing_leads_again(link, monkeypatch):
    monkeypatch.setattr(relay, "ANSWER_S", 0.5)
    async with relaying(RELAY_POLL_S=0.1) as remembering:
        await asyncio.to_thread(say, 1)
        await eventually(lambda: remembering.offsets("t:1") == [1])
        link.deafen(BACK)
        await asyncio.to_thread(say, 2)
        # the server ends the session, which holds the lock, after 3 s of silence
        await eventually(lambda: set(remembering.offsets("t:1")) == {1, 2})


@pytest.fixture
async def redis(tmp_path):
    found = sites.Redis(tmp_path / "redis")
    found.start()
    await eventually(found.socket.exists)
    yield found
    found.kill()


@asynccontextmanager
async def broker_at(socket):
    found = Broker(RedisPubSubChannelLayer(hosts=[f"unix://{socket}?db=0"]))
    try:
        await found.start()
        await eventually(lambda: found.healthy)
        yield found
    finally:
        await found.stop()


@WAYS
@pytest.mark.either
async def test_what_is_joined_on_a_half_open_line_to_redis_is_heard(
    redis, tmp_path, monkeypatch, way
):
    for name in ("BEAT_S", "QUIET_S", "DEAF_S", "BREAK_S", "REJOIN_S"):
        monkeypatch.setattr(broker, name, getattr(broker, name) / 5)
    link, heard = Link(str(tmp_path / "link"), str(redis.socket)), []

    async def listen(one):
        heard.append(await anext(one.listen()))

    async def heard_of():
        await there.reset("t:1", "E")
        return heard

    await link.start()
    async with broker_at(link.listen) as here, broker_at(redis.socket) as there:
        listening = asyncio.create_task(listen(here))
        link.deafen(way)
        await here.join("t:1")
        end = time.monotonic() + DEADLINE_S
        while not await heard_of():
            assert time.monotonic() < end, "it was never heard"
            await asyncio.sleep(0.05)
        listening.cancel()
    await link.stop()
