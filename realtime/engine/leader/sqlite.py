"""Leads on SQLite: the triggers number and append, the leader only reads, wakes and trims.

A file lock makes it the one; the operating system gives it back when the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, Error, OperationalError, connections

from realtime.engine import metrics, outbox, wire
from realtime.engine.conf import settings
from realtime.engine.leader.desk import SqliteDesk
from realtime.engine.leader.retention import UNBOUNDED, Retention
from realtime.engine.leader.steps import Leading, Step

if TYPE_CHECKING:
    from realtime.engine.outbox import Moved

POLL_S = 0.01
RESENT = 1000


def lock_path() -> Path:
    """Beside the database; holds host, pid and since while somebody leads."""
    return Path(f"{connections[DEFAULT_DB_ALIAS].settings_dict['NAME']}.relay")


class PatientRetention(Retention):
    """Writers come first: a trim that finds the database locked is left for the next time.

    What the relay has not read yet stays.
    """

    cursor: int | None = None

    def bounds(self) -> dict[str, Any]:
        return {"cursor": UNBOUNDED if self.cursor is None else self.cursor}

    def trim(self) -> int:
        try:
            return super().trim()
        except OperationalError as error:
            if "locked" not in str(error):
                raise
            return 0


class SqliteLeader(Leading):
    desk: SqliteDesk
    errors: tuple[type[Exception], ...] = (Error, sqlite3.Error, OSError)

    def __init__(self) -> None:
        self.desk = SqliteDesk()
        self.retention = PatientRetention(self.desk)
        self._cursor = self._read_at = 0
        self._lock: IO[bytes] | None = None
        self._interrupted = threading.Event()

    def lead(self) -> bool:
        lock = lock_path().open("a+b", buffering=0)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        _tell(lock, {"host": socket.gethostname(), "pid": os.getpid(), "since": int(time.time())})
        self._begin()
        return True

    def _begin(self) -> None:
        # hubs drop by offset what they have heard from the former leader
        age_s, rows = settings.RELAY_RESEND_S, RESENT
        self._cursor = self.desk.ask("cursor", age_s=age_s, rows=rows)[0][0]

    def renew_if_asked(self) -> bool:
        renewed = super().renew_if_asked()
        if renewed:
            self._begin()  # a file that was copied back may end before the cursor
        return renewed

    def recent(self) -> list[Moved]:
        return []  # the cursor stands before them

    def take(self, limit: int) -> Step:
        """Read on. The version is of before: what is written behind it ends the rest at once."""
        self._read_at = self._version()
        rows = self.desk.ask("moved", cursor=self._cursor, limit=limit)
        self.retention.cursor = self._cursor = rows[-1][0] if rows else self._cursor
        if rows:
            metrics.MOVED.inc(len(rows))
        moved = [outbox.Moved(row[1], row[2], wire.publication(*row[3:])) for row in rows]
        moved.sort(key=lambda one: one.topic)  # stable: the offsets keep their order
        return Step(moved, highest=self._cursor)

    def rest(self, wait_s: float) -> None:
        """Watch the file until it changes."""
        end = time.monotonic() + wait_s
        while self._version() == self._read_at and time.monotonic() < end:
            if self._interrupted.wait(POLL_S):
                break
        self._interrupted.clear()

    def _version(self) -> int:
        return int(self.desk.ask("data_version")[0][0])

    def interrupt(self) -> None:
        self._interrupted.set()

    def abandon(self) -> None:
        self.interrupt()

    def close(self) -> None:
        if self._lock is not None:
            _tell(self._lock, {})
            self._lock.close()
            self._lock = None
        self.desk.close()


def _tell(lock: IO[bytes], holder: dict[str, Any]) -> None:
    """Who leads, for people to read: a full disk does not keep anybody from leading."""
    with contextlib.suppress(OSError):
        lock.truncate(0)
        lock.write(json.dumps(holder).encode() if holder else b"")
