"""Questions on lines that are only told what to say."""

import socket
import threading
from types import SimpleNamespace

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from realtime.engine import silence
from realtime.engine.silence import Question, Watch
from tests.live import DEADLINE_S


class Line:
    """To a server that answers when it is cancelled, or never."""

    closed = False

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.ours.settimeout(DEADLINE_S)
        self.pgconn = SimpleNamespace(transaction_status=TransactionStatus.IDLE)
        self.looked_at = threading.Event()
        self.cancelled = threading.Event()

    def fileno(self):
        self.looked_at.set()
        return self.ours.fileno()

    def cancel_safe(self, timeout):
        self.cancelled.set()


class BrokenLine(Line):
    """It broke since it was asked about."""

    def fileno(self):
        self.looked_at.set()
        raise psycopg.OperationalError("the connection is lost")


class Connection:
    """Django's, as far as it is asked."""

    vendor = "postgresql"

    def __init__(self, line):
        self.connection = line
        self.closed = 0
        self.execute_wrappers = []

    def execute(self, wait):
        """A statement that lasts as long as `wait` does."""
        status = self.connection.pgconn
        status.transaction_status = TransactionStatus.ACTIVE
        try:
            return self.execute_wrappers[-1](wait)
        finally:
            status.transaction_status = TransactionStatus.IDLE

    def close(self):
        self.closed += 1


@pytest.fixture
def watch(monkeypatch):
    monkeypatch.setattr(silence, "LOOK_S", 0.001)
    monkeypatch.setattr(silence, "CANCEL_S", 0.002)
    found = Watch()
    yield found
    found.close()


@pytest.fixture
def dial(monkeypatch):
    lines = []

    def dial(line):
        lines.append(line)
        connection = Connection(line)
        monkeypatch.setattr(silence, "connections", {"default": connection})
        return connection

    yield dial
    for line in lines:
        line.ours.close()
        line.theirs.close()


def test_a_line_that_breaks_by_itself_leaves_the_others_watched(watch, dial):
    broken = dial(BrokenLine())
    with watch.over(1e-6):
        assert broken.execute(lambda: broken.connection.looked_at.wait(DEADLINE_S))
    silent = dial(Line())
    with watch.over(1e-6):
        assert silent.execute(lambda: silent.connection.ours.recv(1)) == b""


def test_a_cancellation_that_is_under_way_meets_nobody_elses_statement(watch, dial):
    connection = dial(Line())
    with watch.over(1e-6):
        assert connection.execute(lambda: connection.connection.cancelled.wait(DEADLINE_S))
        assert connection.closed == 0
    assert connection.closed == 1


def test_a_line_on_which_all_is_answered_in_time_is_kept(watch, dial):
    connection = dial(Line())
    with watch.over(DEADLINE_S):
        connection.execute(lambda: None)
    assert connection.closed == 0


def test_what_is_committed_after_other_work_has_its_own_time(dial):
    line = Line()
    question = Question(dial(line), patience_s=8.0)
    question.since = 0.0
    assert question.look(100.0) is None
    line.pgconn.transaction_status = TransactionStatus.ACTIVE
    assert question.look(100.5) is None
    assert not question.cancelled
    assert question.look(108.0) is None
    assert question.cancelled
    assert question.look(109.0) is line
