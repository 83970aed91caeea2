"""Topics that the server subscribes a connection to while it lasts, unasked (orders.Subscribe)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from realtime.engine import entering
from realtime.engine.members import Member
from realtime.engine.tokens import TopicOptions
from realtime.protocol.codes import Error
from realtime.protocol.commands import Subscribe
from realtime.protocol.messages import Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime.engine.hub import Hub
    from realtime.engine.members import Reader
    from realtime.engine.orders import Subscribe as Order
    from realtime.protocol.messages import Subscribed

log = structlog.get_logger(__name__)


class Gifts:
    """Of one reader. `takes`: it may be given the topic; `begin`: it has it, False if it has not.

    A member is registered by reader and topic, so it must not be made where there is one already.
    """

    def __init__(
        self,
        hub: Hub,
        reader: Reader,
        *,
        takes: Callable[[str], bool],
        begin: Callable[[Member, Subscribed], bool],
    ) -> None:
        self._hub, self._reader, self._takes, self._begin = hub, reader, takes, begin
        self._pending: dict[str, asyncio.Task[None]] = {}

    def give(self, order: Order) -> None:
        if order.topic not in self._pending:
            task = asyncio.get_running_loop().create_task(self._give(order))
            self._pending[order.topic] = task
            task.add_done_callback(lambda _: self._done(order.topic, task))

    def withdraw(self, topic: str) -> None:
        """What is still under way comes to nothing."""
        if (task := self._pending.pop(topic, None)) is not None:
            task.cancel()

    def stop(self) -> None:
        for topic in list(self._pending):
            self.withdraw(topic)

    def _done(self, topic: str, task: asyncio.Task[None]) -> None:
        if self._pending.get(topic) is task:
            del self._pending[topic]

    async def _give(self, order: Order) -> None:
        if not self._takes(order.topic):
            return
        member = Member(self._reader, order.topic, vouched=True, info=order.info)
        since = Position(*order.since) if order.since else None
        request = Subscribe(0, order.topic, since=since)
        options = TopicOptions(order.info, order.data, {})
        answer = await entering.give(self._hub, member, request, options)
        if isinstance(answer, Error):
            log.info("gift.refused", topic=order.topic, code=answer.number)
        elif not self._begin(member, answer):
            self._hub.quit(member)  # the client has subscribed meanwhile
