"""What no log keeps, on its way to the members of a topic: whoever is there now hears it.

No I/O and no clock. Nothing goes out before the revocations that its mark names are handled.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from realtime.engine.frames import Pushes, Saying, Slot
from realtime.protocol.messages import JoinPush, LeavePush, Publication

if TYPE_CHECKING:
    from collections.abc import Collection

    from realtime.engine.envelope import Movement, Passing
    from realtime.engine.members import Member


class Aside:
    """Of one topic. `most`: how many may wait for a revocation, and for a member that is held."""

    def __init__(self, topic: str, members: Collection[Member], most: int, most_bytes: int) -> None:
        self._topic, self._members = topic, members
        self._most, self._most_bytes = most, most_bytes
        self._waiting: deque[Slot] = deque()

    @property
    def wanted_mark(self) -> int:
        """The revocations up to here must be handled before all that waits may go out."""
        return max((slot.publication.mark for slot in self._waiting), default=0)

    def put(self, what: Passing) -> None:
        said = Publication(0, what.data, None, "p", 0, what.mark, what.about, what.blob)
        self._waiting.append(Slot(self._topic, said))

    def clear(self) -> None:
        self._waiting.clear()

    def pass_on(self, control: int) -> list[Member]:
        """Hand out what may go; gives the members that can wait no more."""
        if not self._waiting:  # as it is for every batch of a topic with a log
            return []
        given_up: list[Member] = []
        while self._waiting and self._waiting[0].publication.mark <= control:
            slot = self._waiting.popleft()
            wanting = [member for member in self._members if member.wanted([slot])]
            given_up += self._tell(wanting, Pushes([slot]))
        size = sum(slot.size for slot in self._waiting)
        if len(self._waiting) > self._most or size > self._most_bytes:
            self.clear()
            return [member for member in self._members if member.joined]
        return given_up

    def announce(self, movement: Movement) -> list[Member]:
        """Tell those who asked for it who came or went; who went hears nothing of it."""
        push = (JoinPush if movement.came else LeavePush)(self._topic, movement.info)
        return self._tell([m for m in self._members if m.join_leave], Saying(push))

    def _tell(self, members: list[Member], what: Pushes | Saying) -> list[Member]:
        full = []
        for member in members:
            if not member.joined:
                continue
            if member.clear and not member.kept:
                member.pass_on(what)
            elif len(member.kept) < self._most:
                member.kept.append(what)
            else:
                full.append(member)
        return full
