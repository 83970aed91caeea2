"""What `manage.py client` asks once, when its topics are open."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from centrifuge import CentrifugeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator

    from centrifuge import Client, StreamPosition

    from realtime.engine.management.listening import Listening


@dataclass(frozen=True)
class Wanted:
    """What to listen to, and what to ask once. `count` None: until it is stopped."""

    url: str
    topics: tuple[str, ...] = ()
    token: str = ""
    get_token: Callable[[], Awaitable[str]] | None = None
    topic_token: str = ""
    since: StreamPosition | None = None
    history: int | None = None
    presence: bool = False
    publish: tuple[Any] | None = None
    rpc: tuple[str, Any] | None = None
    protobuf: bool = False
    count: int | None = None
    timeout_s: float | None = None

    @property
    def asks(self) -> bool:
        return self.presence or bool(self.history or self.publish or self.rpc)


class Questions:
    """What cannot be answered is told, and the next one asked."""

    def __init__(self, client: Client, listening: Listening) -> None:
        self._client, self._listening = client, listening

    async def ask(self, wanted: Wanted, topics: Collection[str]) -> None:
        """All that is wanted, of these topics."""
        for topic in filter(topics.__contains__, wanted.topics):
            if wanted.history:
                await self._history(topic, wanted.history)
            if wanted.presence:
                await self._presence(topic)
            if wanted.publish:
                await self._publish(topic, wanted.publish[0])
        if wanted.rpc:
            await self._call(*wanted.rpc)

    async def _history(self, topic: str, limit: int) -> None:
        with self._asking("history", topic=topic):
            found = await self._client.history(topic, limit=limit, reverse=True)
            count = len(found.publications)
            self._listening.tell(
                "history", topic=topic, epoch=found.epoch, offset=found.offset, count=count
            )
            for publication in reversed(found.publications):
                self._listening.tell("recorded", topic=topic, **self._listening.about(publication))

    async def _presence(self, topic: str) -> None:
        with self._asking("presence", topic=topic):
            found = (await self._client.presence(topic)).clients
            users = len({info.user for info in found.values()})
            self._listening.tell("presence", topic=topic, clients=len(found), users=users)
            for info in found.values():
                self._listening.tell("present", topic=topic, **self._listening.info(info))

    async def _publish(self, topic: str, data: Any) -> None:
        began = time.monotonic()
        with self._asking("publish", topic=topic):
            await self._client.publish(topic, self._listening.packed(data))
            self._listening.tell("published", topic=topic, took_ms=_since_ms(began))

    async def _call(self, method: str, data: Any) -> None:
        began = time.monotonic()
        with self._asking(f"rpc {method}"):
            found = await self._client.rpc(method, self._listening.packed(data))
            took_ms = _since_ms(began)
            self._listening.tell(
                "returned", method=method, took_ms=took_ms, data=self._listening.value(found.data)
            )

    @contextlib.contextmanager
    def _asking(self, what: str, **facts: Any) -> Iterator[None]:
        try:
            yield
        except CentrifugeError as error:
            self._listening.refused(what, error, **facts)


def _since_ms(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
