"""The server API: what a program asks with its key, method by method, and what it is answered.

Compatible with Centrifugo's HTTP API: a result, or an error with the protocol's code, in JSON.
"""

from __future__ import annotations

import asyncio
import fnmatch
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from msgspec import Raw

from realtime.engine import census, orders, placing, requests, topics
from realtime.engine.broadcasting import broadcast
from realtime.engine.conf import settings
from realtime.engine.exceptions import (
    BadRequest,
    Forbidden,
    NotAvailable,
    TocsinError,
    TooMany,
    Unavailable,
)
from realtime.engine.ordering import order
from realtime.engine.replies import REFUSED, Begun, refusal
from realtime.protocol.codec import text
from realtime.protocol.messages import Position, PresenceCount, Present, Recorded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from realtime.engine.hub import Hub
    from realtime.engine.keys import Key
    from realtime.engine.placing import Placed
    from realtime.engine.replies import Reply, Result
    from realtime.engine.topics import Match

log = structlog.get_logger(__name__)

PUBLISHING = frozenset({"publish", "broadcast"})
AT_ONCE = 8
NONE = ("", Raw())


class Api:
    """Of one key, in one process."""

    def __init__(self, hub: Hub, key: Key) -> None:
        self._hub, self._key = hub, key
        self._answered_bytes = 0
        # one program's questions leave something for those of another
        self._asker = f"!key:{key.id}"

    async def answer(self, method: str, body: bytes | Raw) -> bytes:
        """The JSON that answers a request; `method` is one of requests.METHODS."""
        reply = await (self._batch(body) if method == "batch" else self._reply(method, body))
        return msgspec.json.encode(reply)

    async def _reply(self, method: str, body: bytes | Raw, name: str = "result") -> Reply:
        begun = await self._begin(method, body, name)
        return begun.reply(await placing.positions(begun.placed))

    async def _begin(self, method: str, body: bytes | Raw, name: str) -> Begun:
        """All of a request, but for the places of what it has published."""
        if (size := self._answered_bytes) > settings.API_ANSWER_BYTES:
            return Begun(name, TooMany(f"the answer has {size} bytes already: not done"))
        try:
            request = requests.read(method, body)
            if isinstance(request, requests.Said):
                return Begun(name, await self._publish(method, request), method == "publish")
            found = await self._perform(method, request)
            self._answered_bytes += len(bytes(found))
            return Begun(name, found)
        except tuple(REFUSED) as why:
            return Begun(name, why)
        except Exception as why:  # noqa: BLE001  (a database that is down may raise anything)
            log.warning("api.failed", method=method, error=repr(why))
            return Begun(name, Unavailable(""))

    async def _batch(self, body: bytes | Raw) -> Reply:
        try:
            batch = requests.read("batch", body)
            _limit(batch.commands, "commands")
            commands = [_command(one) for one in batch.commands]
        except BadRequest as why:
            return refusal(why)
        if not batch.parallel:
            return {"replies": await self._in_turn(commands)}
        few = asyncio.Semaphore(AT_ONCE)

        async def one(method: str, request: Raw) -> Reply:
            async with few:
                return await self._reply(method, request, method)

        return {"replies": await asyncio.gather(*(one(*command) for command in commands))}

    async def _in_turn(self, commands: list[tuple[str, Raw]]) -> list[Reply]:
        """What follows a publish finds it; publishes that follow one another wait together."""
        begun: list[Begun] = []
        where: dict[Placed, Position] = {}
        for method, request in commands:
            if method not in PUBLISHING:
                where |= await placing.positions(_unsettled(begun, where))
            begun.append(await self._begin(method, request, method))
        where |= await placing.positions(_unsettled(begun, where))
        return [one.reply(where) for one in begun]

    async def _perform(self, method: str, request: Any) -> Raw:
        ways: dict[str, Callable[[str, Any], Awaitable[Result]]] = {
            "history": self._history,
            "history_remove": self._remove,
            "presence": self._presence,
            "presence_stats": self._count,
            "channels": self._channels,
            "info": self._info,
        }
        found = await ways.get(method, self._order)(method, request)
        return found if isinstance(found, Raw) else Raw(msgspec.json.encode(found))

    def _match(self, method: str, topic: str) -> Match:
        """What a name means, if the key is for it."""
        self._demand(method, topic)
        return topics.match(topic)

    def _demand(self, method: str, topic: str = "") -> None:
        if not self._key.allows(method, topic):
            about = f' of "{topic}"' if topic else ""
            raise Forbidden(f"this key is not for {method}{about}")

    async def _publish(self, method: str, request: requests.Said) -> list[Placed | TocsinError]:
        self._demand(method)
        _limit(request.names, "channels")
        broker, key = self._hub.doors.broker, self._key.id
        return await broadcast(broker, request, lambda name: self._match(method, name), key)

    # --- Of a user's connections, in all processes

    async def _order(self, method: str, request: requests.OfConnections) -> Result:
        self._demand(method, getattr(request, "channel", ""))
        try:
            await orders.agive(order(request))
        except ValueError as why:
            raise BadRequest(str(why)) from why
        return {}

    # --- Of a topic

    async def _history(self, method: str, request: requests.History) -> Result:
        match = self._match(method, request.channel)
        if not match.declaration.history:
            raise NotAvailable(f'"{match.topic}" keeps no history')
        since = request.since and Position(request.since.epoch, request.since.offset)
        if request.reverse and since and not since.offset:
            raise BadRequest("nothing stands before the offset 0")
        most, asked = settings.HISTORY_LIMIT, request.limit or 0
        limit = most if asked < 0 else min(asked, most)
        found = await self._hub.doors.excerpt(
            "", match, since, limit, reverse=bool(request.reverse), vouched=True
        )
        return _raw(Recorded(found.position, found.publications))

    async def _remove(self, method: str, request: requests.OnTopic) -> Result:
        match = self._match(method, request.channel)
        if not match.declaration.history or topics.is_latest(match.declaration):
            raise NotAvailable(f'"{match.topic}" has no history that could be removed')
        await orders.aforget(match.topic)
        return {}

    async def _presence(self, method: str, request: requests.OnTopic) -> Result:
        match = self._shown(method, request.channel)
        return _raw(Present(await self._hub.doors.presence.everybody(match.topic, self._asker)))

    async def _count(self, method: str, request: requests.OnTopic) -> Result:
        match = self._shown(method, request.channel)
        presence = self._hub.doors.presence
        return _raw(PresenceCount(*await presence.count(match.topic, self._asker)))

    def _shown(self, method: str, topic: str) -> Match:
        match = self._match(method, topic)
        if not match.declaration.presence:
            raise NotAvailable(f'"{topic}" does not tell who is there')
        return match

    # --- Of all processes

    async def _channels(self, method: str, request: requests.Channels) -> Result:
        self._demand(method)
        counted = Counter[str]()
        for tally in await self._tallies():
            if tally.topics is None:
                raise TooMany(f"one process alone has more than {census.TOPICS} topics")
            counted.update(tally.topics)
        wanted = re.compile(fnmatch.translate(request.pattern or "*")).match
        found = sorted(name for name in counted if wanted(name) and self._key.covers(name))
        return {"channels": {name: {"num_clients": counted[name]} for name in found}}

    async def _info(self, method: str, _: requests.Info) -> Result:
        self._demand(method)
        return {"nodes": list(map(_node, await self._tallies()))}

    async def _tallies(self) -> list[census.Tally]:
        if self._hub.doors.census is None:
            raise Unavailable
        return await self._hub.doors.census.everybody()


def _node(tally: census.Tally) -> dict[str, Any]:
    return {
        "uid": tally.uid,
        "name": tally.name,
        "version": tally.version,
        "uptime": tally.uptime_s,
        "num_clients": tally.clients,
        "num_users": tally.users,
        "num_subs": tally.subscriptions,
        "num_channels": tally.channels,
    }


def _command(command: dict[str, Raw]) -> tuple[str, Raw]:
    """Of a batch: a method and its request; the method "" is refused in its turn."""
    return next(iter(command.items())) if len(command) == 1 and "batch" not in command else NONE


def _unsettled(begun: Iterable[Begun], where: Mapping[Placed, Position]) -> list[Placed]:
    return [placed for one in begun for placed in one.placed if placed not in where]


def _raw(answer: Present | PresenceCount | Recorded) -> Raw:
    return Raw(text.result(answer).encode())


def _limit(things: list[Any], name: str) -> None:
    if len(things) > settings.API_COMMANDS:
        raise BadRequest(f"{len(things)} {name}; at most {settings.API_COMMANDS} at once")
