"""Lines to PostgreSQL on which no answer comes: cut, so that no thread waits for one for ever.

libpq waits without an end. Where the machine or the proxy behind a line went without a word, only
a clock of our own tells. A statement that is merely slow is cancelled first, so that the server
does not go on with what nobody waits for; the next question dials anew.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import structlog
from django.db import DEFAULT_DB_ALIAS, connections

from realtime.engine import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

log = structlog.get_logger(__name__)

LOOK_S = 0.5
# after its cancellation a statement on a line that is whole ends at once
CANCEL_S = 1.0


def cut(line: psycopg.Connection[Any]) -> None:
    """From any thread: whoever waits on this line is told that it broke."""
    # its own thread may be told that it broke, and close it, just now
    with contextlib.suppress(Exception):
        end = socket.socket(fileno=os.dup(line.fileno()))
        end.shutdown(socket.SHUT_RDWR)
        end.close()


class Question:
    """What one thread asks just now, on its own connection; `since`: the last sign of life."""

    def __init__(self, connection: Any, patience_s: float) -> None:
        self.since = time.monotonic()
        # of any of its statements: the cancellation may be on its way for longer than the statement
        self.cancelled = False
        self._connection, self._patience_s = connection, patience_s
        self._told = False

    def ask(self, execute: Callable[..., Any], *values: Any) -> Any:
        self.since, self._told = time.monotonic(), False
        try:
            return execute(*values)
        finally:
            self.since = time.monotonic()

    def look(self, now: float) -> psycopg.Connection[Any] | None:
        """Cancel what takes too long; gives the line that is to be cut now."""
        line: psycopg.Connection[Any] | None = self._connection.connection
        if line is None or line.closed or not _active(line):
            # the function does something else, or is about to connect: a commit comes by no `ask`
            self.since = max(self.since, now)
            return None
        late_s = now - self.since - self._patience_s
        if late_s >= 0 and not self._told:
            self.cancelled = self._told = True
            # a line of its own: that, too, may find nobody
            threading.Thread(target=_cancel, args=[line], daemon=True).start()
            return None
        return line if late_s >= CANCEL_S else None


class Watch:
    """Over the threads of one process that ask the database."""

    def __init__(self) -> None:
        self._questions: set[Question] = set()
        self._changing = threading.Lock()
        self._ending: threading.Event | None = None
        self._thread = threading.local()
        self._cut_since = float("-inf")

    @contextlib.contextmanager
    def over(self, patience_s: float) -> Iterator[None]:
        """Nothing that this thread asks meanwhile is waited for longer than so; 0: for ever."""
        connection = connections[DEFAULT_DB_ALIAS]
        if connection.vendor != "postgresql" or not patience_s:
            yield
            return
        if getattr(self._thread, "heard_at", float("inf")) < self._cut_since:
            # the way on which another line fell silent was its way, too
            connection.close()
        question = Question(connection, patience_s)
        self._begin(question)
        connection.execute_wrappers.append(question.ask)
        try:
            yield
            self._thread.heard_at = time.monotonic()
        finally:
            # Django's own way takes the last one off, which an application may have put on since
            connection.execute_wrappers.remove(question.ask)
            self._end(question)
            if question.cancelled:
                # else it may still come, and end what somebody else asks on this line
                connection.close()

    def _begin(self, question: Question) -> None:
        with self._changing:
            self._questions.add(question)
            if self._ending is None:
                self._ending = threading.Event()
                threading.Thread(target=self._look, args=[self._ending], daemon=True).start()

    def _end(self, question: Question) -> None:
        with self._changing:
            self._questions.discard(question)

    def _look(self, ending: threading.Event) -> None:
        while not ending.wait(LOOK_S):
            try:
                self._cut_silent(time.monotonic())
            except Exception:
                # without this thread, others would wait for ever
                log.exception("database.unwatched")

    def _cut_silent(self, now: float) -> None:
        # under the lock no question ends and leaves its line, or its number, to another
        with self._changing:
            looks = [(question, question.look(now)) for question in self._questions]
            silent = [(question, line) for question, line in looks if line is not None]
            self._cut_since = max([self._cut_since, *(one.since for one, _ in silent)])
            for _, line in silent:
                cut(line)
        if silent:
            metrics.DATABASE_SILENT.inc(len(silent))
            log.warning("database.silent", lines=len(silent))

    def close(self) -> None:
        with self._changing:
            if self._ending is not None:
                self._ending.set()
                self._ending = None


def _active(line: psycopg.Connection[Any]) -> bool:
    from psycopg.pq import TransactionStatus  # noqa: PLC0415  (not needed on SQLite)

    return line.pgconn.transaction_status == TransactionStatus.ACTIVE


def _cancel(line: psycopg.Connection[Any]) -> None:
    with contextlib.suppress(Exception):
        line.cancel_safe(timeout=CANCEL_S)
