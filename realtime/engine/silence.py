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
    if not line.closed:
        with contextlib.suppress(OSError):
            end = socket.socket(fileno=os.dup(line.fileno()))
            end.shutdown(socket.SHUT_RDWR)
            end.close()


class Question:
    """What one thread asks just now, on its own connection; `since`: the last sign of life."""

    def __init__(self, connection: Any, patience_s: float) -> None:
        self.since = time.monotonic()
        self._connection, self._patience_s = connection, patience_s
        self._cancelled = False

    def ask(self, execute: Callable[..., Any], *values: Any) -> Any:
        self.since, self._cancelled = time.monotonic(), False
        try:
            return execute(*values)
        finally:
            self.since = time.monotonic()

    def look(self, now: float) -> bool:
        """Cancel what takes too long, and later cut its line; whether it is to be cut now."""
        line = self._connection.connection
        late_s = now - self.since - self._patience_s
        # no statement under way: the function does something else, or is about to connect
        if late_s < 0 or line is None or line.closed or not _active(line):
            return False
        if not self._cancelled:
            self._cancelled = True
            # a line of its own: that, too, may find nobody
            threading.Thread(target=_cancel, args=[line], daemon=True).start()
            return False
        return late_s >= CANCEL_S

    def end(self) -> None:
        cut(self._connection.connection)


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
        """Nothing that this thread asks meanwhile is waited for longer than so."""
        connection = connections[DEFAULT_DB_ALIAS]
        if connection.vendor != "postgresql":
            yield
            return
        if getattr(self._thread, "heard_at", float("inf")) < self._cut_since:
            # the way on which another line fell silent was its way, too
            connection.close()
        question = Question(connection, patience_s)
        self._begin(question)
        try:
            with connection.execute_wrapper(question.ask):
                yield
            self._thread.heard_at = time.monotonic()
        finally:
            self._end(question)

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
            now = time.monotonic()
            # under the lock no question ends and leaves its line, or its number, to another
            with self._changing:
                silent = [question for question in self._questions if question.look(now)]
                self._cut_since = max([self._cut_since, *(one.since for one in silent)])
                for question in silent:
                    question.end()
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
