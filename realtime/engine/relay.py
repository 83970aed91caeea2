"""Outbox to log to broker, by one leader: every committed change, once, in order within its topic.

A publication is committed to the log before it is published; what a killed relay has not published
any more, the next one publishes again, and hubs drop by offset what they have. No passing fault
ends the process; it waits and tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from django.db import connection as django_connection

from realtime.engine import metrics
from realtime.engine.conf import settings
from realtime.engine.leader.life import Life

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from realtime.engine.broker import Broker
    from realtime.engine.leader.steps import Leader, Step
    from realtime.engine.outbox import Moved
    from realtime.engine.witness import Witness

log = structlog.get_logger(__name__)
R = TypeVar("R")

BACKOFF_S, BACKOFF_MAX_S = 0.05, 1.0
# so many failures in a row are no passing fault
STUCK = 20
TRIM_S, TRIM_AGAIN_S, COLLECT_S, TESTIFY_S, RENEW_S = 1.0, 0.1, 3600.0, 1.0, 1.0
GOODBYE_S = 1.0
# how long the database may be silent; where it was, twice as long for the same work the next
# time: it may only be slow
ANSWER_S, ANSWER_MAX_S = 8.0, 60.0


def leader_for_database() -> Leader:
    if django_connection.vendor == "sqlite":
        from realtime.engine.leader.sqlite import SqliteLeader  # noqa: PLC0415  (fcntl is Unix's)

        return SqliteLeader()
    from realtime.engine.leader.postgresql import PostgresqlLeader  # noqa: PLC0415  (psycopg)

    return PostgresqlLeader()


class Relay:
    """`run` until `stop`. The leader's work runs in one thread of its own, the rest in the loop."""

    def __init__(
        self,
        leader: Leader,
        broker: Broker,
        witness: Witness,
        *,
        new_epoch: bool = False,
        watch: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._leader, self._broker, self._witness = leader, broker, witness
        self._new_epoch = new_epoch
        self._watch = watch
        self._stopping = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tocsin-relay")
        self._standing_by = False
        self._failures = 0
        self._patience_s: dict[str, float] = {}
        self._highest = 0
        self._life = Life("", 0)
        self._chores = {"trim": 0.0, "collect": 0.0, "testify": 0.0, "renew": 0.0}

    # --- Its life

    async def run(self) -> None:
        """Lead, or stand by to lead, until `stop`."""
        try:
            while not self._stopping.is_set():
                try:
                    await self._term()
                except self._leader.errors as error:
                    await self._lost(error)
        finally:
            await self._end()

    def stop(self) -> None:
        """From the loop's thread, also as a signal's handler: end at once, cleanly."""
        self._stopping.set()
        self._leader.interrupt()

    def stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _term(self) -> None:
        if not await self._do(self._leader.lead):
            if not self._standing_by:
                log.info("relay.standby")
            self._standing_by = True
            self._failures = 0
            await self._pause(settings.RELAY_STANDBY_S)
            return
        self._standing_by = False
        log.info("relay.leading")
        metrics.LEADING.set(1)
        metrics.TAKEOVERS.inc()
        watching = asyncio.create_task(self._watch()) if self._watch else None
        try:
            await self._take_over()
            while not self._stopping.is_set():
                await self._step()
        finally:
            metrics.LEADING.set(0)
            if watching:
                watching.cancel()

    async def _take_over(self) -> None:
        """Is this the database that clients know? Then repeat what they may not have heard."""
        self._life, renewed = await self._do(self._leader.begin)
        seen = await self._witness.highest(self._life.name)
        behind = seen > self._life.highest
        if behind:
            log.warning("life.behind_witness", seen=seen, highest=self._life.highest)
        if self._new_epoch or (behind and not renewed):
            await self._do(self._leader.renew)
            self._new_epoch = False
        await self._witness.testify(self._life.name, self._life.highest)
        await self._publish(await self._do(self._leader.recent))

    async def _step(self) -> None:
        step = await self._do(self._leader.step, settings.MOVE_LIMIT, settings.RELAY_POLL_S)
        self._failures = 0
        self._highest = max(self._highest, step.highest)
        await self._hand_over(step)
        await self._chore()

    async def _hand_over(self, step: Step) -> None:
        await self._publish(step.moved)
        if reset := step.reset:
            log.info("namespace.reset", namespace=reset.namespace, topics=len(reset.topics))
            for topic in reset.topics:
                await self._broker.reset(topic, reset.epoch)

    async def _publish(self, moved: list[Moved]) -> None:
        """One batch a topic; `moved` is sorted by topic and offset."""
        for (topic, epoch), group in itertools.groupby(moved, lambda one: (one.topic, one.epoch)):
            publications = [one.publication for one in group]
            log.debug("publications.moved", topic=topic, offset=publications[-1].offset)
            await self._broker.publish(topic, epoch, publications)

    # --- Between two moves

    async def _chore(self) -> None:
        """Trim, forget idle topics, renew what hubs distrust; on the leader's own connection."""
        if self._due("trim", TRIM_S):
            removed = await self._do(self._leader.retention.trim)
            if removed:
                self._chores["trim"] = time.monotonic() + TRIM_AGAIN_S
        if self._due("collect", COLLECT_S):
            await self._do(self._leader.retention.collect)
        if self._due("renew", RENEW_S):
            await self._do(self._leader.renew_if_asked)
        if self._highest > self._life.highest and self._due("testify", TESTIFY_S):
            self._life = Life(self._life.name, self._highest)
            await self._witness.testify(self._life.name, self._highest)

    def _due(self, chore: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._chores[chore]:
            return False
        self._chores[chore] = now + every_s
        return True

    # --- Faults

    async def _lost(self, error: Exception) -> None:
        """Whatever the fault: let the lock go with the connection, wait a little, begin anew."""
        self._failures += 1
        metrics.DATABASE_LOST.inc()
        text = " ".join(str(error).split())
        if self._failures == STUCK:
            log.error("relay.stuck", failures=self._failures, error=text)
        elif self._failures == 1:
            log.warning("relay.lost_database", error=text)
        await self._do(self._leader.close)
        await self._pause(min(BACKOFF_S * 2 ** min(self._failures, 10), BACKOFF_MAX_S))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _do(self, function: Callable[..., R], *args: Any) -> R:
        """In the leader's thread; what gets no answer in time loses its connection.

        Once stopping, nothing is waited for longer than GOODBYE_S.
        """
        name = function.__name__
        answer_s = self._patience_s.get(name, ANSWER_S)
        loop = asyncio.get_running_loop()
        began = loop.time()
        work = loop.run_in_executor(self._thread, function, *args)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            either: set[asyncio.Future[Any]] = {work, stopping}
            # a step may sleep before it asks
            patience_s = answer_s + settings.RELAY_POLL_S
            await asyncio.wait(either, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                await asyncio.wait({work}, timeout=GOODBYE_S)
            elif not work.done():
                log.warning("database.silent", after_s=patience_s)
                self._patience_s[name] = min(2 * answer_s, ANSWER_MAX_S)
            if not work.done():
                self._leader.abandon()
            answer = await work
            if loop.time() - began < ANSWER_S:
                self._patience_s.pop(name, None)
            return answer
        finally:
            stopping.cancel()

    async def _end(self) -> None:
        await self._do(self._leader.close)
        self._thread.shutdown()
        await self._broker.stop()
        await self._witness.close()
        log.info("relay.stopped")
