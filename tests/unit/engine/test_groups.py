"""A topic left and joined again at once is never deaf."""

import asyncio

from realtime.engine.groups import Groups


class SlowBroker:
    def __init__(self):
        self.groups = set()

    async def join(self, topic):
        await asyncio.sleep(0)
        self.groups.add(topic)

    async def leave(self, topic):
        await asyncio.sleep(0)
        self.groups.discard(topic)


async def test_joins_and_leaves_at_once_end_as_wanted():
    broker, wanted = SlowBroker(), {"a"}
    groups = Groups(broker, wanted.__contains__)
    await groups.settle("a")
    wanted.clear()
    leaving = asyncio.create_task(groups.settle("a"))
    await asyncio.sleep(0)
    wanted.add("a")
    await asyncio.gather(leaving, groups.settle("a"))
    assert broker.groups == {"a"}


async def test_what_nobody_wants_is_left_and_forgotten():
    broker, wanted = SlowBroker(), {"a"}
    groups = Groups(broker, wanted.__contains__)
    await groups.settle("a")
    wanted.clear()
    await groups.settle("a")
    assert broker.groups == set()
    assert groups._turns == {}
