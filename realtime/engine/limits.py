"""How much a client may ask for: its rate, its connections, and how much of it at once.

No clock of its own: the instant is an argument.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from realtime.engine.conf import settings
from realtime.protocol.session import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Question = Callable[[], Awaitable["R"]]

R = TypeVar("R")
log = structlog.get_logger(__name__)


def of_session() -> Limits:
    return Limits(
        topics=settings.TOPICS_PER_CONNECTION,
        queued=settings.FRAME_COMMANDS,
        connect_s=settings.CONNECT_S,
        ping_s=settings.PING_S,
        pong_s=settings.PONG_S,
    )


class Bucket:
    """A rate that lasts, and a burst above it."""

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._left, self._at = burst, now

    def take(self, count: int, now: float) -> bool:
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < count:
            return False
        self._left -= count
        return True


class Turns:
    """One client's questions: a few at a time, and none while it has much to read.

    However many it asks, they queue here and not before those of the others; however many clients
    a person has, `shared` lets so few of their questions to the database go on at once that
    something is left for the others.
    """

    def __init__(self, at_once: int) -> None:
        self._few = asyncio.Semaphore(at_once)
        self._open = asyncio.Event()
        self._open.set()
        self.shared: Callable[[Question[Any]], Awaitable[Any]] = _ask

    def pause(self, *, busy: bool) -> None:
        if busy:
            self._open.clear()
        else:
            self._open.set()

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        async with self._few:
            await self._open.wait()
            yield

    async def ask(self, question: Question[R]) -> R:
        """Of the database."""
        async with self.one():
            answer: R = await self.shared(question)
            return answer


async def _ask(question: Question[R]) -> R:
    return await question()


def database_share() -> int:
    """Threads to the database that one person's questions may take: half of them."""
    return int(max(1, settings.DATABASE_THREADS // 2))


class Shares:
    """What there is little of, for many: a few at once for each name, so that none takes it all."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._few: dict[str, asyncio.Semaphore] = {}
        self._asking: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def one(self, name: str) -> AsyncIterator[None]:
        await self.take(name)
        try:
            yield
        finally:
            self.give_back(name)

    async def run(self, name: str, work: Question[R]) -> R:
        """Work in a thread goes on when whoever wants it has gone: until it ends, it counts."""
        await self.take(name)
        running = asyncio.ensure_future(work())
        running.add_done_callback(lambda _: self.give_back(name))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_told)
            raise

    async def take(self, name: str) -> None:
        few = self._few.setdefault(name, asyncio.Semaphore(self._at_once))
        self._asking[name] += 1
        try:
            await few.acquire()
        except BaseException:
            self._forget(name)
            raise

    def give_back(self, name: str) -> None:
        self._few[name].release()
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._asking[name] -= 1
        if not self._asking[name]:
            del self._asking[name], self._few[name]


class Seats:
    """How many connections somebody holds in this process; `name` is a user or an address."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, name: str, most: int) -> bool:
        if not name:
            return True
        if self._taken[name] >= most:
            return False
        self._taken[name] += 1
        return True

    def give_back(self, name: str) -> None:
        if name and name in self._taken:
            self._taken[name] -= 1
            if not self._taken[name]:
                del self._taken[name]


def size_of(said: str | bytes) -> int:
    """In bytes."""
    if isinstance(said, bytes) or said.isascii():
        return len(said)
    return len(said.encode(errors="surrogatepass"))


def _told(done: asyncio.Future[Any]) -> None:
    """Nobody waits any more for what it gives, or for why it gives nothing."""
    if not done.cancelled() and (error := done.exception()) is not None:
        log.warning("question.failed_late", error=repr(error))
