"""Who comes and who goes is shown at once, and told in the order in which it happened."""

import asyncio
from types import SimpleNamespace

from realtime.engine.members import Member, nobody
from realtime.engine.movements import Movements
from realtime.engine.tasks import Tasks
from tests.unit.engine.world import Present


class Layer:
    """The first message takes longest, as on a connection that is made for it."""

    def __init__(self):
        self.told = []

    async def send(self, topic, message):
        for _ in range(0 if self.told else 5):
            await asyncio.sleep(0)
        self.told.append((topic, message.came, message.info.client))
        return True


def scene():
    world = SimpleNamespace(broker=Layer(), presence=Present())
    tasks = Tasks()
    return world, tasks, Movements(world, tasks.spawn)


def member(client, topic="a", **words):
    reader = SimpleNamespace(person=nobody(), client=client, info=None)
    return Member(reader, topic, **words)


async def test_who_comes_and_goes_at_once_is_told_to_come_and_then_to_go():
    world, tasks, movements = scene()
    for came in (True, False, True):
        movements.note(member("c1", announced=True), came=came)
    movements.note(member("c2", "b", announced=True), came=True)
    await tasks.idle()
    of_a = [told for told in world.broker.told if told[0] == "a"]
    assert of_a == [("a", True, "c1"), ("a", False, "c1"), ("a", True, "c1")]
    assert ("b", True, "c2") in world.broker.told
    movements.note(member("c1", announced=True), came=False)
    await tasks.idle()
    assert world.broker.told[-1] == ("a", False, "c1")


async def test_who_is_only_shown_is_not_told_of_and_the_other_way_round():
    world, tasks, movements = scene()
    movements.note(member("c1", present=True), came=True)
    movements.note(member("c2", announced=True), came=True)
    movements.note(member("c3"), came=True)
    await tasks.idle()
    assert list(world.presence.topics["a"]) == ["c1"]
    assert world.broker.told == [("a", True, "c2")]
    movements.note(member("c1", present=True), came=False)
    assert not world.presence.topics["a"]
