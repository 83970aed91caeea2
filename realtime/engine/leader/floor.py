"""Below which id the outbox is certainly empty: an optimisation, exact or not made.

Entries removed while some program holds an old snapshot open stay in the index; without a floor
each empty move walks over all of them. An id is drawn only by a transaction that has its xid
already, so once all that ran when the sequence stood at F have ended, a look begun later that finds
nothing proves that nothing up to F will ever appear (correctness.md, section 3).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtime.engine.leader.desk import Desk

EVERY_S = 1.0


class Floor:
    """In memory only: a new leader begins at 0."""

    def __init__(self) -> None:
        self.value = 0
        self._candidate: tuple[int, str] | None = None
        self._settled: int | None = None
        self._next = float("-inf")

    def advance(self, desk: Desk) -> None:
        """One step towards a higher floor, at most each EVERY_S; no step depends on the clock."""
        now = time.monotonic()
        if now < self._next or self._settled is not None:
            return
        self._next = now + EVERY_S
        if self._candidate is None:
            last = desk.ask("last_entry")[0][0]
            if last < self.value:
                # another sequence: a restore or TRUNCATE RESTART IDENTITY under our feet
                self.value = 0
            elif last > self.value:
                # in a later statement than the sequence was read in
                self._candidate = last, desk.ask("xid")[0][0]
        elif desk.ask("settled", xid=self._candidate[1])[0][0]:
            self._settled, self._candidate = self._candidate[0], None

    def found_nothing(self) -> None:
        """A look at all entries above the floor, begun after the last `advance`, saw none."""
        if self._settled is not None:
            self.value, self._settled = self._settled, None
