"""The only door to the channel layer: publications out, publications in, at most once.

Redis is a rumour. Nothing here waits for it longer than BROKER_TIMEOUT_S, nothing here raises
because of it, and whatever it loses the hub reads from the log. `healthy` tells when to rely on
the log alone: a process is healthy while the messages that it sends to itself come back, by a group
that it joins anew now and then: on a line that is half open no join arrives, and nobody says so.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import hashlib
import time
import uuid
from typing import TYPE_CHECKING, Any

import structlog
from channels.layers import get_channel_layer

from realtime.engine import envelope, metrics
from realtime.engine.conf import settings
from realtime.engine.envelope import Echo, Reset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from realtime.engine.envelope import Rumour
    from realtime.protocol.messages import Publication

log = structlog.get_logger()

BEAT_S = 0.5
# without an echo for so long: not healthy; for so long although sending works: connect anew
QUIET_S, DEAF_S = 1.5, 2.5
REJOIN_S = 5.0
BREAK_S = 1.0
LOG_EVERY_S = 60.0


def group_of(topic: str) -> str:
    """The group of a topic: any topic in the few characters and bytes a group may have."""
    return f"topic.{hashlib.blake2b(topic.encode(), digest_size=16).hexdigest()}"


class Broker:
    """One per event loop. A process that only publishes never calls `listen` or `join`."""

    def __init__(self, layer: Any = None) -> None:
        self._layer = layer or get_channel_layer()
        self._prefix = f"hub{uuid.uuid4().hex[:12]}."
        self._name = ""
        self._wanted: set[str] = set()
        self._joined: set[str] = set()
        self._queue: collections.deque[Rumour] = collections.deque()
        self._arrived = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._nonce = uuid.uuid4().hex
        self._echoes, self._rejoin_at = "", float("-inf")
        self._heard_at = float("-inf")
        self._unheard_since: float | None = None
        self._open_until = float("-inf")
        self._complaint = Seldom(LOG_EVERY_S)

    @property
    def healthy(self) -> bool:
        return bool(self._name) and time.monotonic() - self._heard_at < QUIET_S

    @property
    def reachable(self) -> bool:
        """It has a mailbox, and the last that Redis was asked it answered."""
        return bool(self._name) and time.monotonic() >= self._open_until

    # --- Out

    async def publish(self, topic: str, epoch: str, publications: Sequence[Publication]) -> bool:
        """Hand publications to the topic's group; False where that is not known to have worked."""
        sent = True
        for batch in envelope.batches(topic, epoch, publications):
            sent = await self.send(topic, batch) and sent
        return sent

    async def reset(self, topic: str, epoch: str) -> bool:
        """Tell the topic's hubs that its log was begun anew."""
        return await self.send(topic, Reset(topic, epoch))

    async def send(self, topic: str, message: Rumour) -> bool:
        """Tell all hubs that listen to the topic; False where it is not known to have worked."""
        if time.monotonic() < self._open_until:
            metrics.BROKER_SKIPPED.inc()
            return False
        sealed = {"type": "tocsin", "sealed": envelope.seal(message)}
        if not await self._within(self._layer.group_send(group_of(topic), sealed)):
            return False
        metrics.BROKER_PUBLISHED.inc()
        return True

    # --- In

    async def listen(self) -> AsyncIterator[Rumour]:
        """What arrives for the joined topics: lost, repeated and reordered as it may be."""
        await self.start()
        while True:
            while self._queue:
                yield self._queue.popleft()
            self._arrived.clear()
            await self._arrived.wait()

    async def start(self) -> None:
        """Open the process's one mailbox, and keep it open from now on."""
        if "keep" not in self._tasks:
            await self._beat()
            self._tasks["keep"] = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End the tasks and close the connections of this event loop to Redis."""
        tasks = [*self._tasks.values(), *self._late]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=settings.BROKER_TIMEOUT_S)
        await self._within(self._layer.flush())
        self._name = ""

    async def join(self, topic: str) -> None:
        """Hear the topic from now on; while Redis is away, from its return on."""
        self._wanted.add(topic)
        if self.reachable:
            await self._join(topic)

    async def leave(self, topic: str) -> None:
        self._wanted.discard(topic)
        if topic not in self._joined:
            return
        self._joined.discard(topic)
        if self._name and not await self._within(
            self._layer.group_discard(group_of(topic), self._name)
        ):
            self._forget(topic)

    async def _join(self, topic: str) -> None:
        if topic in self._joined or topic not in self._wanted:
            return
        if await self._within(self._layer.group_add(group_of(topic), self._name)):
            self._joined.add(topic)

    def _forget(self, topic: str) -> None:
        # Redis may have taken the leave whose answer we did not wait for, while the layer's books
        # still say "subscribed": it would never subscribe again (channels_redis/pubsub.py:293)
        with contextlib.suppress(AttributeError):
            channel = self._layer._get_group_channel_name(group_of(topic))  # noqa: SLF001
            shard = self._layer._get_shard(channel)  # noqa: SLF001
            shard._subscribed_to.discard(channel)  # noqa: SLF001

    # --- Keeping the mailbox open

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self._beat()
            except Exception:
                log.exception("broker.failed")

    async def _beat(self) -> None:
        """Connect or connect anew, send an echo, join what is not joined yet."""
        was_healthy = self.healthy
        now = time.monotonic()
        if self._name and self._unheard_since and now - self._unheard_since > DEAF_S:
            await self._disconnect()
        if not self._name and not await self._connect():
            return
        await self._rejoin(now)
        echo = {"type": "tocsin", "sealed": envelope.seal(Echo(self._nonce))}
        if self._echoes and await self._within(
            self._layer.group_send(group_of(self._echoes), echo)
        ):
            self._unheard_since = self._unheard_since or now
        else:
            self._unheard_since = None
        for topic in list(self._wanted - self._joined):
            if time.monotonic() < self._open_until:
                break
            await self._join(topic)
        metrics.BROKER_HEALTHY.set(self.healthy)
        if was_healthy and not self.healthy:
            self._complain("redis.silent")

    async def _rejoin(self, now: float) -> None:
        """Let the echoes come by another group."""
        if now < self._rejoin_at or not self.reachable:
            return
        new = f"!echo {uuid.uuid4().hex}"
        joined = await self._within(self._layer.group_add(group_of(new), self._name))
        if joined:
            self._rejoin_at = now + REJOIN_S
        self._echoes, old = (new, self._echoes) if joined else (self._echoes, new)
        if old:
            await self._within(self._layer.group_discard(group_of(old), self._name))

    async def _connect(self) -> bool:
        name = await self._within(self._layer.new_channel(self._prefix))
        if not name:
            self._clear_mailboxes()
            return False
        self._name = str(name)
        self._unheard_since = None
        self._tasks["drain"] = asyncio.create_task(self._drain(self._name))
        log.debug("broker.connected")
        return True

    async def _disconnect(self) -> None:
        self._name = self._echoes = ""
        self._rejoin_at = float("-inf")
        self._joined.clear()
        if drain := self._tasks.pop("drain", None):
            drain.cancel()
            self._late.add(drain)
            drain.add_done_callback(self._late.discard)
        await self._within(self._layer.flush())
        self._clear_mailboxes()

    def _clear_mailboxes(self) -> None:
        # new_channel() enters its mailbox before it asks Redis, and leaves it there when that fails
        with contextlib.suppress(AttributeError):
            for name in [name for name in self._layer.channels if self._prefix in name]:
                del self._layer.channels[name]

    async def _drain(self, name: str) -> None:
        """Empty the layer's queue, which has no bound, into ours, which has one."""
        while True:
            try:
                message = await self._layer.receive(name)
                self._take(envelope.unseal(message["sealed"]))
            except Exception:  # noqa: BLE001  (anybody can write anything into Redis)
                metrics.BROKER_REFUSED.inc()
                await asyncio.sleep(0)

    def _take(self, message: envelope.Message) -> None:
        if isinstance(message, Echo):
            if message.nonce == self._nonce:
                self._heard_at = time.monotonic()
                self._unheard_since = None
        elif len(self._queue) >= settings.BROKER_QUEUE:
            metrics.BROKER_DROPPED.inc()
        else:
            self._queue.append(message)
            self._arrived.set()

    # --- Never wait, never raise

    async def _within(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The call's result (True for None), or False after a failure or BROKER_TIMEOUT_S."""
        task = asyncio.ensure_future(call)
        done, _ = await asyncio.wait({task}, timeout=settings.BROKER_TIMEOUT_S)
        if not done:
            # not awaited: what the cancelled call has to tidy may itself hang
            task.cancel()
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            task.add_done_callback(_retrieve)
            return self._failed("no answer in time")
        if error := task.exception():
            return self._failed(f"{type(error).__name__}: {error}")
        self._open_until = float("-inf")
        return True if task.result() is None else task.result()

    def _failed(self, error: str) -> bool:
        metrics.BROKER_FAILED.inc()
        self._open_until = time.monotonic() + BREAK_S
        self._complain("redis.unreachable", error=error)
        return False

    def _complain(self, line: str, **words: str) -> None:
        if self._complaint.due():
            log.warning(line, **words)


class Seldom:
    """One in so many seconds."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next = float("-inf")

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._every_s
        return True


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
