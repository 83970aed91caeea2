"""How many are where, process by process: each says it of its own in Redis, while it lives.

A rumour, as old as a beat. Where Redis does not answer, or has just forgotten what this process
has said, there is no answer at all, never a shorter one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from realtime.engine import redis_client
from realtime.engine.conf import VERSION, settings
from realtime.engine.envelope import Refused, Seal
from realtime.engine.exceptions import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtime.engine.feed import Feed
    from realtime.engine.members import Register

NODES = "tocsin:census"
FORGOTTEN_S = 86_400
TOPICS = 10_000


class Tally(Struct, array_like=True):
    """What one process holds. `topics`: connections by topic; None: too many to tell.

    `channels`: how many topics.
    """

    uid: str
    name: str
    version: str
    uptime_s: int
    clients: int
    users: int
    subscriptions: int
    channels: int
    topics: dict[str, int] | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Tally).decode


def count(register: Register, feeds: Mapping[str, Feed]) -> dict[str, Any]:
    """What changes in a tally."""
    readers = register.readers()
    topics = {name: n for name, feed in feeds.items() if (n := sum(m.joined for m in feed.members))}
    return {
        "clients": len(readers),
        "users": len({user for reader in readers if (user := reader.person.user)}),
        "subscriptions": sum(topics.values()),
        "channels": len(topics),
        "topics": topics,
    }


class Census:
    """One per event loop; `counted` gives what `count` gives of this process."""

    def __init__(self, client: Any = None) -> None:
        self._redis = client or redis_client.connect()
        self._uid = secrets.token_hex(8)
        self._seal = Seal(NODES, self._uid)
        self._began = time.monotonic()
        self._counted: Callable[[], dict[str, Any]] | None = None
        self._doubted_until = float("-inf")
        self._known = False
        # with a word of ours under way, nobody knows what Redis has forgotten
        self._turn = asyncio.Lock()

    async def keep(self, counted: Callable[[], dict[str, Any]]) -> None:
        """Say it with every beat."""
        self._counted = counted
        while True:
            try:
                async with self._turn:
                    await self._say()
            except Unavailable:
                self._known = False
            await asyncio.sleep(settings.PRESENCE_BEAT_S)

    async def everybody(self) -> list[Tally]:
        """Of every process that has, or had, connections. Raises Unavailable."""
        async with self._turn:
            if self._counted is not None and not self._known:
                await self._say()
            if time.monotonic() < self._doubted_until:
                raise Unavailable
            tallies = await self._others()
            own = [self._tally()] if self._known else []
        return own + [tally for tally in tallies if tally.uid != self._uid]

    async def _others(self) -> list[Tally]:
        uids = sorted(map(_text, await redis_client.within(self._redis.smembers(NODES))))
        found = await redis_client.within(self._redis.mget(map(_key, uids))) if uids else []
        told = dict(zip(uids, found, strict=True))
        if self._known and not told.get(self._uid):
            raise Unavailable  # Redis has forgotten us, and so perhaps the others
        if dead := [uid for uid, sealed in told.items() if sealed is None]:
            await redis_client.within(self._redis.srem(NODES, *dead))
        return [tally for uid, sealed in told.items() if (tally := _believed(uid, sealed))]

    async def leave(self) -> None:
        """Nobody counts this process any more."""
        self._counted, self._known = None, False
        try:
            await redis_client.within(self._redis.delete(_key(self._uid)))
            await redis_client.within(self._redis.aclose())
        except Unavailable:
            return

    async def _say(self) -> None:
        tally = self._tally()
        if len(tally.topics or ()) > TOPICS:
            tally.topics = None
        async with self._redis.pipeline(transaction=True) as pipe:
            sealed = self._seal.close(_encode(tally))
            pipe.set(_key(self._uid), sealed, px=redis_client.life_ms(), get=True)
            pipe.sadd(NODES, self._uid).expire(NODES, FORGOTTEN_S)
            before, *_ = await redis_client.within(pipe.execute())
        if self._known and before is None:
            # the others say theirs again with their next beat
            self._doubted_until = time.monotonic() + settings.PRESENCE_BEAT_S + 1
        self._known = True

    def _tally(self) -> Tally:
        assert self._counted is not None  # `keep` has set it
        name, uptime_s = f"{socket.gethostname()}_{os.getpid()}", time.monotonic() - self._began
        return Tally(self._uid, name, VERSION, int(uptime_s), **self._counted())


def _key(uid: str) -> str:
    return f"{NODES}:{uid}"


def _text(name: bytes) -> str:
    return name.decode("ascii", "replace")


def _believed(uid: str, sealed: object) -> Tally | None:
    try:
        tally: Tally = _decode(Seal(NODES, uid).open(sealed))
    except (Refused, msgspec.MsgspecError):
        return None
    return tally if tally.uid == uid else None
