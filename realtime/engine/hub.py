"""One for a process: brings every publication of its topics to every member, once and in order.

Guarantee: what the broker loses, repeats, reorders or invents is repaired from the log; what the
log cannot repair ends the subscription with "insufficient state". Never silent loss, and nothing
that was committed after a revocation goes to whom it concerns (correctness.md, section 7).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import structlog

from realtime.engine import doors, metrics
from realtime.engine.emulation import Emulation
from realtime.engine.envelope import Batch, Movement, Passing, Reset
from realtime.engine.exceptions import Unavailable
from realtime.engine.feed import SLICE, Feed
from realtime.engine.groups import Groups
from realtime.engine.limits import Seats, Shares, database_share
from realtime.engine.movements import Movements
from realtime.engine.revocation import CONTROL
from realtime.engine.rights import Rights
from realtime.engine.tasks import Tasks
from realtime.engine.upkeep import Upkeep
from realtime.protocol.codes import Disconnect, Unsubscribe

if TYPE_CHECKING:
    from realtime.engine.doors import Doors, Tuning
    from realtime.engine.envelope import Rumour
    from realtime.engine.members import Member, Reader
    from realtime.protocol.messages import Position

log = structlog.get_logger(__name__)

DRAIN_SLICE = 10


class Hub:
    def __init__(self, world: Doors, tuning: Tuning) -> None:
        self.doors, self.tuning = world, tuning
        self.tasks = Tasks()
        self.emulation = Emulation(world.broker, self.tasks.spawn, self.start)
        self.feeds: dict[str, Feed] = {}
        self.users, self.addresses, self.shares = Seats(), Seats(), Shares(database_share())
        self.control: Position | None = None
        self.groups = Groups(world.broker, lambda topic: topic == CONTROL or topic in self.feeds)
        self.rights = Rights(
            authorise=world.authorise,
            identify=world.identify,
            hold=self._hold,
            release=self.release,
            end=self.end,
            spawn=self.tasks.spawn,
            hold_s=tuning.hold_s,
        )
        self.movements = Movements(world, self.tasks.spawn)
        self.upkeep = Upkeep(self)
        self._starting = asyncio.Lock()
        self._running = False
        self._restarts = 0
        self._pumping: set[str] = set()

    async def start(self) -> None:
        """Begin at the head of the revocations; the loops run from the first connection on."""
        async with self._starting:
            if self.control is None:
                self.control = (await self.doors.heads([CONTROL]))[CONTROL]
            if not self._running:
                self._running = True
                # with a mailbox, the first to come hears what it sends itself
                await self.doors.broker.start()
                await self.doors.presence.start()
                self.tasks.keep(self._listen)
                self.tasks.keep(self.upkeep.watch)
                if self.doors.census:
                    self.tasks.keep(self.upkeep.be_counted)
                self.tasks.spawn(self.groups.settle(CONTROL))
                self.emulation.start()

    @property
    def control_offset(self) -> int:
        return self.control.offset if self.control else 0

    # --- Members

    async def enter(self, member: Member, *, compacted: bool) -> Feed:
        """Register a joining member: held from birth, before the first question about its right."""
        feed = self.feeds.get(member.topic)
        if feed is None:
            feed = self.feeds[member.topic] = Feed(
                member.topic,
                compacted=compacted,
                most=self.tuning.ring_size,
                most_bytes=self.tuning.ring_bytes,
            )
        feed.add(member)
        member.grant.needs = self.control_offset
        self.rights.register.add(member)
        if self.doors.broker.reachable:
            await self.groups.settle(member.topic)
        else:
            self.tasks.spawn(self.groups.settle(member.topic))
        return feed

    def begin(self, member: Member) -> None:
        """The subscribe reply is on its way: from its offset on, the member gets everything."""
        if not member.ended:
            member.joined = True
            # before anything is pushed, which may end the connection: who goes must have come
            self.movements.note(member, came=True)
            self.rights.check(member)
            self.release(member)

    def quit(self, member: Member) -> None:
        """The client has left, or its join came to nothing; no push follows."""
        self.rights.register.remove(member)
        feed = self.feeds.get(member.topic)
        if member.joined and not member.ended:
            self.movements.note(member, came=False)
        member.ended = True
        if feed is not None and member in feed.members:
            feed.drop(member)
            if not feed.members:
                feed.idle_since = asyncio.get_running_loop().time()

    async def attach(self, reader: Reader) -> None:
        """Find out who the reader speaks for, and have it within reach of every revocation.

        Raises Unavailable, and whatever a database that is down raises.
        """
        await self.start()
        restarts = self._restarts
        await self.rights.introduce(reader, lambda: self.control_offset)
        if restarts != self._restarts:
            # its identity is of the former count of revocations
            self.detach(reader)
            raise Unavailable("the revocations began anew")

    def resume(self, reader: Reader) -> None:
        """The reader is not busy any more."""
        for member in self.rights.register.members(reader):
            self.release(member)

    def detach(self, reader: Reader) -> None:
        for member in self.rights.register.leave(reader):
            self.quit(member)

    def end(self, member: Member, code: Unsubscribe) -> None:
        """The server ends the subscription; a client that is still joining gets no push."""
        told = member.joined and not member.ended
        self.quit(member)
        if told:
            member.reader.end(member.topic, code)

    def _hold(self, member: Member) -> None:
        if (feed := self.feeds.get(member.topic)) is not None:
            feed.hold(member)

    def release(self, member: Member) -> None:
        """Let a clear member go on from its offset: from the ring, else from the log."""
        feed = self.feeds.get(member.topic)
        idle = member.live or member.catching_up or member.ended
        if feed is None or idle or not (member.joined and member.clear):
            return
        if feed.compacted and member.reader.busy:
            return
        if not feed.go(member):
            member.catching_up = True
            self.tasks.spawn(self.upkeep.catch_up(feed, member))

    # --- Publications in

    async def _listen(self) -> None:
        async for message in self.doors.broker.listen():
            if not self.emulation.take(message):
                self.take(message)

    def take(self, message: Rumour) -> None:
        """From the broker: a rumour, judged by offset, epoch and mark."""
        feed = self.feeds.get(message.topic)
        match message:
            case Batch(topic=topic, publications=publications) if topic == CONTROL:
                self.upkeep.want_control(max((p.offset for p in publications), default=0))
            case _ if feed is None:
                return
            case Batch(epoch=epoch, publications=publications):
                feed.hear(epoch, publications, self.control_offset)
                self.advance(feed)
            case Reset():
                feed.dirty = True  # the log says whether there is a new epoch
                self.advance(feed)
            case Passing():
                feed.aside.put(message)
                self.advance(feed)
            case Movement():
                self._give_up(feed.aside.announce(message))

    def _give_up(self, members: list[Member]) -> None:
        """They were held too long for what no log keeps: they are told."""
        for member in members:
            self.end(member, Unsubscribe.INSUFFICIENT_STATE)

    def advance(self, feed: Feed) -> None:
        """Do what a feed needs after anything has changed in it."""
        if feed.wanted_mark > self.control_offset:
            self.upkeep.want_control(feed.wanted_mark)
        if feed.dirty and not feed.full:
            self.upkeep.repair(feed)
        self._pump(feed)

    def _pump(self, feed: Feed) -> None:
        self._give_up(feed.aside.pass_on(self.control_offset))
        feed.release(self.control_offset)
        while feed.deliver():
            feed.release(self.control_offset)
            if len(feed.members) > SLICE:
                if feed.topic not in self._pumping:
                    self._pumping.add(feed.topic)
                    asyncio.get_running_loop().call_soon(self._pump_on, feed)
                return

    def _pump_on(self, feed: Feed) -> None:
        self._pumping.discard(feed.topic)
        self._pump(feed)

    def lose(self, feed: Feed, why: str) -> None:
        """The topic's log does not continue what was delivered: every member is told."""
        log.warning("feed.lost", topic=feed.topic, why=why)
        metrics.LOST_FEEDS.inc()
        for member in feed.lose():
            self.rights.register.remove(member)
            if member.joined:
                self.movements.note(member, came=False)
                member.reader.end(member.topic, Unsubscribe.INSUFFICIENT_STATE)
        feed.idle_since = asyncio.get_running_loop().time()

    def forget_idle(self, now: float) -> None:
        """Leave the topics that nobody has listened to for a while."""
        for feed in list(self.feeds.values()):
            since = feed.idle_since
            if not feed.members and since is not None and now - since >= self.tuning.linger_s:
                del self.feeds[feed.topic]
                self.tasks.spawn(self.groups.settle(feed.topic))

    # --- Ends

    def restart(self, why: str) -> None:
        """The control offset means nothing any more: all connections come anew, from the head."""
        log.error("hub.restarted", why=why)
        for reader in self.rights.register.readers():
            reader.disconnect(Disconnect.SHUTDOWN)
        for feed in self.feeds.values():
            self.lose(feed, why)
        self.control = None
        self._restarts += 1
        self.upkeep.forget_control()

    async def drain(self, over_s: float) -> None:
        """Tell every connection to reconnect elsewhere, spread over `over_s`."""
        self.emulation.close()
        readers = self.rights.register.readers()
        for number, reader in enumerate(readers, start=1):
            reader.disconnect(Disconnect.SHUTDOWN)
            if number % DRAIN_SLICE == 0 and number < len(readers):
                await asyncio.sleep(over_s * DRAIN_SLICE / len(readers))
        self.emulation.end()

    async def stop(self, last_words_s: float = 0.0) -> None:
        """Let the work under way end, as long as that takes; then no process counts this one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(last_words_s):
                await self.tasks.idle()
        await self.tasks.stop()
        await self.doors.presence.stop()

    async def settled(self) -> None:
        """Wait until nothing is under way. For tests."""
        while self.tasks.working or self._pumping:
            await self.tasks.idle()
            await asyncio.sleep(0)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def current() -> Hub:
    """The hub of the running loop, made with its first connection."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub(doors.real(), doors.tuning())
    return _hubs[loop]


def running() -> Hub | None:
    """The hub of the running loop, where there have been connections."""
    return _hubs.get(asyncio.get_running_loop())
