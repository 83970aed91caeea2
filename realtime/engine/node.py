"""One process among those that say in Redis who is where: it lives while it beats.

A node's life is a key that expires unless each beat renews it; what a node wrote counts while it
lives, so a killed process leaves no ghosts. It writes in steps (presence.lua). A step is taken only
if Redis knows of exactly the steps before it; so one may be sent twice or arrive late, and whatever
made Redis forget is noticed. The node then goes on under a new name and writes everything again. A
name once dead is dead for ever: burying it needs no lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from realtime.engine import redis_client
from realtime.engine.broker import Seldom, group_of
from realtime.engine.conf import settings
from realtime.engine.envelope import Seal
from realtime.engine.exceptions import Unavailable
from realtime.engine.roll import Roll

if TYPE_CHECKING:
    from collections.abc import Awaitable

log = structlog.get_logger(__name__)

STEP = Path(__file__).with_name("presence.lua").read_text()
STEP_CHANGES = 200
# how long Redis keeps a topic of which its node says nothing; above roll.RENEW_S
KEPT_S = 900
BREAK_S = 1.0
LOG_EVERY_S = 60.0

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Step:
    topics: tuple[str, ...]
    keys: list[str]
    args: list[str | int | bytes]


class Node:
    """Writes down what `roll` says, in `keep`, a task of its own."""

    def __init__(self, redis: Any) -> None:
        self.roll = Roll()
        self.process = secrets.token_hex(8)
        self._redis = redis
        self._take = redis.register_script(STEP)
        self._generation, self._number = 1, 0
        self._sent: Step | None = None
        self._changed = asyncio.Event()
        self._silent_until = self._doubted_until = float("-inf")
        self._complaint = Seldom(LOG_EVERY_S)

    @property
    def name(self) -> str:
        return f"{self.process}.{self._generation}"

    @property
    def known(self) -> bool:
        """Whether Redis, as far as we know, holds this node's life."""
        return self._number > 0

    @property
    def doubtful(self) -> bool:
        """Whether what Redis says is not to be relied on: it is silent, or has just forgotten."""
        return now() < max(self._silent_until, self._doubted_until)

    def changed(self) -> None:
        self._changed.set()

    async def ask(self, call: Awaitable[Any]) -> Any:
        """Raises Unavailable; then the next to ask may spare itself the wait: `doubtful`."""
        try:
            answer = await redis_client.within(call)
        except Unavailable:
            self._silent_until = now() + BREAK_S
            raise
        self._silent_until = float("-inf")
        return answer

    async def keep(self) -> None:
        while True:
            try:
                await self._write()
                await self._rest()
            except Unavailable as error:
                log.debug("presence.silent", error=repr(error.__cause__))
                await asyncio.sleep(BREAK_S)
            except Exception:
                log.exception("presence.failed")
                await asyncio.sleep(BREAK_S)

    async def leave(self) -> None:
        with contextlib.suppress(Unavailable):
            await self.ask(self._redis.delete(life(self.name)))

    def forgotten(self, name: str) -> None:
        """Somebody saw that the life of `name` is no more."""
        # with a step under way its answer will tell
        if name == self.name and self._sent is None:
            self._begin_anew()

    async def _rest(self) -> None:
        """Until there is something to write, at most a beat."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.PRESENCE_BEAT_S):
                while not self.roll.unwritten:
                    self._changed.clear()
                    await self._changed.wait()

    async def _write(self) -> None:
        # the same step until an answer comes: nobody knows whether Redis has taken it
        self._sent = step = self._sent or self._step()
        empty = await self.ask(self._take(keys=step.keys, args=step.args))
        self._sent = None
        if empty is None:
            self._begin_anew()
            return
        self._number += 1
        for place in empty:
            self.roll.lost(step.topics[place])

    def _step(self) -> Step:
        changes = self.roll.take(STEP_CHANGES, now())
        former = f"{self.process}.{self._generation - 1}"
        keys = [life(self.name), life(former)]
        args: list[str | int | bytes] = [self._number or "", self._number + 1]
        args += [redis_client.life_ms(), KEPT_S, self.name]
        for topic, infos in changes.items():
            keys += [nodes_of(topic), infos_of(topic, self.name)]
            seal = Seal(topic, self.name)
            puts = [(c, seal.close(_encode(info))) for c, info in infos.items() if info]
            drops = [client for client, info in infos.items() if info is None]
            args += [len(puts), len(drops)]
            args += chain.from_iterable(puts)
            args += drops
        return Step(tuple(changes), keys, args)

    def _begin_anew(self) -> None:
        """Redis has forgotten us, and so perhaps the others: no reliance on it until their beat."""
        if self._complaint.due():
            log.warning("presence.forgotten", clients=len(self.roll))
        self._generation, self._number = self._generation + 1, 0
        self.roll.lost_all()
        self._changed.set()
        self._doubted_until = now() + settings.PRESENCE_BEAT_S + BREAK_S


def life(node: str) -> str:
    return f"tocsin:presence:life:{node}"


def nodes_of(topic: str) -> str:
    return f"tocsin:presence:{group_of(topic)}"


def infos_of(topic: str, node: str) -> str:
    return f"{nodes_of(topic)}:{node}"


def now() -> float:
    return asyncio.get_running_loop().time()
