"""Who comes to the topics and who leaves: shown by presence, told to those who listen.

Guarantee: of one topic both are told in the order in which they happened; a rumour all the same.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from realtime.engine.envelope import Movement

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from realtime.engine.doors import Doors
    from realtime.engine.members import Member


class Movements:
    def __init__(self, world: Doors, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._doors, self._spawn = world, spawn
        self._untold: dict[str, deque[Movement]] = {}

    def note(self, member: Member, *, came: bool) -> None:
        topic, info = member.topic, member.client_info
        if member.present and came:
            self._doors.presence.add(topic, info)
        elif member.present:
            self._doors.presence.remove(topic, info.client)
        if member.announced:
            if topic not in self._untold:
                self._untold[topic] = deque()
                self._spawn(self._tell(topic))
            self._untold[topic].append(Movement(topic, came, info))

    async def _tell(self, topic: str) -> None:
        untold = self._untold[topic]
        try:
            while untold:
                await self._doors.broker.send(topic, untold.popleft())
        finally:
            del self._untold[topic]
