"""A copy of SQLite's file taken while programs write: of one instant, log and rows alike."""

import contextlib
import sqlite3
import threading

import pytest
from django.contrib.auth.models import User

from tests.live import _raw
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]
COPIES = 5
INSERT = "INSERT INTO notifications_notification (recipient_id, title) VALUES (?, 'a')"


@pytest.fixture
def written():
    """The ids of rows that a program of its own writes meanwhile."""
    person, stop, ids = User.objects.create_user("ada").pk, threading.Event(), []

    def write():
        with contextlib.closing(_raw()) as program:
            while not stop.is_set():
                ids.append(program.execute(INSERT, [person]).lastrowid)

    writer = threading.Thread(target=write)
    writer.start()
    yield ids
    stop.set()
    writer.join()


def vacuum_into(path):
    with contextlib.closing(_raw()) as program:
        program.execute("VACUUM INTO ?", [str(path)])


def back_up(path):
    with contextlib.closing(_raw()) as program, contextlib.closing(sqlite3.connect(path)) as copy:
        program.backup(copy)


@pytest.mark.parametrize("take", [vacuum_into, back_up])
def test_a_copy_taken_while_programs_write_has_a_publication_for_each_row(written, tmp_path, take):
    for number in range(COPIES):
        before = len(written)
        eventually(lambda: len(written) > before + 5)  # noqa: B023  (asked at once)
        path = tmp_path / f"{number}.sqlite3"
        take(path)
        with contextlib.closing(sqlite3.connect(path)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            [[rows]] = copy.execute("SELECT count(*) FROM notifications_notification")
            [[log, last]] = copy.execute(
                'SELECT count(*), max("offset") FROM tocsin_log WHERE topic LIKE ?', ["inbox:%"]
            )
            heads = copy.execute(
                'SELECT "offset" FROM tocsin_head WHERE topic LIKE ?', ["inbox:%"]
            ).fetchall()
        assert rows > before
        assert (log, last, heads) == (rows, rows, [(rows,)])
