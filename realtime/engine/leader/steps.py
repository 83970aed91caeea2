"""What one step of a leader brought, and what the relay asks of a leader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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
