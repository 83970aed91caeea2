"""One topic in this process: where it stands, who listens, what waits, what is dirty.

No I/O and no clock. Publications come from the broker (`hear`: believed only if next in order) and
from the log (`read`: the truth); they go out in the log's order, each once, to every live member,
and never before the revocations that their mark names have been handled (`control`).
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from realtime.engine.aside import Aside
from realtime.engine.frames import Pushes, Slot
from realtime.engine.ring import Ring, newest_of_each_key, pack, runs
from realtime.protocol.messages import Position, Publication
from realtime.protocol.recovery import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from realtime.engine.history import Page
    from realtime.engine.members import Member

SLICE = 500


class Broken(Exception):  # noqa: N818  (a fact about the log, not a failure of the program)
    """The log does not continue what was delivered."""


class MarkFell(Exception):  # noqa: N818
    """A mark fell within a topic: the control offset means nothing any more."""


class Feed:
    def __init__(self, topic: str, *, compacted: bool, most: int, most_bytes: int) -> None:
        self.topic = topic
        self.compacted = compacted
        self.position: Position | None = None
        # The log has something that the broker did not bring
        self.dirty = False
        self.members: set[Member] = set()
        self.idle_since: float | None = None
        self.moved: list[Callable[[], None]] = []
        self._most, self._most_bytes = most, most_bytes
        self._live: dict[Member, None] = {}
        self.aside = Aside(topic, self.members, most, most_bytes)
        self._clear()

    def _clear(self) -> None:
        self.ring = Ring(0, self._most, self._most_bytes)
        self.waiting: deque[Publication] = deque()
        self.aside.clear()
        self.tail = 0
        self._mark = 0
        self._heard = 0
        # the one admitted last, to which the next may be said as a difference
        self._last: Publication | None = None
        # admitted, not yet pushed to all; the ring may be too short for a burst, this is not
        self._outgoing: list[Slot] = []
        self._round: _Round | None = None

    # --- Position

    def begin(self, position: Position) -> None:
        """Take the position of the first snapshot or recovery read."""
        heard = self._heard
        self._clear()
        self.position = position
        self.tail = self.ring.base = position.offset
        self.dirty = heard > position.offset

    def lose(self) -> list[Member]:
        """Give up the position; the members, who must be told, are members no longer."""
        lost = list(self.members)
        for member in lost:
            self.drop(member)
        self.position = None
        self.dirty = False
        self._clear()
        self._wake()
        return lost

    @property
    def offset(self) -> int:
        return self.position.offset if self.position else 0

    @property
    def _end(self) -> Position:
        """Where the publications end that are here already, whether they may go out yet or not."""
        assert self.position is not None
        return Position(self.position.epoch, self.tail)

    @property
    def wanted_mark(self) -> int:
        """The revocations up to here must be handled before all that waits may go out."""
        return max(self.waiting[-1].mark if self.waiting else 0, self.aside.wanted_mark)

    @property
    def full(self) -> bool:
        return len(self.waiting) >= self._most

    # --- Publications in

    def hear(self, epoch: str, publications: Sequence[Publication], control: int) -> None:
        """From the broker: lost, repeated, reordered and invented ones may be among them."""
        if self.position is None:
            self._heard = max([self._heard, *(p.offset for p in publications)])
            return
        for publication in publications:
            verdict = judge(self._end, epoch, publication.offset)
            if verdict is Verdict.SEEN:
                continue
            if verdict is not Verdict.NEXT or publication.mark < self._mark or self.full:
                self.dirty = True
                break
            self._queue(publication)
        self.release(control)

    def read(self, page: Page, control: int) -> bool:
        """From the log, after `tail`; True when all up to the top is here.

        Raises Broken for a hole that no reading can close and MarkFell.
        """
        if self.position is None:
            return True
        top = page.position
        if top.epoch != self.position.epoch or not page.whole:
            raise Broken
        for publication in page.publications:
            verdict = judge(self._end, top.epoch, publication.offset)
            if verdict is Verdict.SEEN:
                continue
            if verdict is Verdict.GAP and not self.compacted:
                raise Broken
            if publication.mark < self._mark:
                raise MarkFell
            if self.full:
                return False
            self._queue(publication)
        if page.complete:
            # in a compacted topic, what is missing below the top has been replaced or trimmed
            self.tail = max(self.tail, top.offset)
        self.release(control)
        return self.tail >= top.offset

    def _queue(self, publication: Publication) -> None:
        self.waiting.append(publication)
        self.tail = publication.offset
        self._mark = publication.mark

    def release(self, control: int) -> None:
        """Admit what waits and whose mark has been handled, as long as pushing keeps up."""
        if self.position is None:
            return
        before = self.position.offset
        while self.waiting and self.waiting[0].mark <= control and len(self._outgoing) < self._most:
            self._admit(self.waiting.popleft())
        if not self.waiting and self.tail > self.position.offset:
            self.position = Position(self.position.epoch, self.tail)
        if self.position.offset > before:
            self._wake()

    def _admit(self, publication: Publication) -> None:
        assert self.position is not None
        self.position = Position(self.position.epoch, publication.offset)
        slot = Slot(self.topic, publication, self._last.data if self._last else None)
        self._last = publication
        self.ring.append(slot)
        self._outgoing.append(slot)

    def _wake(self) -> None:
        waiting, self.moved = self.moved, []
        for wake in waiting:
            wake()

    # --- Members and publications out

    def forget(self) -> None:
        """Keep nothing of what has been published: nobody is brought up to date from it."""
        self.ring = Ring(self.offset, self._most, self._most_bytes)

    def add(self, member: Member) -> None:
        self.members.add(member)
        self.idle_since = None

    def drop(self, member: Member) -> None:
        member.ended = True
        self.members.discard(member)
        self.hold(member)

    def hold(self, member: Member) -> None:
        """Push nothing more; it continues from its offset when it is let go."""
        member.live = False
        self._live.pop(member, None)

    def missed(self, offset: int) -> list[Slot]:
        """What came after `offset`, as far as the ring goes back; check `ring.covers` first."""
        slots = self.ring.after(offset)
        return newest_of_each_key(slots) if self.compacted else slots

    def go(self, member: Member) -> bool:
        """Bring a member up to date from the ring and let it live; False if the log is needed."""
        if not self.ring.covers(member.offset):
            return False
        if member.offset < self.offset:
            self.push(member, self.missed(member.offset))
            member.offset = self.offset
        kept, member.kept = member.kept, []
        for what in kept:
            if not member.ended:
                member.pass_on(what)
        if not member.ended:
            member.live = True
            self._live[member] = None
        return True

    def push(self, member: Member, slots: list[Slot]) -> None:
        """These publications to this member alone, less what its rows already contain."""
        wanted = member.wanted(slots)
        for run in runs(wanted) if member.deltas else [wanted]:
            member.based = False
            for pushes in pack(run):
                if member.ended:
                    return
                member.hand(pushes)
        if wanted[-1:] != slots[-1:]:
            member.based = False  # the next difference would be to one that it did not get

    def deliver(self) -> bool:
        """Push what is new to the next slice of live members; True while some are left.

        A caller with other work yields between the slices: ten thousand sends are 70 ms.
        """
        if self._round is None:
            if not self._outgoing:
                return False
            self._round = _Round(self, self._outgoing, self.offset)
            self._outgoing = []
        if self._round.run():
            return True
        self._round = None
        return bool(self._outgoing)


class _Round:
    """The publications of one moment on their way to the members of one moment."""

    def __init__(self, feed: Feed, slots: list[Slot], high: int) -> None:
        self._slots = newest_of_each_key(slots) if feed.compacted else slots
        self._pushes: list[Pushes] = pack(self._slots)
        self._low, self._high = slots[0].offset, high
        self._feed = feed
        self._members: Iterator[Member] = iter(list(feed._live))  # noqa: SLF001  (one thing in two halves)

    def run(self) -> bool:
        """One slice; True while members are left."""
        count = 0
        for member in islice(self._members, SLICE):
            count += 1
            if member.live and member.offset < self._high:
                self._push(member)
        return count == SLICE

    def _push(self, member: Member) -> None:
        if self._feed.compacted and member.reader.busy:
            self._feed.hold(member)  # it goes on, conflated, when it has read
            return
        offset, member.offset = member.offset, self._high
        if offset < self._low and not member.skip and not member.filter:
            for pushes in self._pushes:
                member.hand(pushes)
                if not member.live:
                    return
        else:
            self._feed.push(member, [slot for slot in self._slots if slot.offset > offset])
