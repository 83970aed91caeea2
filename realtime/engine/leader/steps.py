"""What the relay asks of a leader, what one step brought, and what every leader does alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from realtime.engine.leader import life

if TYPE_CHECKING:
    from realtime.engine.leader.desk import Desk
    from realtime.engine.leader.life import Life
    from realtime.engine.leader.retention import Retention
    from realtime.engine.outbox import Moved, Reset


@dataclass(frozen=True, slots=True)
class Step:
    """Publications by topic and offset; a namespace begun anew. Without either: false.

    `highest`: the highest id, of the outbox or on SQLite of the log, among them.
    """

    moved: list[Moved]
    reset: Reset | None = None
    highest: int = 0

    def __bool__(self) -> bool:
        return bool(self.moved or self.reset)


class Leader(Protocol):
    """One thread calls it; only `interrupt` and `abandon` may be called by others."""

    errors: tuple[type[Exception], ...]

    @property
    def retention(self) -> Retention: ...

    def lead(self) -> bool: ...

    def begin(self) -> tuple[Life, bool]: ...

    def renew(self) -> None: ...

    def renew_if_asked(self) -> bool: ...

    def recent(self) -> list[Moved]: ...

    def step(self, limit: int, wait_s: float) -> Step: ...

    def interrupt(self) -> None: ...

    def abandon(self) -> None: ...

    def close(self) -> None: ...


class Leading:
    """A leader with a desk of its own: it takes, sleeps when there is nothing, and takes again."""

    desk: Desk

    def begin(self) -> tuple[Life, bool]:
        return life.check(self.desk)

    def renew(self) -> None:
        life.renew(self.desk)

    def renew_if_asked(self) -> bool:
        return life.renew_if_asked(self.desk)

    def step(self, limit: int, wait_s: float) -> Step:
        """What is there; if nothing is, what is there after a sleep of at most `wait_s`."""
        found = self.take(limit)
        if not found:
            self.rest(wait_s)
            found = self.take(limit)
        return found

    def take(self, limit: int) -> Step:
        raise NotImplementedError

    def rest(self, wait_s: float) -> None:
        """Until there may be something since the last `take`, an interruption, or for so long."""
        raise NotImplementedError
