"""Who is on a topic, over two processes and a real Redis that is killed, frozen and emptied."""

import asyncio
import contextlib
import random
import signal
import sys
import time

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis as Client
from redis.exceptions import ConnectionError as NoConnectionError

from realtime.engine import roll
from realtime.engine.conf import settings as conf
from realtime.engine.exceptions import TooMany, Unavailable
from realtime.engine.node import infos_of, life, nodes_of
from realtime.engine.presence import FEW, Presence
from realtime.protocol.messages import ClientInfo
from tests.faults.site import Redis
from tests.live import DEADLINE_S
from tests.processes import running

pytestmark = pytest.mark.either
TOPIC = "room:1"
ADA = ClientInfo("a", "5", '{"name":"Ada"}', '{"seat":1}')
ADAS_PHONE = ClientInfo("p", "5")
GRACE = ClientInfo("g", "6")
# wide enough for a machine that eight people share
PACE = {"PRESENCE_BEAT_S": 0.1, "PRESENCE_TTL_S": 2.0, "BROKER_TIMEOUT_S": 1.0}


@pytest.fixture
async def redis(tmp_path_factory, settings):
    redis = Redis(tmp_path_factory.mktemp("r") / "redis")
    settings.REDIS_URL = redis.url
    with conf.override(**PACE):
        redis.start()
        await until(lambda: answers(redis))
        yield redis
        redis.kill()


@pytest.fixture
async def one(redis):
    async with present() as presence:
        yield presence


@pytest.fixture
async def two(redis):
    async with present() as presence:
        yield presence


@contextlib.asynccontextmanager
async def present():
    presence = Presence()
    await presence.start()
    try:
        yield presence
    finally:
        await presence.stop()


async def until(fact, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while not await fact():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


async def answers(redis):
    with contextlib.suppress(NoConnectionError):
        return await asyncio.to_thread(redis.say, "PING")


async def asked(presence, topic=TOPIC):
    """What somebody is told who asks now; None: that nobody knows, or that they are too many."""
    try:
        return await presence.everybody(topic)
    except (Unavailable, TooMany):
        return None


async def sees(presence, *infos, topic=TOPIC):
    """Wait until it does."""
    expected = {info.client: info for info in infos}
    await until(lambda: told(presence, expected, topic))


async def told(presence, expected, topic):
    return await asked(presence, topic) == expected


async def counts(presence, expected):
    with contextlib.suppress(Unavailable):
        return await presence.count(TOPIC) == expected


async def first_answer(presence):
    """What somebody hears who asks until there is an answer."""
    heard = []

    async def answered():
        heard.append(await asked(presence))
        return heard[-1] is not None

    await until(answered)
    return heard[-1]


async def kill(presence):
    """As kill -9 leaves it: nothing is written any more, and nothing is taken back."""
    presence._task.cancel()
    await asyncio.wait({presence._task})
    await presence._redis.aclose()


def refused():
    return REGISTRY.get_sample_value("tocsin_presence_refused_total")


async def test_everybody_is_seen_by_every_process(one, two):
    one.add(TOPIC, ADA)
    assert await one.everybody(TOPIC) == {"a": ADA}
    two.add(TOPIC, GRACE)
    two.add(TOPIC, ADAS_PHONE)
    two.add("room:2", ADAS_PHONE)
    for presence in (one, two):
        await sees(presence, ADA, ADAS_PHONE, GRACE)
        assert await presence.count(TOPIC) == (3, 2)
    assert await one.count("room:3") == (0, 0)


async def test_who_leaves_is_gone_and_who_says_something_new_is_seen(one, two):
    one.add(TOPIC, ADA)
    one.add(TOPIC, GRACE)
    await sees(two, ADA, GRACE)
    one.remove(TOPIC, "a")
    one.add(TOPIC, ClientInfo("g", "6", '{"name":"Grace"}'))
    await sees(two, ClientInfo("g", "6", '{"name":"Grace"}'))
    one.remove(TOPIC, "g")
    await sees(two)


async def test_a_process_that_stops_leaves_at_once(redis, two):
    async with present() as one:
        one.add(TOPIC, ADA)
        await sees(two, ADA)
    assert await two.everybody(TOPIC) == {}


async def test_a_process_that_is_killed_leaves_no_ghosts_and_no_keys(redis, two):
    async with present() as one:
        one.add(TOPIC, ADA)
        two.add(TOPIC, GRACE)
        await sees(two, ADA, GRACE)
        began = time.monotonic()
        await kill(one)
        await sees(two, GRACE)
        assert time.monotonic() - began < 2 * PACE["PRESENCE_TTL_S"] + 1
        assert not redis.say("KEYS", f"*{one._node.process}*")
        names = await two._redis.zrange(nodes_of(TOPIC), 0, -1)
        assert names == [two._node.name.encode()]


PROGRAM = """
import asyncio, django
django.setup()
from realtime.engine.presence import Presence
from realtime.protocol.messages import ClientInfo

async def main():
    presence = Presence()
    await presence.start()
    presence.add("room:1", ClientInfo("a", "5", '{"name":"Ada"}', '{"seat":1}'))
    print("there", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_program_that_is_killed_is_seen_and_then_is_not(redis, two):
    environment = {
        "REDIS_URL": redis.url,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TOCSIN_PRESENCE_BEAT_S": "0.1",
        "TOCSIN_PRESENCE_TTL_S": "1",
        "TOCSIN_BROKER_TIMEOUT_S": "1",
    }
    with running(sys.executable, "-c", PROGRAM, **environment) as program:
        await asyncio.to_thread(program.until, "there")
        await sees(two, ADA)
        program.end(signal.SIGKILL)
        await sees(two)


async def test_after_a_flushall_nobody_is_told_less_than_all(redis, one, two):
    one.add(TOPIC, ADA)
    two.add(TOPIC, GRACE)
    await sees(one, ADA, GRACE)
    await sees(two, ADA, GRACE)
    for _ in range(3):
        redis.say("FLUSHALL")
        for presence in (one, two):
            assert await first_answer(presence) == {"a": ADA, "g": GRACE}


async def test_a_frozen_redis_holds_nobody_up_and_heals(redis, one, two):
    one.add(TOPIC, ADA)
    two.add(TOPIC, GRACE)
    await sees(one, ADA, GRACE)
    redis.signal(signal.SIGSTOP)
    try:
        with conf.override(BROKER_TIMEOUT_S=0.2):
            began = time.monotonic()
            for _ in range(100):
                assert await asked(one) is None
            one.remove(TOPIC, "a")
            for n in range(1000):
                one.add(TOPIC, ClientInfo(f"n{n}", "5"))
                if n:
                    one.remove(TOPIC, f"n{n}")
            assert time.monotonic() - began < 1.5
    finally:
        redis.signal(signal.SIGCONT)
    for presence in (one, two):
        await sees(presence, ClientInfo("n0", "5"), GRACE)


async def test_a_redis_frozen_for_longer_than_a_life_makes_no_ghosts(redis, two):
    with conf.override(PRESENCE_TTL_S=0.3):
        async with present() as one:
            one.add(TOPIC, ADA)
            two.add(TOPIC, GRACE)
            await sees(two, ADA, GRACE)
            redis.signal(signal.SIGSTOP)
            gone = asyncio.create_task(asyncio.sleep(0.5))
            await kill(one)
            await gone
            redis.signal(signal.SIGCONT)
            await sees(two, GRACE)


async def test_a_redis_that_is_killed_and_comes_back_knows_all_again(redis, one, two):
    one.add(TOPIC, ADA)
    await sees(two, ADA)
    redis.kill()
    assert await asked(two) is None
    one.remove(TOPIC, "a")
    one.add(TOPIC, ADAS_PHONE)
    two.add(TOPIC, GRACE)
    redis.start()
    await sees(one, ADAS_PHONE, GRACE)
    await sees(two, ADAS_PHONE, GRACE)


async def test_a_start_and_a_stop_without_redis_are_no_errors(redis):
    redis.kill()
    async with present() as one:
        one.add(TOPIC, ADA)
        assert await asked(one) is None
        redis.start()
        await sees(one, ADA)
        redis.kill()


class Lossy:
    """Takes the node's steps to Redis and loses answers; keeps what was sent, to send it late."""

    def __init__(self, node):
        self._take, self.steps, self.lose = node._take, [], 0
        node._take = self

    async def __call__(self, keys, args):
        self.steps.append((keys, args))
        answer = await self._take(keys=keys, args=args)
        if self.lose:
            self.lose -= 1
            raise NoConnectionError("the answer was lost")
        return answer

    async def late(self, keys, args):
        return await self._take(keys=keys, args=args)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("realtime.engine.node.BREAK_S", 0.05)


async def test_a_step_whose_answer_was_lost_counts_once_and_late_ones_never(quick, one, two):
    lossy, name = Lossy(one._node), one._node.name
    lossy.lose = 3
    one.add(TOPIC, ADA)
    await sees(two, ADA)
    one.remove(TOPIC, "a")
    await sees(two)
    for step in list(lossy.steps):
        await lossy.late(*step)
    assert await two.everybody(TOPIC) == {}
    one.add(TOPIC, GRACE)
    await sees(two, GRACE)
    assert one._node.name == name


async def test_a_redis_that_is_taken_back_in_time_raises_no_dead(redis, one, two):
    one.add(TOPIC, ADA)
    await sees(two, ADA)
    name = one._node.name
    kept = {key: await two._redis.dump(key) for key in (infos_of(TOPIC, name), life(name))}
    one.remove(TOPIC, "a")
    one.add(TOPIC, GRACE)
    await sees(two, GRACE)
    for key, value in kept.items():
        await two._redis.restore(key, 60_000, value, replace=True)
    await sees(two, GRACE)
    assert one._node.name != name


async def test_a_topic_that_redis_evicts_comes_back_with_its_renewal(redis, one, two, monkeypatch):
    one.add(TOPIC, ADA)
    await sees(two, ADA)
    redis.say("DEL", infos_of(TOPIC, one._node.name), nodes_of(TOPIC))
    await sees(two)
    monkeypatch.setattr(roll, "RENEW_S", 0.0)
    await sees(two, ADA)


async def test_topics_expire_unless_they_are_renewed(redis, one, two, monkeypatch):
    one.add(TOPIC, ADA)
    await sees(two, ADA)
    keys = (infos_of(TOPIC, one._node.name), nodes_of(TOPIC))
    assert all(600 < redis.say("TTL", key) <= 900 for key in keys)
    for key in keys:
        redis.say("EXPIRE", key, "30")
    monkeypatch.setattr(roll, "RENEW_S", 0.0)

    async def renewed():
        return all(redis.say("TTL", key) > 600 for key in keys)

    await until(renewed)


async def test_what_nobody_of_us_wrote_is_counted_and_ignored(redis, one, two):
    one.add(TOPIC, ADA)
    one.add("room:2", GRACE)
    await sees(two, ADA)
    await sees(two, GRACE, topic="room:2")
    here, there = infos_of(TOPIC, one._node.name), infos_of("room:2", one._node.name)
    carried = await two._redis.hget(there, "g")
    own = await two._redis.hget(here, "a")
    forged = {"g": carried, "x": own, "y": b"\xc1", "z": b"", b"\xff": b"x" * 100_000}
    await two._redis.hset(here, mapping=forged)
    names = {"*": 1, b"\xff\r\n": 2, "": 3, f"{one._node.name}x": 4}
    await two._redis.zadd(nodes_of(TOPIC), names)
    before = refused()
    assert await two.everybody(TOPIC) == {"a": ADA}
    assert refused() == before + 5


async def test_a_key_of_another_kind_is_no_answer_and_no_traceback(redis, one):
    redis.say("SET", nodes_of(TOPIC), "rubbish")
    assert await asked(one) is None
    one.add(TOPIC, ADA)
    redis.say("DEL", nodes_of(TOPIC))
    await sees(one, ADA)


@pytest.mark.parametrize("topic", ["a b\r\nFLUSHALL\r\n", "*", "é" * 127, "", "!control"])
async def test_a_topic_may_have_any_name(one, two, topic):
    one.add(topic, ADA)
    await sees(two, ADA, topic=topic)
    await sees(two, topic="room:1")


async def test_ten_thousand_on_a_topic_are_all_counted_and_listed_if_they_may(redis, one, two):
    crowd = [ClientInfo(f"{n:036}", str(n // 2)) for n in range(10_000)]
    for info in crowd:
        one.add(TOPIC, info)
    two.add(TOPIC, GRACE)
    with conf.override(PRESENCE_CLIENTS=10_001):
        await sees(two, *crowd, GRACE)
        redis.say("FLUSHALL")
        await sees(two, *crowd, GRACE)
    with conf.override(PRESENCE_CLIENTS=10_000):
        for presence in (one, two):
            await until(lambda presence=presence: counts(presence, (10_001, 5_000)))
            with pytest.raises(TooMany):
                await presence.everybody(TOPIC)
        one.remove(TOPIC, crowd[0].client)
        await sees(two, *crowd[1:], GRACE)


async def test_a_long_list_is_read_once_however_often_it_is_asked_for(redis, one, two, monkeypatch):
    monkeypatch.setattr("realtime.engine.presence.REST_S", 3600.0)
    crowd = [ClientInfo(f"{n}", "7") for n in range(150)]
    for info in crowd:
        one.add(TOPIC, info)
    await until(lambda: stays(two))
    told = await two.everybody(TOPIC)
    assert len(told) > FEW
    redis.say("DEL", nodes_of(TOPIC))
    two.add(TOPIC, GRACE)
    assert await two.everybody(TOPIC) == {**told, "g": GRACE}
    assert await two.count(TOPIC) == (len(told) + 1, 2)


async def stays(presence):
    """What it has read of the topic will serve others."""
    await presence.everybody(TOPIC)
    return TOPIC in presence._reads


async def test_many_processes_are_read_a_few_at_a_time(redis, one, monkeypatch):
    monkeypatch.setattr("realtime.engine.presence.ABREAST", 2)
    async with contextlib.AsyncExitStack() as stack:
        others = [await stack.enter_async_context(present()) for _ in range(5)]
        crowd = [ClientInfo(f"{n}", f"{n}") for n in range(5)]
        for other, info in zip(others, crowd, strict=True):
            other.add(TOPIC, info)
        await sees(one, *crowd)
        assert await one.count(TOPIC) == (5, 5)


async def test_of_more_processes_than_are_looked_at_the_dead_are_buried_or_nobody_knows(
    redis, one, two, monkeypatch
):
    monkeypatch.setattr("realtime.engine.presence.NODES", 3)
    two.add(TOPIC, GRACE)
    await sees(one, GRACE)
    now = time.time()
    for n in range(4):
        redis.say("ZADD", nodes_of(TOPIC), now + 60, f"dead{n}")
    assert await asked(one) is None
    assert await asked(one) == {"g": GRACE}
    for n in range(4):
        redis.say("ZADD", nodes_of(TOPIC), now + 60, f"alive{n}")
        redis.say("SET", life(f"alive{n}"), "1")
    assert await asked(one) is None
    assert await asked(one) is None


async def test_the_rights_of_the_deploy_guide_are_enough(redis, settings):
    rights = "on >secret resetchannels &tocsin* ~tocsin* +@all -@admin -@dangerous"
    redis.say("ACL", "SETUSER", "tocsin", *rights.split())
    settings.REDIS_URL = redis.url.replace("unix://", "unix://tocsin:secret@")
    async with present() as one, present() as two:
        one.add(TOPIC, ADA)
        await sees(two, ADA)
        async with Client.from_url(settings.REDIS_URL) as client:
            assert await client.acl_whoami() == "tocsin"


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_in_between_both_see_everybody(quick, redis, one, two, seed):
    chance = random.Random(seed)
    both, here = (one, two), {}
    lossy = [Lossy(presence._node) for presence in both]
    for act in chance.choices(
        ["add", "remove", "flush", "lose", "late", "ask"], [9, 6, 1, 2, 2, 4], k=300
    ):
        at = chance.randrange(2)
        client = f"{at}:{chance.randrange(12)}"
        if act == "add":
            here[client] = ClientInfo(client, str(chance.randrange(5)))
            both[at].add(TOPIC, here[client])
        elif act == "remove":
            here.pop(client, None)
            both[at].remove(TOPIC, client)
        elif act == "flush":
            redis.say("FLUSHALL")
        elif act == "lose":
            lossy[at].lose += 1
        elif act == "late" and lossy[at].steps:
            await lossy[at].late(*chance.choice(lossy[at].steps[-3:]))
        else:
            await asked(both[at])
    await sees(one, *here.values())
    await sees(two, *here.values())
