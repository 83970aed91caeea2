"""Who is where by this process, and what of it is still to be written down elsewhere."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime.protocol.messages import ClientInfo

RENEW_S = 300.0

Changes = dict[str, dict[str, "ClientInfo | None"]]


class Roll:
    """Remembers of whom something is to be written, not each change: only the last state counts."""

    def __init__(self) -> None:
        self._topics: dict[str, dict[str, ClientInfo]] = {}
        # of whom something is to be written, oldest first; False: nothing is written there yet
        self._unwritten: OrderedDict[tuple[str, str], bool] = OrderedDict()
        self._written_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._topics.values()))

    @property
    def unwritten(self) -> bool:
        return bool(self._unwritten)

    def of(self, topic: str) -> Mapping[str, ClientInfo]:
        return self._topics.get(topic, {})

    def add(self, topic: str, info: ClientInfo) -> None:
        here = self._topics.setdefault(topic, {})
        if here.get(info.client) != info:
            self._unwritten.setdefault((topic, info.client), info.client in here)
            here[info.client] = info

    def remove(self, topic: str, client: str) -> None:
        here = self._topics.get(topic, {})
        if here.pop(client, None) is None:
            return
        if not here:
            del self._topics[topic]
        if not self._unwritten.setdefault((topic, client), True):
            del self._unwritten[topic, client]

    def take(self, limit: int, now: float) -> Changes:
        """What to write next, by topic and client, None for who has gone; at most `limit` of them.

        A topic of which nothing was written for RENEW_S comes too, with nothing to write.
        """
        changes: Changes = {}
        for _ in range(min(limit, len(self._unwritten))):
            (topic, client), _ = self._unwritten.popitem(last=False)
            changes.setdefault(topic, {})[client] = self.of(topic).get(client)
        for topic in changes:
            self._written(topic, now)
        while len(changes) < limit and self._written_at:
            topic, at = next(iter(self._written_at.items()))
            if topic in changes or now - at < RENEW_S:
                break
            changes[topic] = {}
            self._written(topic, now)
        return changes

    def _written(self, topic: str, now: float) -> None:
        self._written_at.pop(topic, None)
        if topic in self._topics:
            self._written_at[topic] = now

    def lost(self, topic: str) -> None:
        """Of this topic nothing is written any more."""
        for client in self.of(topic):
            self._unwritten.setdefault((topic, client), False)

    def lost_all(self) -> None:
        """Nothing is written any more."""
        self._unwritten.clear()
        self._written_at.clear()
        for topic in self._topics:
            self.lost(topic)
