"""What a page of the log says: all that belongs here, or that something is missing."""

import contextlib

import pytest

from realtime.engine import history, sql
from realtime.engine.history import Page
from realtime.engine.topics import Latest, Topic
from realtime.protocol.messages import Position


class Newest(Topic):
    namespace = "newest"
    name = "newest:{x}"
    history = Latest()


class Log:
    """A database that has one answer: head, floor, head of the revocations, and rows."""

    vendor = "postgresql"

    def __init__(self):
        self.asked, self.rows = [], []

    def __call__(self, *offsets, top, floor=0, epoch="epoch001"):
        head = (epoch, top, floor, 3)
        rows = [(offset, "i", "1", "{}", None, 0, 0, 2, None) for offset in offsets]
        self.rows = [(*head, *row) for row in rows or [(None,) * 9]]

    @contextlib.contextmanager
    def cursor(self):
        yield self

    def execute(self, statement, params):
        self.asked.append((statement, params))

    def fetchall(self):
        return self.rows[: self.asked[-1][1].get("rows")]


@pytest.fixture
def log(monkeypatch):
    log = Log()
    monkeypatch.setattr(history, "connections", {"default": log})
    return log


def offsets(page):
    return [publication.offset for publication in page.publications]


def test_all_that_came_after_a_position(log):
    log(3, 4, top=4)
    page = history.since("t:1", Position("epoch001", 2), 10)
    assert offsets(page) == [3, 4]
    assert (page.whole, page.complete, page.control) == (True, True, 3)
    assert page.position == Position("epoch001", 4)


def test_nothing_came_after_the_top(log):
    log(top=4)
    page = history.since("t:1", Position("epoch001", 4), 10)
    assert (offsets(page), page.whole, page.complete) == ([], True, True)


def test_of_more_than_a_page_the_first_and_the_word_that_there_is_more(log):
    log(1, 2, 3, top=5)
    page = history.since("t:1", Position("", 0), 2)
    assert (offsets(page), page.whole, page.complete) == ([1, 2], True, False)


@pytest.mark.parametrize(
    ("position", "held"),
    [
        (Position("another1", 2), {"top": 4}),
        (Position("epoch001", 5), {"top": 4}),
        (Position("epoch001", 1), {"top": 4, "floor": 2}),
    ],
    ids=["of another epoch", "beyond the top", "below the floor"],
)
def test_a_position_that_the_log_does_not_continue_gets_nothing_of_it(log, position, held):
    log(3, 4, **held)
    page = history.since("t:1", position, 10)
    assert (offsets(page), page.whole, page.complete) == ([], False, False)


@pytest.mark.parametrize("there", [(3, 5), (4, 5), (3, 4), ()])
def test_a_hole_that_no_trim_explains_is_no_page(log, there):
    log(*there, top=5)
    assert not history.since("t:1", Position("epoch001", 2), 10).whole


def test_where_only_the_newest_counts_a_hole_is_none(log, monkeypatch):
    monkeypatch.setattr(history.topics, "registry", lambda: {"newest": Newest()})
    log(3, 5, top=6)
    page = history.since("newest:1", Position("epoch001", 0), 10)
    assert (offsets(page), page.whole, page.complete) == ([3, 5], True, True)
    assert log.asked[0][0] == sql.read("postgresql", "latest")


def test_revocations_are_read_whatever_their_epoch(log):
    log(1, 2, top=2)
    page = history.control_since(0)
    assert isinstance(page, Page)
    assert page.whole
    assert log.asked[0][1]["topic"] == log.asked[0][1]["namespace"] == "!control"


@pytest.mark.parametrize(
    ("vendor", "names"), [("postgresql", ["a:1", "b:1"]), ("sqlite", '["a:1", "b:1"]')]
)
def test_heads_of_many_topics_are_one_question(log, vendor, names):
    log.vendor = vendor
    log.rows = [("a:1", "epoch001", 4), ("b:1", "epoch002", 0)]
    assert history.heads(topic for topic in ("a:1", "b:1")) == {
        "a:1": Position("epoch001", 4),
        "b:1": Position("epoch002", 0),
    }
    assert [params for _, params in log.asked] == [{"topics": names}]


def test_of_some_entries_how_many_have_arrived_and_how_far(log):
    log.rows = [(2, 9)]
    assert history.arrived("t:1", 5, {11, 12}) == (2, 9)
