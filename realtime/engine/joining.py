"""A subscription's beginning: join, then read, then merge, then reply; in that order only.

Guarantee: the reply goes out only under a right that covers every revocation handled, and after the
revocations its own content must follow; rows and pushes together repeat nothing and lack nothing.
Sources: correctness.md, sections 1 and 7; protocol.md, section 5.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from realtime.engine import topics
from realtime.engine.frames import Slot
from realtime.protocol import codes, recovery

if TYPE_CHECKING:
    from realtime.engine.feed import Feed
    from realtime.engine.hub import Hub
    from realtime.engine.members import Member
    from realtime.engine.openings import Opening, Snapshot
    from realtime.engine.topics import Match
    from realtime.protocol.commands import Subscribe
    from realtime.protocol.messages import Position, Publication, Subscribed
    from realtime.protocol.recovery import Start

log = structlog.get_logger(__name__)

LOOK_S = 0.1
# where the declaration keeps no number of publications: as many rows as a page of the log
LATEST_LIMIT = 1000
# so many missed publications make a long answer
MANY = 50


async def join(
    hub: Hub, member: Member, match: Match, request: Subscribe
) -> Subscribed | codes.Error:
    """What to reply. After an error nothing of the member is left; else call `hub.begin` with it.

    Nothing may be awaited between the end of this and the reply.
    """
    answer: Subscribed | codes.Error = codes.Error.INTERNAL
    if member.ended:
        return answer  # it has left before it came
    try:
        feed = await hub.enter(member, compacted=topics.is_latest(match.declaration))
        answer = await _Joining(hub, feed, member, match, request).answer()
    except asyncio.CancelledError:
        hub.quit(member)  # the connection has gone
        raise
    except Exception as error:  # noqa: BLE001  (a database that is down may raise anything)
        log.warning("join.failed", topic=member.topic, error=repr(error))
    if isinstance(answer, codes.Error):
        hub.quit(member)
    return answer


class _Joining:
    def __init__(
        self, hub: Hub, feed: Feed, member: Member, match: Match, request: Subscribe
    ) -> None:
        self._hub, self._feed, self._member = hub, feed, member
        self._match, self._request = match, request
        keeps = match.declaration.history
        self._limit = getattr(keeps, "size", LATEST_LIMIT) if keeps else 0
        self._since = request.since if keeps else None
        # what the log may take the reader on from, as far as is known
        self._from = self._since
        self._newest = topics.keeps_newest(match.declaration)

    async def answer(self) -> Subscribed | codes.Error:
        found = await self._from_memory() or await self._open_topic()
        if isinstance(found, codes.Error):
            return found
        start, snapshot = found
        # the last thing to be waited for: whatever was handled meanwhile is covered now
        if not await self._hub.rights.cleared(self._member) or self._member.ended:
            refused = self._member.refused
            return codes.Error.PERMISSION_DENIED if refused else codes.Error.INTERNAL
        self._member.offset = start.offset
        self._member.skip = set(start.skip)
        result = start.result(data(snapshot, start.publications) if snapshot else None)
        if self._member.filter:
            slots = [Slot(self._member.topic, missed) for missed in result.publications]
            wanted = tuple(slot.publication for slot in self._member.wanted(slots))
            result = replace(result, publications=wanted)
        if self._member.deltas:
            result = replace(result, delta=True)
        if not self._match.declaration.history:
            return replace(result, position=None, was_recovering=self._request.since is not None)
        return result

    # --- From memory: who was away asks about the right alone, and shares all else

    async def _from_memory(self) -> tuple[Start, None] | None:
        if self._since is None or self._newest:  # it wants the newest and not what it missed
            return None
        member, missed = self._member, self._hub.upkeep.missed
        turns, user = member.reader.turns, member.reader.person.user
        if not member.vouched:
            answer = await turns.ask(lambda: self._hub.doors.authorise(user, member.topic))
            if not answer.allowed:
                return None
            member.grant.answered(answer.covers)
        # the broker may be behind: what was published before this subscription began is in it
        top = await missed.top(member.topic)
        if not self._continues(self._since, top):
            self._from = None
            return None
        if not await self._reached(top):
            return None
        after = self._since.offset
        if not await turns.ask(lambda: missed.bring(self._feed, after, self._limit)):
            self._from = None
            return None
        if top.offset - self._since.offset > MANY:
            await missed.turn()
        start = self._missed()
        return None if start is None else (start, None)

    def _continues(self, since: Position, top: Position) -> bool:
        """The log may take the reader on from there; where it cannot, it need not be read."""
        missed = top.offset - since.offset
        few = 0 <= missed <= self._limit or (self._feed.compacted and missed > 0)
        return since.epoch in {"", top.epoch} and few

    async def _reached(self, top: Position) -> bool:
        """Wait until the feed is where the log is; False if it does not get there in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._hub.tuning.pending_wait_s
        while self._place(top) and not self._member.ended:
            if self._feed.offset >= top.offset:
                return True
            left = deadline - loop.time()
            if left <= 0:
                return False
            await self._moved(min(LOOK_S, left))
        return False

    def _missed(self) -> Start | None:
        position, since = self._feed.position, self._since
        if position is None or since is None or not self._feed.ring.covers(since.offset):
            return None
        slots = self._feed.missed(since.offset)
        if len(slots) > self._limit or since.offset > position.offset:
            return None
        publications = [slot.publication for slot in slots]
        return recovery.recover(since, position, publications, compacted=self._feed.compacted)

    # --- From the log and the rows

    async def _open_topic(self) -> tuple[Start, Snapshot | None] | codes.Error:
        opening = await self._open()
        if opening is None:
            return codes.Error.INTERNAL
        if not opening.allowed:
            return codes.Error.PERMISSION_DENIED
        if self._since and self._request.strict and not opening.recovered:
            return codes.Error.UNRECOVERABLE_POSITION
        self._member.grant.answered(opening.covers)
        reached = await self._hub.upkeep.control_reaches(opening.mark)
        if not reached or self._member.ended or not self._place(opening.position):
            return codes.Error.INTERNAL
        start = await self._begin(opening)
        return (start, opening.snapshot) if start else codes.Error.INTERNAL

    async def _open(self) -> Opening | None:
        """The topic as of an instant; a "no" older than the last revocation is asked again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._hub.tuning.hold_s
        while True:
            opening = await self._member.reader.turns.ask(self._ask)
            if opening is None:
                return None
            old = not opening.allowed and opening.covers < self._member.grant.needs
            if not old:
                return opening
            if self._member.ended or loop.time() > deadline:
                return None
            await asyncio.sleep(LOOK_S)

    async def _ask(self) -> Opening | None:
        if self._member.ended:
            return None  # it has left meanwhile
        return await self._hub.doors.open_topic(
            self._member.reader.person.user,
            self._match,
            self._from,
            self._limit,
            vouched=self._member.vouched,
            voucher=self._member.voucher,
        )

    def _place(self, top: Position) -> bool:
        """Bring the feed to where the log is; False if they do not agree on the epoch."""
        feed = self._feed
        if feed.position is None:
            feed.begin(top)
        agreed = feed.position is not None and feed.position.epoch == top.epoch
        if not agreed or top.offset > feed.tail:
            feed.dirty = True
        self._hub.advance(feed)
        return agreed

    async def _begin(self, opening: Opening) -> Start | None:
        top = opening.position
        if opening.recovered and self._since is not None:
            if self._newest:
                return recovery.newest(self._since, top, opening.publications)
            return recovery.recover(
                self._since, top, opening.publications, compacted=self._feed.compacted
            )
        if len(opening.pending) > self._hub.tuning.pending_max:
            return None
        return await self._merge(opening)

    async def _merge(self, opening: Opening) -> Start | None:
        """Wait until what the rows contain beyond their position has come, and begin behind it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._hub.tuning.pending_wait_s
        top, pending = opening.position, opening.pending
        while True:
            position = self._feed.position
            if position is None or position.epoch != top.epoch or self._member.ended:
                return None
            known = await self._known(top) if pending else []
            start = recovery.merge(self._since, top, pending, known)
            if start is not None:
                return start
            left = deadline - loop.time()
            if left < LOOK_S / 100:
                return recovery.give_up(self._since, top, pending)
            await self._moved(min(LOOK_S, left))

    async def _known(self, top: Position) -> list[Publication]:
        """What is known after `top` and may go out; from the log where the ring is too short."""
        feed = self._feed
        if feed.ring.covers(top.offset):
            return [slot.publication for slot in feed.ring.after(top.offset)]
        page = await self._hub.doors.since(feed.topic, top, self._hub.tuning.page)
        return [p for p in page.publications if p.offset <= feed.offset]

    async def _moved(self, within_s: float) -> None:
        moved = asyncio.Event()
        self._feed.moved.append(moved.set)
        try:
            await asyncio.wait_for(moved.wait(), within_s)
        except TimeoutError:
            # nobody brought it: the log may have it all the same
            self._feed.dirty = True
            self._hub.advance(self._feed)


def data(snapshot: Snapshot, publications: tuple[Publication, ...]) -> str:
    """The data of a subscribe reply: rows, counts, the publications behind them, the time."""
    behind = ",".join(publication.data for publication in publications)
    counts = json.dumps(snapshot.counts, separators=(",", ":"))
    now = time.time_ns() // 1_000_000
    return f'{{"rows":{snapshot.rows},"counts":{counts},"publications":[{behind}],"now":{now}}}'
