"""The last publications of one topic, ready to be sent; bounded by number and by bytes.

For a while it may go back further: by what was read from the log for readers who come back.

Guarantee: whoever stands at `base` or after it finds here all that he missed (in a compacted topic:
the newest publication of each key).
"""

from __future__ import annotations

from collections import deque
from itertools import takewhile
from typing import TYPE_CHECKING

from realtime.engine.frames import Pushes, Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FRAME_BYTES = 64 * 1024


class Ring:
    def __init__(self, base: int, most: int, most_bytes: int) -> None:
        self.base = base
        self._most, self._most_bytes = most, most_bytes
        self._slots: deque[Slot] = deque()
        self._bytes = 0
        # what it holds above its own bounds
        self._more = self.more_bytes = 0

    def __len__(self) -> int:
        return len(self._slots)

    def append(self, slot: Slot) -> None:
        self._slots.append(slot)
        self._bytes += slot.size
        self._trim()

    def _trim(self) -> None:
        most, most_bytes = self._most + self._more, self._most_bytes + self.more_bytes
        while len(self._slots) > most or self._bytes > most_bytes:
            oldest = self._slots.popleft()
            self._bytes -= oldest.size
            self.base = oldest.offset

    def reach_back(self, base: int, slots: list[Slot]) -> None:
        """Hold these as well, all that there is after `base` and up to what it holds now."""
        self._slots.extendleft(reversed(slots))
        size = sum(slot.size for slot in slots)
        self._bytes += size
        self._more, self.more_bytes = self._more + len(slots), self.more_bytes + size
        self.base = base

    def shrink(self) -> None:
        """Hold no more than its own bounds."""
        self._more = self.more_bytes = 0
        self._trim()

    def covers(self, offset: int) -> bool:
        return offset >= self.base

    def after(self, offset: int) -> list[Slot]:
        """What came after `offset`, oldest first; complete only where `covers(offset)`."""
        newest = list(takewhile(lambda slot: slot.offset > offset, reversed(self._slots)))
        newest.reverse()
        return newest


def newest_of_each_key(slots: Iterable[Slot]) -> list[Slot]:
    """Conflated as the log of a `Latest` topic is: per key the highest offset, in offset order.

    Tombstones stay, else a slow reader would keep a deleted row (correctness.md, section 8).
    """
    newest: dict[str | None, Slot] = {}
    for slot in slots:
        newest.pop(slot.publication.key, None)
        newest[slot.publication.key] = slot
    return list(newest.values())


def runs(slots: Iterable[Slot]) -> Iterator[list[Slot]]:
    """Those that follow one another in the stream: only to these may there be differences."""
    run: list[Slot] = []
    for slot in slots:
        if run and slot.offset != run[-1].offset + 1:
            yield run
            run = []
        run.append(slot)
    if run:
        yield run


def pack(slots: Iterable[Slot], most_bytes: int = FRAME_BYTES) -> list[Pushes]:
    """Pushes for one frame each, in order, of about `most_bytes` at most or a single one."""
    packed: list[Pushes] = []
    some: list[Slot] = []
    size = 0
    for slot in slots:
        if some and size + slot.size > most_bytes:
            packed.append(Pushes(some))
            some, size = [], 0
        some.append(slot)
        size += slot.size
    if some:
        packed.append(Pushes(some))
    return packed
