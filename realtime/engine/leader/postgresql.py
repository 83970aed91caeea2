"""Leads on PostgreSQL: one session holds the lock, moves the outbox and sleeps until it is woken.

The lock lives and dies with the session that moves: whoever lost the one can commit nothing by the
other. Source of the waking: correctness.md, section 6.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import TYPE_CHECKING, Any

import psycopg

from realtime.engine import outbox, wire
from realtime.engine.conf import settings
from realtime.engine.leader.desk import PostgresqlDesk, holder
from realtime.engine.leader.floor import Floor
from realtime.engine.leader.retention import Retention
from realtime.engine.leader.steps import Leading, Step

if TYPE_CHECKING:
    from realtime.engine.outbox import Moved

WAKE_LOCK, LEADER_LOCK = 7_067_101, 7_067_102
NAP_S, NAP_MAX_S = 0.005, 0.05
# writers cannot notify where transactions may be prepared
UNNOTIFIED_POLL_S = 0.01
RESENT = 2000


class PostgresqlLeader(Leading):
    """All but `interrupt` and `abandon` belong to one thread."""

    desk: PostgresqlDesk
    errors: tuple[type[Exception], ...] = (psycopg.Error, OSError)

    def __init__(self) -> None:
        self.desk = PostgresqlDesk()
        self.retention = Retention(self.desk)
        self.floor = Floor()
        self._nap_s = NAP_S
        self._poll_s = 0.0
        self._ear, self._mouth = _pair()

    def lead(self) -> bool:
        """Try to be the one leader.

        The lock is taken in a statement of its own: every later one sees what the former leader
        committed.
        """
        if self._ear.fileno() < 0:
            self._ear, self._mouth = _pair()
        if not self._lock(LEADER_LOCK):
            return False
        since = f"{holder()} since {int(time.time())}"
        self._ask("SELECT set_config('application_name', %s, false)", since)
        # heard from now on; the first move comes after it
        self.desk.connection.execute("LISTEN tocsin")
        self.floor = Floor()
        self._nap_s = NAP_S
        unnotified = self.desk.ask("prepared")[0][0] > 0
        self._poll_s = UNNOTIFIED_POLL_S if unnotified else float("inf")
        return True

    def recent(self) -> list[Moved]:
        """What the former leader may not have published any more."""
        rows = self.desk.ask("recent", age_s=settings.RELAY_RESEND_S, rows=RESENT)
        return [outbox.Moved(row[0], row[1], wire.publication(*row[2:])) for row in rows]

    def take(self, limit: int) -> Step:
        moved = outbox.move(self.desk.connection, self.floor.value, limit)
        # a TRUNCATE stops the move below it
        reset = None if moved else outbox.reset(self.desk.connection)
        if not moved and not reset:
            self.floor.found_nothing()
        return Step(moved, reset, max((one.publication.entry for one in moved), default=0))

    def rest(self, wait_s: float) -> None:
        """Sleep, if nobody writes just now.

        The advisory lock is the flag: a writer that finds it free holds it until it ends, one that
        finds it taken notifies.
        """
        self.floor.advance(self.desk)
        if not self._lock(WAKE_LOCK):
            self._sleep(self._nap_s)
            self._nap_s = min(2 * self._nap_s, NAP_MAX_S)
            return
        self._nap_s = NAP_S
        # who held the lock has committed visibly: this second look sees them
        if not self.desk.ask("probe", floor=self.floor.value):
            self._sleep(min(wait_s, self._poll_s))
        self.desk.ask("unlock", lock=WAKE_LOCK)

    def _sleep(self, seconds: float) -> None:
        """Until a notification, an interruption, or for so long."""
        connection = self.desk.connection
        # one may have arrived with the answer to an earlier statement
        if list(connection.notifies(timeout=0)):
            return
        waited: list[Any] = [connection.fileno(), self._ear]
        select.select(waited, [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            self._ear.recv(4096)
        for _ in connection.notifies(timeout=0):
            pass

    def _lock(self, lock: int) -> bool:
        return bool(self.desk.ask("try_lock", lock=lock)[0][0])

    def _ask(self, statement: str, *params: Any) -> None:
        self.desk.connection.execute(statement, params)

    def interrupt(self) -> None:
        """From any thread: end a sleep."""
        with contextlib.suppress(OSError):
            self._mouth.send(b".")

    def abandon(self) -> None:
        """From any thread: end whatever the database does not answer."""
        self.desk.abandon()

    def close(self) -> None:
        self.desk.close()
        self._ear.close()
        self._mouth.close()


def _pair() -> tuple[socket.socket, socket.socket]:
    ear, mouth = socket.socketpair()
    ear.setblocking(False)  # noqa: FBT003
    return ear, mouth
