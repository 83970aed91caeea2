"""Who is on a topic, in all processes: a rumour in Redis with expiry, never the truth.

This process's own people are in its memory and always in its answers; what other processes say of
theirs (node.py) is read from Redis. Where Redis does not answer, or has just forgotten, there is no
answer at all, never a shorter one.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from realtime.engine import metrics, redis_client
from realtime.engine.broker import Seldom
from realtime.engine.conf import settings
from realtime.engine.envelope import Refused, Seal
from realtime.engine.exceptions import Unavailable
from realtime.engine.node import LOG_EVERY_S, Node, infos_of, life, nodes_of
from realtime.protocol.messages import ClientInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger(__name__)

PAGE, NODES = 500, 500
READERS, READ_S = 4, 2.0

_decode = msgspec.msgpack.Decoder(ClientInfo).decode
Infos = dict[str, ClientInfo]


class Presence:
    """One per event loop; it takes over `client`, which must be one that never tries again."""

    def __init__(self, client: Any = None) -> None:
        self._redis = client or redis_client.connect()
        self._node = Node(self._redis)
        self._task: asyncio.Task[None] | None = None
        self._readers = asyncio.Semaphore(READERS)
        self._reads: set[asyncio.Task[Infos]] = set()
        self._next_reads: dict[str, asyncio.Task[Infos]] = {}
        self._complaint = Seldom(LOG_EVERY_S)

    def add(self, topic: str, info: ClientInfo) -> None:
        """At once here, and soon in Redis; who has more to say than PRESENCE_BYTES is not shown."""
        if (size := _size(topic, info)) > settings.PRESENCE_BYTES:
            metrics.PRESENCE_TOO_LARGE.inc()
            if self._complaint.due():
                log.warning("presence.too_large", topic=topic, bytes=size)
            return
        self._node.roll.add(topic, info)
        self._node.changed()

    def remove(self, topic: str, client: str) -> None:
        self._node.roll.remove(topic, client)
        self._node.changed()

    async def everybody(self, topic: str) -> Infos:
        """By client. Raises Unavailable where Redis does not answer, or has just forgotten."""
        if self._node.doubtful:
            raise Unavailable
        others = await asyncio.shield(self._next_read(topic))
        return {**others, **self._node.roll.of(topic)}

    async def count(self, topic: str) -> tuple[int, int]:
        """Clients and distinct users. Raises Unavailable."""
        everybody = await self.everybody(topic)
        return len(everybody), len({info.user for info in everybody.values()})

    async def start(self) -> None:
        """Begin to write; waits for nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._node.keep())

    async def stop(self) -> None:
        """Gone at once, for every process; where Redis does not answer, when the life expires."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=settings.BROKER_TIMEOUT_S)
            self._task = None
        await self._node.leave()
        with contextlib.suppress(Unavailable):
            await redis_client.within(self._redis.aclose())

    # --- Reading

    def _next_read(self, topic: str) -> asyncio.Task[Infos]:
        """A read that has not begun: whoever asks until it does shares it."""
        if (read := self._next_reads.get(topic)) is None:
            read = self._next_reads[topic] = asyncio.create_task(self._read(topic))
            self._reads.add(read)
            read.add_done_callback(self._ended)
        return read

    def _ended(self, read: asyncio.Task[Infos]) -> None:
        self._reads.discard(read)
        if not read.cancelled():
            read.exception()  # for whoever asked may have gone

    async def _read(self, topic: str) -> Infos:
        try:
            async with asyncio.timeout(READ_S), self._readers:
                del self._next_reads[topic]
                if self._node.doubtful:
                    raise Unavailable
                return await self._others(topic)
        except TimeoutError as error:
            raise Unavailable from error
        finally:
            if self._next_reads.get(topic) is asyncio.current_task():
                del self._next_reads[topic]

    async def _others(self, topic: str) -> Infos:
        own, known = self._node.name, self._node.known
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.get(life(own)).zrevrange(nodes_of(topic), 0, NODES - 1)
            alive, names = await self._node.ask(pipe.execute())
        if known and alive is None:
            self._node.forgotten(own)
            raise Unavailable
        nodes = [name.decode("ascii", "replace") for name in names]
        others = [node for node in nodes if not node.startswith(self._node.process)]
        return await self._infos(topic, await self._living(topic, others))

    async def _living(self, topic: str, nodes: list[str]) -> list[str]:
        if not nodes:
            return []
        lives = await self._node.ask(self._redis.mget(map(life, nodes)))
        dead = [node for node, alive in zip(nodes, lives, strict=True) if alive is None]
        if dead:
            await self._bury(topic, dead)
        return [node for node, alive in zip(nodes, lives, strict=True) if alive is not None]

    async def _bury(self, topic: str, dead: Iterable[str]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zrem(nodes_of(topic), *dead).unlink(*(infos_of(topic, node) for node in dead))
            await self._node.ask(pipe.execute())

    async def _infos(self, topic: str, nodes: list[str]) -> Infos:
        """In pages: neither Redis nor this process may stand still over a large topic."""
        found: Infos = {}
        cursors = dict.fromkeys(nodes, 0)
        while cursors:
            async with self._redis.pipeline(transaction=False) as pipe:
                for node, cursor in cursors.items():
                    pipe.hscan(infos_of(topic, node), cursor, count=PAGE // len(nodes))
                pages = await self._node.ask(pipe.execute())
            for node, (cursor, page) in zip(list(cursors), pages, strict=True):
                found |= _believed(Seal(topic, node), page)
                cursors[node] = cursor
            cursors = {node: cursor for node, cursor in cursors.items() if cursor}
        return found


def _size(topic: str, info: ClientInfo) -> float:
    texts = (topic, info.client, info.user, info.info or "", info.topic_info or "")
    try:
        return sum(len(text.encode()) for text in texts)
    except UnicodeEncodeError:  # half a character from a token's JSON: nobody could write it down
        return float("inf")


def _believed(seal: Seal, page: dict[bytes, bytes]) -> Infos:
    found: Infos = {}
    for client, sealed in page.items():
        try:
            info = _decode(seal.open(sealed))
        except (Refused, msgspec.MsgspecError):
            info = None
        if info and info.client.encode() == client:
            found[info.client] = info
        else:
            metrics.PRESENCE_REFUSED.inc()
    return found
