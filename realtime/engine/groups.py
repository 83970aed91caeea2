"""Which topics this process hears of: one group of the broker for each topic somebody listens to.

Joins and leaves of one topic are serialised, and each looks at what is wanted when its turn comes:
a topic left and joined again at once is never deaf.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime.engine.doors import Broker


class Groups:
    def __init__(self, broker: Broker, wanted: Callable[[str], bool]) -> None:
        self._broker, self._wanted = broker, wanted
        self._joined: set[str] = set()
        self._turns: dict[str, asyncio.Lock] = {}

    async def settle(self, topic: str) -> None:
        """Join or leave, as is wanted now."""
        turn = self._turns.setdefault(topic, asyncio.Lock())
        async with turn:
            if self._wanted(topic) and topic not in self._joined:
                self._joined.add(topic)
                await self._broker.join(topic)
            elif not self._wanted(topic) and topic in self._joined:
                self._joined.discard(topic)
                await self._broker.leave(topic)
        if not turn.locked() and not self._wanted(topic):
            self._turns.pop(topic, None)
