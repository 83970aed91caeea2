"""Commands that come to any process, for a connection that one of them holds."""

import asyncio
import contextlib

import pytest

from realtime.engine import emulation
from realtime.engine.conf import settings
from realtime.engine.emulation import Emulation, Outcome
from realtime.engine.envelope import Errand
from realtime.protocol.codes import Disconnect
from tests.virtual import VirtualLoop


class Layer:
    """Between processes: carries at once, or after the next of `delays`, or not."""

    def __init__(self):
        self.homes, self.sent, self.delays, self.lost = {}, [], [], False
        self.doubts = 0  # so often it carries, and says that it has not

    async def carry(self, topic, message):
        await asyncio.sleep(self.delays.pop(0) if self.delays else 0)
        self.sent.append(message)
        if topic in self.homes and not self.lost:
            self.homes[topic].take(message)


class Process:
    """One of them; as its own broker it knows whether it hears."""

    def __init__(self, layer):
        self.layer, self.healthy, self.begun = layer, True, 0
        self.tasks = set()
        self.emulation = Emulation(self, self.spawn, self.begin)

    async def begin(self):
        self.begun += 1
        if self.begun == 1:
            self.emulation.start()

    def spawn(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def join(self, topic):
        if self.healthy:
            self.layer.homes[topic] = self.emulation

    async def send(self, topic, message):
        if not self.healthy:
            return False
        await self.layer.carry(topic, message)
        self.layer.doubts -= 1
        return self.layer.doubts < 0


class Speaker:
    def __init__(self):
        self.heard, self.ended = [], None

    def receive(self, frame):
        self.heard.append(frame)

    def disconnect(self, code):
        self.ended = code


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


class Scene:
    def __init__(self):
        self.layer = Layer()
        self.holder, self.other = Process(self.layer), Process(self.layer)
        self.speaker = Speaker()
        self.secret = self.holder.emulation.secret()
        self.node = self.holder.emulation.node

    @contextlib.asynccontextmanager
    async def held(self):
        await self.holder.emulation.ready()
        with self.holder.emulation.holding(self.secret, self.speaker):
            yield
        await asyncio.gather(*self.holder.tasks, *self.other.tasks)

    def deliver(self, frame="{}", *, node=None, session=None, process=None):
        at = (process or self.other).emulation
        return at.deliver(node or self.node, session or self.secret, frame)


def played(loop, play):
    """What `play(scene)` gives, with a connection held; and the scene."""
    scene = Scene()

    async def run():
        async with scene.held():
            return await play(scene)

    return loop.run_until_complete(run()), scene


def test_at_its_own_process_nobody_else_is_asked(loop):
    outcome, scene = played(loop, lambda scene: scene.deliver("x", process=scene.holder))
    assert (outcome, scene.speaker.heard, scene.layer.sent) == (Outcome.TAKEN, ["x"], [])


@pytest.mark.parametrize("frame", ['{"é":"😀"}', b"\x00\xff", "", b""])
def test_at_another_process_it_is_heard_as_it_was_said(loop, frame):
    outcome, scene = played(loop, lambda scene: scene.deliver(frame))
    assert (outcome, scene.speaker.heard) == (Outcome.TAKEN, [frame])


@pytest.mark.parametrize("own", [True, False])
def test_a_session_that_has_ended_is_unknown(loop, own):
    async def play(scene):
        ended = scene.holder.emulation.secret()
        at = scene.holder if own else scene.other
        return await scene.deliver(session=ended, process=at)

    outcome, scene = played(loop, play)
    assert (outcome, scene.speaker.heard) == (Outcome.UNKNOWN, [])


@pytest.mark.parametrize("session", ["", "x", "é", "A" * 43, "A" * 44, "\x00", "\ud800"])
def test_an_invented_session_troubles_nobody(loop, session):
    outcome, scene = played(loop, lambda scene: scene.other.emulation.deliver("a", session, ""))
    assert (outcome, scene.layer.sent) == (Outcome.UNKNOWN, [])


def test_a_session_of_another_node_opens_nothing(loop):
    async def play(scene):
        foreign = scene.other.emulation.secret()
        return await scene.deliver(session=foreign), await scene.deliver(node="0" * 16)

    outcomes, scene = played(loop, play)
    assert (outcomes, scene.layer.sent) == ((Outcome.UNKNOWN, Outcome.UNKNOWN), [])


def test_a_process_that_is_gone_is_unknown_within_the_time(loop):
    async def play(scene):
        gone = Process(scene.layer).emulation
        begun = loop.time()
        outcome = await scene.deliver(node=gone.node, session=gone.secret())
        return outcome, loop.time() - begun

    (outcome, took), _ = played(loop, play)
    assert outcome is Outcome.UNKNOWN
    assert took == pytest.approx(settings.EMULATION_S, abs=0.1)


def test_while_redis_is_away_another_process_is_not_to_be_had_and_this_one_is(loop):
    async def play(scene):
        await scene.deliver("first")
        scene.holder.healthy = scene.other.healthy = False
        loop.now += emulation.WARM_S
        begun = loop.time()
        found = await scene.deliver("x"), await scene.deliver("y", process=scene.holder)
        return *found, loop.time() - begun

    (there, here, took), scene = played(loop, play)
    assert (there, here, took) == (Outcome.AWAY, Outcome.TAKEN, 0)
    assert scene.speaker.heard == ["first", "y"]


def test_redis_that_goes_meanwhile_is_not_a_session_that_has_ended(loop):
    async def play(scene):
        scene.layer.lost = True
        asking = asyncio.ensure_future(scene.deliver())
        await asyncio.sleep(0.1)
        scene.other.healthy = False
        return await asking

    assert played(loop, play)[0] is Outcome.AWAY


def test_a_young_process_is_given_time_to_hear(loop):
    async def play(scene):
        scene.other.healthy = False
        asking = asyncio.ensure_future(scene.deliver("x"))
        await asyncio.sleep(emulation.WARM_S / 2)
        scene.other.healthy = True
        return await asking

    outcome, scene = played(loop, play)
    assert (outcome, scene.speaker.heard) == (Outcome.TAKEN, ["x"])


def test_a_process_that_cannot_begin_is_no_help(loop):
    async def play(scene):
        async def fail():
            raise ConnectionError

        scene.other.healthy = False
        scene.other.emulation._begin = fail
        return await scene.deliver()

    assert played(loop, play)[0] is Outcome.AWAY


def test_overlapping_requests_are_heard_in_the_order_they_came(loop):
    async def play(scene):
        scene.layer.delays = [0.3, 0.0, 0.2, 0.1]
        return await asyncio.gather(*(scene.deliver(frame) for frame in "abcd"))

    outcomes, scene = played(loop, play)
    assert set(outcomes) == {Outcome.TAKEN}
    assert scene.speaker.heard == list("abcd")


def test_too_many_for_one_connection_wait_for_nothing(loop):
    async def play(scene):
        scene.layer.lost = True
        asking = [scene.deliver() for _ in range(emulation.ERRANDS + 1)]
        return await asyncio.gather(*asking)

    outcomes, _ = played(loop, play)
    assert outcomes.count(Outcome.AWAY) == 1


@pytest.mark.parametrize("doubts", [1, 2, 5])
def test_a_send_of_unknown_outcome_is_made_again_and_heard_once(loop, doubts):
    async def play(scene):
        scene.layer.doubts = doubts
        return await scene.deliver("once")

    outcome, scene = played(loop, play)
    assert (outcome, scene.speaker.heard) == (Outcome.TAKEN, ["once"])


def test_what_the_broker_repeats_is_heard_once(loop):
    async def play(scene):
        await scene.deliver("once")
        errand = next(sent for sent in scene.layer.sent if isinstance(sent, Errand))
        scene.holder.emulation.take(errand)

    assert played(loop, play)[1].speaker.heard == ["once"]


def test_done_errands_are_remembered_within_a_bound(loop, monkeypatch):
    monkeypatch.setattr(emulation, "DONE", 3)

    async def play(scene):
        for _ in range(5):
            await scene.deliver()

    assert len(played(loop, play)[1].holder.emulation._done) == 3


def test_the_secret_goes_to_no_other_process(loop):
    _, scene = played(loop, lambda scene: scene.deliver("x"))
    assert scene.layer.sent
    assert scene.secret not in repr(scene.layer.sent)


def test_an_answer_that_comes_too_late_disturbs_nobody(loop):
    async def play(scene):
        scene.layer.delays = [0, settings.EMULATION_S + 1]
        return await scene.deliver("x")

    outcome, scene = played(loop, play)
    assert (outcome, scene.speaker.heard) == (Outcome.UNKNOWN, ["x"])
    assert scene.other.emulation._answers == {}


def test_at_the_end_whoever_is_left_is_sent_away(loop):
    async def play(scene):
        scene.holder.emulation.close()
        scene.holder.emulation.end()

    _, scene = played(loop, play)
    assert scene.speaker.ended is Disconnect.SHUTDOWN
    assert not scene.holder.emulation.open
