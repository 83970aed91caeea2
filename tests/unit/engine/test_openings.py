"""What a reader begins with, where the database itself does not matter."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from django.db import connections

from realtime.engine import blocklist, history, openings, people, topics
from realtime.engine.exceptions import EpochChanged
from realtime.engine.history import Page
from realtime.engine.members import Credential
from realtime.engine.openings import Excerpt, ForeignQuery
from realtime.engine.people import Stranger
from realtime.protocol.messages import Position, Publication

TALK, ROWS, NEWEST = "talk:1", "quotes:all", "newest:1"
TOP = Position("e", 5)
ONE = Publication(5, "[5]", "k", "u", 9, 2)


def page(*publications, whole=True, complete=True, top=TOP):
    return Page(top, publications, whole, 7, complete)


class Log:
    """The answers of the database, all of one instant: they are asked within one."""

    def __init__(self):
        self.pages, self.rows, self.asked = [page(ONE)], {}, []
        self.inside = False

    @contextmanager
    def one_instant(self, connection):
        self.inside = True
        yield
        self.inside = False

    def since(self, topic, position, limit):
        assert self.inside
        self.asked.append((position, limit))
        return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]

    def query(self, name, parts=None, **params):
        assert self.inside
        self.asked.append((name, parts, params))
        return self.rows.get(name, [])

    def load_user(self, user):
        assert self.inside
        return Stranger(user) if user else None


@pytest.fixture
def log(monkeypatch):
    log = Log()
    monkeypatch.setattr(openings, "one_instant", log.one_instant)
    monkeypatch.setattr(history, "since", log.since)
    monkeypatch.setattr(history, "query", log.query)
    monkeypatch.setattr(people, "load_user", log.load_user)
    return log


def opened(topic=TALK, position=None, *, user="ada", **how):
    return openings.open_topic(user, topics.match(topic), position, 100, **how)


# --- Openings


def test_who_comes_for_the_first_time_begins_at_the_top(log):
    found = opened()
    assert (found.allowed, found.recovered, found.position) == (True, False, TOP)
    assert (found.covers, found.mark, found.snapshot, found.pending) == (7, 7, None, frozenset())
    assert log.asked == [(Position("", 0), 0)]


def test_who_comes_back_gets_what_it_missed(log):
    found = opened(position=Position("e", 4))
    assert (found.recovered, found.publications, found.snapshot) == (True, (ONE,), None)
    assert log.asked == [(Position("e", 4), 100)]


@pytest.mark.parametrize("missing", [{"whole": False}, {"complete": False}])
def test_who_missed_more_than_can_be_told_begins_anew(log, missing):
    log.pages = [page(ONE, **missing)]
    found = opened(position=Position("e", 1))
    assert (found.recovered, found.publications) == (False, ())


@pytest.mark.parametrize(
    ("user", "topic", "vouched", "allowed"),
    [
        ("ada", "journal:open", False, True),
        ("ada", "journal:closed", False, False),
        ("ada", "journal:closed", True, True),
        ("ada", "journal:of:#grace", False, False),
        ("", "journal:open", False, False),
        ("", "journal:open", True, False),
    ],
)
def test_the_right_is_asked_for_at_the_same_instant(log, user, topic, vouched, allowed):
    found = opened(topic, user=user, vouched=vouched)
    assert (found.allowed, found.covers, found.position) == (allowed, 7, TOP)
    refused = not allowed
    assert refused is (found.mark == 0)


def test_who_has_no_right_costs_no_reading_of_what_was_missed(log):
    assert not opened("journal:closed", position=Position("e", 1)).allowed
    assert log.asked == [(Position("e", 1), 0)]


def test_a_token_opens_until_it_is_revoked_and_that_is_asked_at_the_same_instant(log, monkeypatch):
    good, revoked = (Credential(token_user="ada", token_id=name) for name in ("good", "revoked"))

    def refused(vouchers):
        assert log.inside
        return {revoked} & set(vouchers)

    monkeypatch.setattr(blocklist, "refused", refused)
    assert opened("journal:closed", vouched=True, voucher=good).allowed
    found = opened("journal:closed", vouched=True, voucher=revoked)
    assert (found.allowed, found.covers) == (False, 7)


@pytest.mark.parametrize(
    ("position", "newest", "recovered"),
    [
        (Position("e", 1), (ONE,), True),
        (Position("old", 1), (ONE,), True),
        (TOP, (), True),
        (Position("e", 4), (), False),
    ],
)
def test_where_the_newest_counts_it_alone_is_brought(log, position, newest, recovered):
    log.pages = [page(whole=False), page(*newest)]
    found = opened(NEWEST, position)
    assert (found.recovered, found.publications) == (recovered, newest)
    assert log.asked[1] == (Position("", 4), 1)


def test_before_there_is_a_newest_nothing_was_missed(log):
    nowhere = Position("e", 0)
    log.pages = [page(top=nowhere)]
    assert opened(NEWEST, nowhere).recovered
    assert not opened(NEWEST, Position("", 0)).recovered


def test_of_a_topic_of_rows_the_log_itself_is_the_rows(log):
    log.rows["newest"] = [("a", '{"price":"1"}'), ('"q"', None)]
    found = opened(ROWS)
    assert json.loads(found.snapshot.rows) == [
        {"key": "a", "body": {"price": "1"}},
        {"key": '"q"', "body": None},
    ]
    assert (found.snapshot.counts, found.pending) == ({}, frozenset())


def test_rows_come_with_the_entries_that_they_contain_already(log, monkeypatch):
    asked = []

    def snapshot(user, match):
        asked.append((user.pk, match.topic))
        return openings.Snapshot("[]", {"open": 2})

    monkeypatch.setattr(openings, "snapshot", snapshot)
    log.rows["pending"] = [(11,), (12,)]
    found = opened("everything:all")
    assert (found.snapshot.counts, found.pending) == ({"open": 2}, {11, 12})
    assert asked == [("ada", "everything:all")]


# --- Excerpts


def row(offset, top=5):
    return ("e", top, 7, offset, "p", "k", "[1]", None, 0, 9, 2, None)


NOTHING = ("e", 5, 7, None)


def excerpt(since=None, *, reverse=False, user="ada", topic=TALK):
    match = topics.match(topic)
    return openings.excerpt(user, match, since, 10, reverse=reverse, vouched=False)


def test_an_excerpt_is_told_with_its_top_and_what_it_follows(log):
    log.rows["history"] = [row(4), row(5)]
    found = excerpt(Position("e", 3))
    assert (found.allowed, found.position, found.control) == (True, TOP, 7)
    assert [one.offset for one in found.publications] == [4, 5]


@pytest.mark.parametrize(
    ("since", "reverse", "asked"),
    [
        (None, False, ("ASC", 0, openings.BEYOND)),
        (Position("e", 3), False, ("ASC", 3, openings.BEYOND)),
        (None, True, ("DESC", 0, openings.BEYOND)),
        (Position("e", 3), True, ("DESC", 0, 3)),
    ],
)
def test_a_history_is_read_from_both_ends(log, since, reverse, asked):
    log.rows["history"] = [NOTHING]
    assert excerpt(since, reverse=reverse).publications == ()
    [(name, parts, params)] = log.asked
    assert (name, params["rows"]) == ("history", 10)
    assert (parts["direction"], params["after"], params["before"]) == asked


@pytest.mark.parametrize(("epoch", "known"), [("e", True), ("", True), ("old", False)])
def test_what_was_before_the_log_began_anew_is_unknown(log, epoch, known):
    log.rows["history"] = [NOTHING]
    if known:
        assert excerpt(Position(epoch, 1)).allowed
    else:
        with pytest.raises(EpochChanged):
            excerpt(Position(epoch, 1))


def test_who_may_not_read_is_told_nothing_not_even_of_a_new_beginning(log):
    log.rows["history"] = [NOTHING]
    for user, topic in (("", TALK), ("ada", "journal:closed")):
        found = excerpt(Position("old", 1), user=user, topic=topic)
        assert found == Excerpt(False, TOP, 7)
    assert [params["rows"] for _, _, params in log.asked] == [0, 0]


# --- Rows


@pytest.mark.parametrize(
    "value", [[{"key": "1", "body": {"name": "é \u2028"}}], ["half of a pair: \ud800"], []]
)
def test_rows_are_json_that_every_client_can_read(value):
    text = openings._json(value)
    assert text.encode()
    assert json.loads(text) == value


def test_a_snapshot_may_not_ask_another_database(monkeypatch):
    wrapped = []

    class Other:
        @contextmanager
        def execute_wrapper(self, refuse):
            wrapped.append(refuse)
            yield
            wrapped.remove(refuse)

    both = {"default": connections["default"], "other": Other()}
    monkeypatch.setattr(openings, "connections", both)
    with openings._only("default"):
        [refuse] = wrapped
        with pytest.raises(ForeignQuery):
            refuse("execute", "SELECT 1", None, False, {})
    assert wrapped == []


def test_inside_of_a_transaction_of_the_caller_nothing_is_begun():
    caller = SimpleNamespace(in_atomic_block=True)
    with openings.one_instant(caller):
        assert vars(caller) == {"in_atomic_block": True}
