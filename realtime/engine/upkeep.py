"""Keeps the hub equal to the log: gaps, laggards, revocations, and a clock behind it all.

Everything here asks the log, each in a task of its own, while the other topics go on; a database
that does not answer is asked again until it does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from realtime.engine import census, metrics, orders, revocation
from realtime.engine.broker import Seldom
from realtime.engine.feed import Broken, MarkFell
from realtime.engine.frames import Slot
from realtime.engine.missed import Missed
from realtime.engine.revocation import CONTROL
from realtime.protocol.codes import Unsubscribe
from realtime.protocol.messages import Position

if TYPE_CHECKING:
    from realtime.engine.feed import Feed
    from realtime.engine.history import Page
    from realtime.engine.hub import Hub
    from realtime.engine.members import Member

log = structlog.get_logger(__name__)

COMPLAIN_S = 60.0


class Upkeep:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.missed = Missed(hub.doors, hub.tuning, hub.tasks.spawn, self.control_reaches)
        self._repairing: set[str] = set()
        self._wanted = 0
        self._reading_control = False
        self._control_moved: list[asyncio.Future[None]] = []
        self._rechecked = 0.0
        self._distrusting = False
        self._complaint = Seldom(COMPLAIN_S)

    # --- Gaps

    def repair(self, feed: Feed) -> None:
        if feed.topic not in self._repairing and feed.position is not None:
            self._repairing.add(feed.topic)
            self._hub.tasks.spawn(self._repair(feed))

    async def _repair(self, feed: Feed) -> None:
        try:
            while feed.dirty and not feed.full and feed.position is not None:
                feed.dirty = False
                start = Position(feed.position.epoch, feed.tail)
                page = await self._page(feed.topic, start)
                if page is None:
                    feed.dirty = True
                elif feed.position is not None and feed.position.epoch == start.epoch:
                    self._continue(feed, start, page)
        finally:
            self._repairing.discard(feed.topic)

    def _continue(self, feed: Feed, start: Position, page: Page) -> None:
        try:
            done = feed.read(page, self._hub.control_offset)
        except Broken:
            self._suspect(feed.topic, start, page.position)
            self._hub.lose(feed, "the log does not continue it")
        except MarkFell:
            self._distrust(CONTROL, self._hub.control)
            self._hub.restart("a mark fell")
        else:
            count = len(page.publications)
            if count:
                metrics.REPAIRED.inc(count)
                log.info("gap.repaired", topic=feed.topic, after=start.offset, count=count)
            feed.dirty = feed.dirty or not done
            self._hub.advance(feed)

    async def _page(self, topic: str, start: Position) -> Page | None:
        tuning = self._hub.tuning
        try:
            return await self._hub.doors.since(topic, start, tuning.page)
        except Exception as error:  # noqa: BLE001  (whatever a database that is down may raise)
            self._complain("log.unread", error, topic=topic)
            await asyncio.sleep(tuning.again_s)
            return None

    # --- Members behind the ring

    async def catch_up(self, feed: Feed, member: Member) -> None:
        try:
            while not member.ended and member.clear and not feed.go(member):
                await self._catch_up_page(feed, member)
        finally:
            member.catching_up = False
            self._hub.release(member)  # held and let go again while the log was read

    async def _catch_up_page(self, feed: Feed, member: Member) -> None:
        assert feed.position is not None  # a feed that is lost has no members
        page = await self._page(feed.topic, Position(feed.position.epoch, member.offset))
        if page is None or member.ended:
            return
        if not page.whole:
            self._hub.end(member, Unsubscribe.INSUFFICIENT_STATE)
            return
        if page.publications and not await self.control_reaches(page.publications[-1].mark):
            return
        if member.ended or not member.clear:
            return
        slots = [Slot(feed.topic, publication) for publication in page.publications]
        member.offset = page.position.offset if page.complete else slots[-1].offset
        feed.push(member, slots)

    # --- Revocations

    def want_control(self, offset: int) -> None:
        """Nothing with a mark above the control offset goes out before `!control` was read."""
        self._wanted = max(self._wanted, offset)
        if not self._reading_control and self._hub.control is not None:
            self._reading_control = True
            self._hub.tasks.spawn(self._read_control())

    async def control_reaches(self, mark: int) -> bool:
        """Wait until the revocations up to `mark` are handled; False when that takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._hub.tuning.hold_s
        while self._hub.control is not None and self._hub.control.offset < mark:
            self.want_control(mark)
            moved = loop.create_future()
            self._control_moved.append(moved)
            try:
                await asyncio.wait_for(moved, deadline - loop.time())
            except TimeoutError:
                return False
        return self._hub.control is not None

    def forget_control(self) -> None:
        """What was wanted was of a count of revocations that is no more."""
        self._wanted = 0
        self.control_changed()

    def control_changed(self) -> None:
        moved, self._control_moved = self._control_moved, []
        for future in moved:
            if not future.done():
                future.set_result(None)

    async def _read_control(self) -> None:
        hub = self._hub
        try:
            while hub.control is not None and self._wanted > hub.control.offset:
                control = hub.control
                try:
                    page = await hub.doors.control_since(control.offset)
                except Exception as error:  # noqa: BLE001  (as above)
                    self._complain("log.unread", error, topic=CONTROL)
                    await asyncio.sleep(hub.tuning.again_s)
                    continue
                if hub.control == control:
                    self._handle(control, page)
        finally:
            self._reading_control = False

    def _handle(self, control: Position, page: Page) -> None:
        hub = self._hub
        if page.position.epoch != control.epoch or not page.whole:
            self._suspect(CONTROL, control, page.position)
            hub.restart("the revocations began anew")
            return
        for publication in page.publications:
            if (order := orders.read(publication)) is not None:
                orders.obey(order, hub)
            else:
                hub.rights.handle(revocation.parse(publication.data), publication.offset)
        offset = page.publications[-1].offset if page.publications else page.position.offset
        if offset <= control.offset:
            # A mark above the head of its own revocations: nothing it says can be trusted
            hub.restart("a mark without its revocation")
            return
        hub.control = Position(control.epoch, offset)
        self.control_changed()
        for feed in list(hub.feeds.values()):
            hub.advance(feed)

    # --- The clock

    async def watch(self) -> None:
        """The last publication before a silence leaves no gap: compare positions on a clock."""
        hub = self._hub
        while True:
            healthy = hub.doors.broker.healthy
            await asyncio.sleep(hub.tuning.poll_s if healthy else hub.tuning.poll_degraded_s)
            try:
                await self.audit()
            except Exception as error:  # noqa: BLE001  (as above)
                self._complain("audit.failed", error)

    async def be_counted(self) -> None:
        """For the server API: how many are on what, in this process."""
        hub = self._hub
        if (counting := hub.doors.census) is None:
            return
        try:
            await counting.keep(lambda: census.count(hub.rights.register, hub.feeds))
        finally:
            await counting.leave()

    def _complain(self, line: str, error: Exception, **words: str) -> None:
        """One line a minute: the same database fails every question of every topic."""
        if self._complaint.due():
            log.warning(line, error=repr(error), **words)

    async def audit(self) -> None:
        """Compare all positions with the log in one query; ask for what is missing."""
        hub = self._hub
        now = asyncio.get_running_loop().time()
        hub.forget_idle(now)
        self.missed.forget(now)
        metrics.TOPICS.set(len(hub.feeds))
        if hub.control is None:
            return
        control = hub.control
        # before the question: meanwhile a hub may move on, never a head move back
        before = {
            feed.topic: Position(feed.position.epoch, feed.tail)
            for feed in hub.feeds.values()
            if feed.position is not None
        }
        heads = await hub.doors.heads([CONTROL, *before])
        if heads[CONTROL].epoch != control.epoch or heads[CONTROL].offset < control.offset:
            self._suspect(CONTROL, control, heads[CONTROL])
            hub.restart("the revocations went back")
            return
        if hub.control is not None and heads[CONTROL].offset > hub.control.offset:
            self.want_control(heads[CONTROL].offset)
        for topic, position in before.items():
            self._compare(topic, position, heads[topic])
        if now - self._rechecked >= hub.tuning.recheck_s:
            self._rechecked = now
            hub.tasks.spawn(hub.rights.recheck())

    def _compare(self, topic: str, position: Position, head: Position) -> None:
        feed = self._hub.feeds.get(topic)
        if feed is None or feed.position is None or feed.position.epoch != position.epoch:
            return
        if head.epoch != position.epoch or head.offset < position.offset:
            self._suspect(topic, position, head)
            self._hub.lose(feed, "the log began anew")
        elif head.offset > feed.tail:
            feed.dirty = True
            self._hub.advance(feed)

    # --- A log that went back

    def _suspect(self, topic: str, was: Position, head: Position) -> None:
        """Behind what was delivered, in the same epoch: a copy was restored into the same life."""
        if head.epoch == was.epoch and head.offset < was.offset:
            self._distrust(topic, was)

    def _distrust(self, topic: str, position: Position | None) -> None:
        """Have the relay begin new epochs: for who is away, and comes back when it has caught up.

        One question is enough, however many topics went back: every epoch is renewed.
        """
        if position is not None and not self._distrusting:
            self._distrusting = True
            log.error("log.went_back", topic=topic, epoch=position.epoch)
            self._hub.tasks.spawn(self._ask_renewal(topic, position.epoch))

    async def _ask_renewal(self, topic: str, epoch: str) -> None:
        try:
            while True:
                try:
                    return await self._hub.doors.ask_renewal(topic, epoch)
                except Exception as error:  # noqa: BLE001  (as above)
                    self._complain("log.distrust_untold", error, topic=topic)
                    await asyncio.sleep(self._hub.tuning.again_s)
        finally:
            self._distrusting = False
