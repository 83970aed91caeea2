"""What leaves a connection leaves in order, is counted, and has a bound."""

import asyncio

import pytest
from structlog.testing import capture_logs

from realtime.engine.conf import settings
from realtime.engine.frames import Pushes, Slot, Style
from realtime.engine.outlet import Outlet, at_once
from realtime.protocol.codec import binary, text
from realtime.protocol.codec.base import Inappropriate
from realtime.protocol.codes import Error
from realtime.protocol.messages import PingPush, Publication, Reply, Unsubscribed
from tests import frames
from tests.virtual import VirtualLoop


class Scene:
    """An outlet, what it sent, and what it asked of its connection."""

    def __init__(self, codec=text):
        self.sent, self.slow, self.changed = [], 0, 0
        self.closing, self.unsent = False, 0
        self.loop = VirtualLoop()

        async def make():
            return Outlet(
                codec,
                self.sent.append,
                lambda: self.unsent,
                slow=self._slow,
                changed=self._changed,
                closing=lambda: self.closing,
            )

        self.outlet = self.loop.run_until_complete(make())

    def _slow(self):
        self.slow += 1

    def _changed(self):
        self.changed += 1

    @property
    def said(self):
        return [reply for frame in self.sent for reply in frames.replies(frame)]

    @property
    def turn_is_open(self):
        return self.outlet.turns._open.is_set()


@pytest.fixture
def make():
    made = []

    def one(codec=text):
        made.append(Scene(codec))
        return made[-1]

    yield one
    for scene in made:
        scene.loop.close()


def pushes(*offsets, data="{}"):
    return Pushes([Slot("t:1", Publication(n, data, None, "p", n, 0)) for n in offsets])


def reply(number):
    return Reply(number, Unsubscribed())


@pytest.mark.parametrize("codec", [text, binary])
def test_replies_wait_for_each_other_and_pushes_come_behind_them(make, codec):
    scene = make(codec)
    scene.outlet.say(reply(1))
    scene.outlet.say(Reply(2, Error.INTERNAL))
    assert scene.sent == []
    scene.outlet.push(pushes(1, 2), Style.PLAIN)
    scene.outlet.say(reply(3))
    scene.outlet.flush()
    scene.outlet.flush()
    assert len(scene.sent) == 3
    assert [said.get("id") for said in scene.said] == [1, 2, None, None, 3]
    assert scene.outlet.pushes == 2
    assert scene.outlet.sent_bytes == sum(map(len, scene.sent))


def test_a_ping_goes_at_once_behind_what_was_said(make):
    scene = make()
    scene.outlet.say(reply(1))
    scene.outlet.say(PingPush())
    assert [said.get("id") for said in scene.said] == [1, None]


def test_what_cannot_be_said_is_not_sent(make):
    scene = make()
    blob = Pushes([Slot("t:1", Publication(0, "", None, "p", 0, 0, None, b"\xff"))])
    with pytest.raises(Inappropriate):
        scene.outlet.push(blob, Style.PLAIN)
    assert scene.sent == []


def test_a_reader_with_much_to_read_is_pinged_and_asks_the_database_nothing(make):
    scene = make()
    with settings.override(UNSENT_BYTES=1000):
        scene = make()
    scene.outlet.push(pushes(1, data="1" * 600), Style.PLAIN)
    assert scene.outlet.busy
    assert not scene.turn_is_open
    assert scene.said[-1] == {}
    assert scene.outlet.ponged(1.0)
    assert not scene.outlet.busy
    assert scene.turn_is_open
    assert not scene.outlet.ponged(2.0)


def test_a_pong_counts_for_what_has_left_this_process(make):
    with settings.override(UNSENT_BYTES=1000):
        scene = make()
    scene.outlet.push(pushes(1, data="1" * 600), Style.PLAIN)
    scene.unsent = 700
    assert not scene.outlet.ponged(1.0)
    assert scene.outlet.busy


def test_a_reader_that_reads_nothing_is_given_up_in_time(make):
    with settings.override(UNSENT_BYTES=1000, SLOW_S=3.0):
        scene = make()
    assert scene.outlet.due is None
    scene.outlet.push(pushes(1, data="1" * 1200), Style.PLAIN)
    assert scene.changed
    due = scene.outlet.due
    assert due == pytest.approx(3.0)
    assert not scene.outlet.is_too_slow(due - 0.1)
    assert scene.outlet.is_too_slow(due)
    scene.loop.now = due
    before = len(scene.sent)
    scene.outlet.push(pushes(2), Style.PLAIN)
    assert scene.slow == 1
    assert len(scene.sent) == before
    scene.closing = True
    scene.outlet.say(reply(1))
    scene.outlet.flush()
    assert scene.said[-1]["id"] == 1


# --- A server that takes everything at once


def test_what_is_sent_is_taken_before_the_next_line_runs():
    taken = []

    async def send():
        taken.append(1)

    at_once(send())
    assert taken == [1]


def test_a_wire_that_is_closing_is_no_error():
    async def send():
        raise ConnectionResetError("closing")

    with capture_logs() as lines:
        assert not at_once(send())
    assert [(line["event"], line["log_level"]) for line in lines] == [("frame.unsent", "info")]


def test_a_server_that_makes_its_applications_wait_is_found_out():
    """What waits there could not be counted; nothing of it is left behind."""
    ended = []

    async def send():
        try:
            await asyncio.sleep(0)
        finally:
            ended.append(1)

    with pytest.raises(RuntimeError, match="Daphne"):
        at_once(send())
    assert ended == [1]
