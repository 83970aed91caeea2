"""Who is on a topic, in all processes: a rumour in Redis with expiry, never the truth.

This process's own people are in its memory and always in its answers; what other processes say of
theirs (node.py) is read from Redis. Where Redis does not answer, or has just forgotten, there is no
answer at all, never a shorter one. A long one is read seldom: it is a little old.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from msgspec import Struct

from realtime.engine import metrics, redis_client
from realtime.engine.broker import Seldom
from realtime.engine.conf import settings
from realtime.engine.envelope import Refused, Seal
from realtime.engine.exceptions import TooMany, Unavailable
from realtime.engine.limits import Shares
from realtime.engine.node import LOG_EVERY_S, Node, infos_of, life, nodes_of
from realtime.protocol.messages import ClientInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

log = structlog.get_logger(__name__)

# infos in a page, of so many nodes; pages at once
PAGE, ABREAST, READERS = 500, 10, 4
# questions of one person at once, so that there are readers left; how long each waits for an answer
EACH, ASK_S = 2, 2.0
NODES = 1000
# what was read serves whoever asks, the longer the more it is: 3 s for 10,000 clients, a few not at
# all; so one topic costs a process some hundredths of its time, however many ask
FEW, REST_S = 100, 0.0003

_decode = msgspec.msgpack.Decoder(ClientInfo).decode
Infos = dict[str, ClientInfo]


class Others(Struct):
    """Who is on a topic by other processes; `infos`: None where they are too many to be told."""

    infos: Infos | None
    clients: int
    users: frozenset[str]


class Presence:
    """One per event loop; it takes over `client`, which must be one that never tries again."""

    def __init__(self, client: Any = None) -> None:
        self._redis = client or redis_client.connect()
        self._node = Node(self._redis)
        self._task: asyncio.Task[None] | None = None
        self._readers = asyncio.Semaphore(READERS)
        self._shares = Shares(EACH)
        self._reads: dict[str, asyncio.Task[Others]] = {}
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

    async def everybody(self, topic: str, asker: str = "") -> Infos:
        """By client; `asker`: who wants to know. Raises Unavailable where Redis does not answer, or
        has just forgotten; TooMany.
        """
        others, own = await self._others(topic, asker), self._node.roll.of(topic)
        if others.infos is None or others.clients + len(own) > settings.PRESENCE_CLIENTS:
            raise TooMany(f"more than {settings.PRESENCE_CLIENTS} are on this topic")
        return {**others.infos, **own}

    async def count(self, topic: str, asker: str = "") -> tuple[int, int]:
        """Clients and distinct users. Raises Unavailable."""
        others, own = await self._others(topic, asker), self._node.roll.of(topic)
        # not their union: to copy all of a large topic for each who asks takes milliseconds
        more = {info.user for info in own.values()} - others.users
        return others.clients + len(own), len(others.users) + len(more)

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

    async def _others(self, topic: str, asker: str) -> Others:
        try:
            async with asyncio.timeout(ASK_S), self._shares.one(asker):
                others = await asyncio.shield(self._reading(topic))
        except TimeoutError as error:  # the read goes on, for whoever asks next
            raise Unavailable from error
        if self._node.doubtful:
            raise Unavailable
        return others

    def _reading(self, topic: str) -> asyncio.Task[Others]:
        if (read := self._reads.get(topic)) is None:
            read = self._reads[topic] = asyncio.create_task(self._read(topic))
            read.add_done_callback(lambda read: self._rest(topic, read))
        return read

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        async with self._readers:
            if self._node.doubtful:
                raise Unavailable  # who waited need not wait for Redis as well
            yield

    def _rest(self, topic: str, read: asyncio.Task[Others]) -> None:
        # an error has no rest; it is looked at here, for whoever asked may have gone
        found = None if read.cancelled() or read.exception() else read.result()
        rest_s = REST_S * max(0, found.clients - FEW) if found else 0.0
        if rest_s:
            asyncio.get_running_loop().call_later(rest_s, self._reads.pop, topic, None)
        else:
            del self._reads[topic]

    async def _read(self, topic: str) -> Others:
        own, known = self._node.name, self._node.known
        async with self._slot(), self._redis.pipeline(transaction=False) as pipe:
            pipe.get(life(own)).zrevrange(nodes_of(topic), 0, NODES)
            alive, names = await self._node.ask(pipe.execute())
        if known and alive is None:
            self._node.forgotten(own)
            raise Unavailable
        nodes = [name.decode("ascii", "replace") for name in names]
        others = [node for node in nodes if not node.startswith(self._node.process)]
        living = await self._living(topic, others)
        if len(nodes) > NODES:
            raise Unavailable  # there may be more; the dead among these have just been buried
        infos: Infos | None = {}
        clients, users = set[str](), set[str]()
        async for page in self._pages(topic, living):
            clients |= page.keys()
            users |= {info.user for info in page.values()}
            if len(clients) > settings.PRESENCE_CLIENTS:
                infos = None  # nobody is told of so many, so they are not kept either
            if infos is not None:
                infos |= page
        return Others(infos, len(clients), frozenset(users))

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

    async def _pages(self, topic: str, nodes: list[str]) -> AsyncIterator[Infos]:
        """In pages: neither Redis nor this process may stand still over a large topic.

        Whoever reads a small one waits for some pages of it, and not for all.
        """
        cursors = dict.fromkeys(nodes, 0)
        while cursors:
            some = dict(islice(cursors.items(), ABREAST))
            async with self._slot(), self._redis.pipeline(transaction=False) as pipe:
                for node, cursor in some.items():
                    pipe.hscan(infos_of(topic, node), cursor, count=PAGE // len(some))
                pages = await self._node.ask(pipe.execute())
            for node, (cursor, page) in zip(some, pages, strict=True):
                cursors[node] = cursor
                if not cursor:
                    del cursors[node]
                yield _believed(Seal(topic, node), page)


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
