"""The steps of a node towards a Redis that is played: over the real one, test_presence."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as NoConnectionError
from structlog.testing import capture_logs

from realtime.engine.conf import settings
from realtime.engine.exceptions import Unavailable
from realtime.engine.node import BREAK_S, Node, infos_of, life
from realtime.protocol.messages import ClientInfo
from tests.virtual import VirtualLoop

LOST = NoConnectionError("the answer was lost")


class Played:
    """Gives the answers of the script in turn; when they run out, each step is taken."""

    def __init__(self):
        self.answers, self.steps, self.deleted = [], [], []

    def register_script(self, _text):
        async def take(keys, args):
            self.steps.append((keys, args))
            answer = self.answers.pop(0) if self.answers else []
            if isinstance(answer, Exception):
                raise answer
            return answer

        return take

    async def delete(self, key):
        self.deleted.append(key)

    def numbers(self):
        return [args[:2] for _, args in self.steps]


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    loop.close()


@pytest.fixture
def redis():
    return Played()


@pytest.fixture
def node(loop, redis):
    node = Node(redis)
    loop.create_task(node.keep())
    return node


def add(node, topic, client):
    node.roll.add(topic, ClientInfo(client, "5"))
    node.changed()


async def doubtful(node):
    return node.doubtful


def test_a_node_that_has_nothing_to_say_beats(loop, redis, node):
    loop.pass_time(2.5 * settings.PRESENCE_BEAT_S)
    assert redis.numbers() == [["", 1], [1, 2], [2, 3]]
    assert all(keys[0] == life(node.name) for keys, _ in redis.steps)
    assert all(args[2] == 1000 * settings.PRESENCE_TTL_S for _, args in redis.steps)
    assert node.known


def test_a_life_is_longer_than_two_beats_whatever_is_set(loop, redis, node):
    with settings.override(PRESENCE_TTL_S=1.0, PRESENCE_BEAT_S=4.0):
        loop.pass_time(0.1)
    assert redis.steps[0][1][2] == 8000


def test_what_changes_is_written_at_once_and_together(loop, redis, node):
    loop.pass_time(0.1)
    add(node, "t:1", "a")
    add(node, "t:1", "b")
    loop.pass_time(0.01)
    keys, args = redis.steps[1]
    assert keys[3] == infos_of("t:1", node.name)
    assert args[5:7] == [2, 0]
    assert {args[7], args[9]} == {"a", "b"}
    node.roll.remove("t:1", "a")
    node.changed()
    loop.pass_time(0.01)
    assert redis.steps[2][1][5:] == [0, 1, "a"]


def test_who_comes_and_goes_in_one_moment_is_not_written(loop, redis, node):
    loop.pass_time(0.1)
    add(node, "t:1", "a")
    node.roll.remove("t:1", "a")
    loop.pass_time(0.01)
    assert len(redis.steps) == 1


def test_a_step_without_an_answer_is_sent_again_as_it_was(loop, redis, node):
    redis.answers = [LOST, LOST]
    add(node, "t:1", "a")
    loop.pass_time(0.1)
    assert loop.run_until_complete(doubtful(node))
    node.roll.remove("t:1", "a")
    loop.pass_time(2 * BREAK_S)
    assert redis.steps[0] == redis.steps[1] == redis.steps[2]
    assert redis.steps[3][1][5:] == [0, 1, "a"]
    assert redis.numbers()[2:] == [["", 1], [1, 2]]
    assert not loop.run_until_complete(doubtful(node))


def test_a_node_that_redis_forgot_goes_on_under_a_new_name_and_is_doubtful(loop, redis, node):
    add(node, "t:1", "a")
    loop.pass_time(0.1)
    before = node.name
    redis.answers = [None]
    with capture_logs() as lines:
        add(node, "t:2", "b")
        loop.pass_time(0.1)
    assert [line["event"] for line in lines] == ["presence.forgotten"]
    keys, args = redis.steps[-1]
    assert keys[:2] == [life(node.name), life(before)]
    assert node.name != before
    assert args[:2] == ["", 1]
    assert len(keys) == 2 + 2 * 2
    assert loop.run_until_complete(doubtful(node))
    loop.pass_time(settings.PRESENCE_BEAT_S + BREAK_S)
    assert not loop.run_until_complete(doubtful(node))


def test_a_topic_that_redis_lost_alone_is_written_again(loop, redis, node):
    add(node, "t:1", "a")
    add(node, "t:2", "b")
    loop.pass_time(0.1)
    redis.answers = [[0]]
    node.roll.lost("t:2")
    node.changed()
    loop.pass_time(0.1)
    assert [len(keys) for keys, _ in redis.steps] == [6, 4, 4]


def test_a_reader_that_finds_the_life_gone_need_not_wait_for_the_beat(loop, redis, node):
    add(node, "t:1", "a")
    loop.pass_time(0.1)

    async def found():
        node.forgotten("somebody else's")
        node.forgotten(node.name)

    before = node.name
    loop.run_until_complete(found())
    loop.pass_time(0.01)
    assert node.name != before
    assert len(redis.steps) == 2


def test_a_fault_of_ours_is_logged_and_the_node_goes_on(loop, redis, node):
    redis.answers = [ValueError("ours")]
    with capture_logs() as lines:
        loop.pass_time(BREAK_S + 0.1)
    assert [line["event"] for line in lines] == ["presence.failed"]
    assert len(redis.steps) == 2


def test_a_node_that_leaves_ends_its_life(loop, redis, node):
    loop.run_until_complete(node.leave())
    assert redis.deleted == [life(node.name)]


def test_who_asks_is_told_that_redis_is_silent(loop, node):
    async def ask():
        async def call():
            raise LOST

        with pytest.raises(Unavailable):
            await node.ask(call())
        return node.doubtful

    assert loop.run_until_complete(ask())


def test_a_key_is_of_few_characters_whatever_the_topic():
    key = infos_of("x:*\r\nFLUSHALL" + "é" * 1000, "0123456789abcdef.1")
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789:.")
    assert len(key) < 100
