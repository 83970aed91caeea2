"""What readers who come back have missed: asked of the log once for all who come together.

Guarantee: where a topic stands is an answer to a question that was asked after its reader came.
What the log has between two offsets of one epoch is the same whenever it is read, so everybody has
it of one reading, unless it is taken out of the log meanwhile (`Feed.forget`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from realtime.engine import metrics
from realtime.engine.exceptions import Unavailable
from realtime.engine.frames import Slot
from realtime.protocol.messages import Position

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from typing import Any

    from realtime.engine.doors import Doors, Tuning
    from realtime.engine.feed import Feed
    from realtime.engine.history import Page
    from realtime.engine.ring import Ring

    Waiting = list[tuple[int, asyncio.Future[bool]]]

# a database may leave a question without an answer, which then holds up nobody else
AT_ONCE = 2


class Missed:
    """Of one hub. `control_reaches`: wait until the revocations up to an offset are handled."""

    def __init__(
        self,
        doors: Doors,
        tuning: Tuning,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        control_reaches: Callable[[int], Awaitable[bool]],
    ) -> None:
        self._doors, self._tuning, self._spawn = doors, tuning, spawn
        self._control_reaches = control_reaches
        self._few = asyncio.Semaphore(AT_ONCE)
        self._asking: dict[str, list[asyncio.Future[Position]]] = {}
        self._waiting: dict[Feed, Waiting] = {}
        self._turn = asyncio.Lock()
        # those that go back further than they should for long, and when that was last of use
        self._long: OrderedDict[Ring, float] = OrderedDict()

    # --- Where topics stand

    async def top(self, topic: str) -> Position:
        """Raises what a database raises."""
        future: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        if not self._asking:
            self._spawn(self._look())
        self._asking.setdefault(topic, []).append(future)
        return await future

    async def _look(self) -> None:
        async with self._few:
            # who comes from here on waits for the next: this answer may be older than they are
            asking, self._asking = self._asking, {}
            try:
                heads = await self._doors.heads(list(asking))
                for topic, futures in asking.items():
                    for future in futures:
                        if not future.done():
                            future.set_result(heads[topic])
            except Exception as error:  # noqa: BLE001  (a database that is down may raise anything)
                _fail((future for futures in asking.values() for future in futures), error)

    # --- What is in the log

    async def bring(self, feed: Feed, after: int, limit: int) -> bool:
        """Have the ring of a feed go back to `after`; False if the log does not, within `limit`.

        Raises Unavailable, and what a database raises.
        """
        while not feed.ring.covers(after):
            future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            if feed not in self._waiting:
                self._waiting[feed] = []
                self._spawn(self._read(feed, limit))
            self._waiting[feed].append((after, future))
            if not await future:
                return False
        if feed.ring in self._long:
            self._use(feed.ring)
        return True

    async def _read(self, feed: Feed, limit: int) -> None:
        """From the lowest offset that somebody wants, until nobody waits."""
        try:
            while self._waiting[feed]:
                low = min(after for after, _ in self._waiting[feed])
                await self._read_from(feed, low, limit)
                waiting = self._waiting[feed]
                # a reading from its own offset that has not helped one will not help it
                self._waiting[feed] = [
                    (after, future)
                    for after, future in waiting
                    if not (future.done() or _told(future, feed.ring.covers(after), after == low))
                ]
        except Exception as error:  # noqa: BLE001  (as above)
            _fail((future for _, future in self._waiting[feed]), error)
        finally:
            del self._waiting[feed]

    async def _read_from(self, feed: Feed, low: int, limit: int) -> None:
        ring, position = feed.ring, feed.position
        if position is None:
            return
        metrics.RETURNS_READ.inc()
        page = await self._doors.since(feed.topic, Position(position.epoch, low), limit)
        if not page.whole:
            return
        if not await self._control_reaches(page.control):
            raise Unavailable("the revocations before it are not handled")
        # this ring: one that was begun anew meanwhile, or has to forget, is another
        if _end(page) >= ring.base:
            slots = _slots(feed.topic, page, ring.base)
            ring.reach_back(low, slots)
            self._use(ring)

    async def turn(self) -> None:
        """Before a long answer: a thousand of them in one go would hold up everybody else."""
        async with self._turn:
            await asyncio.sleep(0)

    # --- How long it is kept

    def _use(self, ring: Ring) -> None:
        self._long[ring] = asyncio.get_running_loop().time()
        self._long.move_to_end(ring)
        while len(self._long) > 1 and self._bytes > self._tuning.missed_bytes:
            self._long.popitem(last=False)[0].shrink()

    @property
    def _bytes(self) -> int:
        return sum(ring.more_bytes for ring in self._long)

    def forget(self, now: float) -> None:
        """Keep no more what nobody has come for in a while."""
        for ring, used in list(self._long.items()):
            if now - used >= self._tuning.linger_s:
                ring.shrink()
                del self._long[ring]


def _told(future: asyncio.Future[bool], covered: bool, tried: bool) -> bool:  # noqa: FBT001
    if covered or tried:
        future.set_result(covered)
    return covered or tried


def _fail(futures: Iterable[asyncio.Future[Any]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)


def _end(page: Page) -> int:
    """Up to here the page has all that there is."""
    return page.position.offset if page.complete else page.publications[-1].offset


def _slots(topic: str, page: Page, until: int) -> list[Slot]:
    slots: list[Slot] = []
    for publication in page.publications:
        if publication.offset > until:
            break
        slots.append(Slot(topic, publication, slots[-1].publication.data if slots else None))
    return slots
