"""What the layer does not bring is read from the log, and what the log says last is believed."""

import asyncio

import pytest
import structlog

from realtime.engine.envelope import Batch
from realtime.engine.history import Page
from realtime.protocol.codes import Disconnect, Unsubscribe
from realtime.protocol.messages import Position, Publication
from tests.unit.engine.world import TOPIC, FakeClient, write


def door(scene, name, function):
    object.__setattr__(scene.hub.doors, name, function)


def test_a_gap_is_read_once_however_often_it_is_noticed(scene):
    client = scene.client()
    entries = write(scene) + write(scene) + write(scene) + write(scene)
    scene.world.asked.clear()
    scene.deliver(*scene.world.flying[2:])
    assert client.rows == entries
    assert scene.world.asked == [("since", 0)]


def test_a_gap_is_asked_about_until_the_database_answers(scene):
    client = scene.client()
    entries = write(scene) + write(scene)
    scene.world.broken = True
    with structlog.testing.capture_logs() as lines:

        async def comes():
            scene.hub.take(scene.world.flying[-1])

        scene.run(comes())
        scene.loop.pass_time(0.9)
    assert [line["event"] for line in lines] == ["log.unread"]
    scene.world.broken = False
    scene.loop.pass_time(0.3)
    assert client.rows == entries


def test_one_behind_the_ring_is_brought_up_from_the_log_page_by_page(scene):
    """Held for long, it stands where nothing in memory reaches."""
    client, other = scene.client(), scene.client("grace")

    async def held(user, topic):
        await asyncio.sleep(0.5)
        return await scene.world.authorise(user, topic)

    scene.hub.rights._authorise = held
    scene.world.revocations.append((98, {"kind": "user", "user": "ada"}))
    entries = write(scene)
    for message in scene.world.flying:
        scene.call(scene.hub.take, message)
    scene.world.flying.clear()
    for _ in range(4):
        entries += write(scene, 6)
        scene.loop.pass_time(0.01)
        for message in scene.world.flying:
            scene.call(scene.hub.take, message)
        scene.world.flying.clear()
    scene.loop.pass_time(0.1)
    assert (other.rows, client.rows) == (entries, [])
    scene.loop.pass_time(1)
    assert client.rows == entries


def test_one_behind_a_log_that_was_trimmed_is_told(scene):
    client = scene.client()
    scene.call(scene.hub._hold, client.member)
    write(scene, 20)
    scene.deliver_all()
    scene.world.trim(3)
    scene.call(scene.hub.release, client.member)
    scene.loop.pass_time(0.1)
    assert client.told == [Unsubscribe.INSUFFICIENT_STATE]


def test_one_who_leaves_while_the_log_is_read_for_it_gets_nothing(scene):
    client = scene.client()
    scene.call(scene.hub._hold, client.member)
    write(scene, 20)
    scene.deliver_all()
    since = scene.hub.doors.since

    async def meanwhile(*values):
        client.leave()
        return await since(*values)

    door(scene, "since", meanwhile)
    scene.call(scene.hub.release, client.member)
    scene.loop.pass_time(0.1)
    assert client.rows == []


def test_pages_wait_for_the_revocations_they_name(scene):
    client = scene.client()
    scene.call(scene.hub._hold, client.member)
    write(scene, 20)
    scene.deliver_all()
    control = scene.hub.doors.control_since
    late = Page(Position(scene.world.epoch, 20), (_marked(1),), True, 1, False)
    since, first = scene.hub.doors.since, [late]

    async def marked(*values):
        return first.pop() if first else await since(*values)

    async def not_there_yet(offset):
        await asyncio.sleep(0.4)
        scene.world.control_log.append(Publication(1, '{"kind":"sessions"}', None, "c", 1, 1))
        door(scene, "control_since", control)
        return await control(offset)

    door(scene, "since", marked)
    door(scene, "control_since", not_there_yet)
    scene.call(scene.hub.release, client.member)
    scene.loop.pass_time(0.3)
    assert client.rows == []
    scene.loop.pass_time(0.5)
    assert client.rows == list(range(1, 21))


def _marked(entry):
    return Publication(entry, str(entry), None, "i", entry, 1)


def test_a_mark_whose_revocation_is_nowhere_sends_everybody_away(scene):
    client = scene.client()
    write(scene)
    scene.deliver(Batch(TOPIC, scene.world.epoch, (_marked(1),)))
    assert client.closed is Disconnect.SHUTDOWN
    assert client.rows == []


def test_a_mark_that_falls_in_the_log_sends_everybody_away(scene):
    client = scene.client()
    scene.world.revoke("someone")
    write(scene)
    scene.deliver_all()
    write(scene)
    scene.world.flying.clear()
    fallen = scene.world.log[-1]
    scene.world.log[-1] = Publication(fallen.offset, fallen.data, None, "i", fallen.entry, 0)
    scene.loop.pass_time(1.1)
    assert client.closed is Disconnect.SHUTDOWN
    assert client.rows == [2]
    assert [topic for topic, _ in scene.world.distrusted] == ["!control"]


def test_revocations_that_cannot_be_read_hold_back_what_names_them(scene):
    client = scene.client()
    scene.world.revoke("someone")
    entries = write(scene)
    scene.world.broken = True

    async def comes():
        for message in scene.world.flying:
            scene.hub.take(message)

    scene.run(comes())
    scene.loop.pass_time(3)
    assert client.rows == []
    scene.world.broken = False
    scene.loop.pass_time(1.1)
    assert client.rows == entries


def test_a_revocation_nobody_brought_is_found_by_the_clock(scene):
    client = scene.client()
    scene.world.revoke("ada")
    scene.world.move()
    scene.loop.pass_time(1.2)
    assert client.told == [Unsubscribe.SERVER]


def test_everybody_is_asked_about_again_now_and_then(scene):
    client = scene.client()
    scene.world.denied.add("ada")
    scene.loop.pass_time(59)
    assert client.told == []
    scene.loop.pass_time(3)
    assert client.told == [Unsubscribe.SERVER]


def test_a_topic_left_in_the_middle_of_the_clocks_question_is_no_trouble(scene):
    client = scene.client()
    scene.call(client.leave)
    heads = scene.hub.doors.heads

    async def meanwhile(topics):
        scene.hub.feeds.clear()
        return await heads(topics)

    door(scene, "heads", meanwhile)
    write(scene)
    scene.loop.pass_time(1.1)
    assert scene.hub.feeds == {}


@pytest.mark.parametrize("offset", [0, 1])
def test_who_waits_for_revocations_while_all_begins_anew_is_told_that_it_is_in_vain(scene, offset):
    scene.client()

    async def waits():
        waiting = asyncio.ensure_future(scene.hub.upkeep.control_reaches(offset + 1))
        await asyncio.sleep(0)
        scene.hub.restart("a test")
        return await waiting

    assert scene.run(waits()) is False


def test_revocations_that_do_not_come_are_waited_for_a_second_only(scene):
    scene.client()
    scene.world.broken = True
    assert scene.run(scene.hub.upkeep.control_reaches(1)) is False
    assert scene.loop.now == pytest.approx(1, abs=0.1)
    scene.world.broken = False


def test_a_hub_that_nobody_has_come_to_compares_nothing(scene):
    scene.run(scene.hub.upkeep.audit())
    assert scene.world.asked == []
    newcomer = FakeClient(scene.world, scene.hub, "ada")
    scene.run(newcomer.connect())
    assert newcomer.closed is None
