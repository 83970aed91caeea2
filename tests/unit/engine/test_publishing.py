"""Who may publish what, and that who is told so finds it in the history."""

import pytest
from django.db import OperationalError
from structlog.testing import capture_logs

from realtime.engine import history, outbox, people, publishing, topics
from realtime.engine.conf import settings
from realtime.engine.outbox import Unnumbered
from realtime.engine.people import Stranger
from realtime.engine.publishing import Put
from tests.virtual import VirtualLoop


@pytest.fixture(autouse=True)
def _people(monkeypatch):
    monkeypatch.setattr(people, "load_user", lambda name: Stranger(name) if name else None)


@pytest.mark.parametrize(
    ("user", "topic", "may"),
    [
        ("ada", "talk:open", True),
        ("ada", "talk:closed", False),
        ("ada", "room:any", True),
        ("ada", "chat:any", False),
        ("ada", "quotes:all", False),
        ("ada", "journal:of:#ada", True),
        ("ada", "journal:of:#grace", False),
        ("", "talk:open", False),
    ],
)
def test_who_may_publish_is_for_the_declaration_to_say(user, topic, may):
    assert publishing.may_publish(user, topics.match(topic)) is may


def test_a_topic_of_rows_takes_rows_alone_whatever_its_rule_says(monkeypatch):
    match = topics.match("quotes:all")
    monkeypatch.setattr(match.declaration, "allows_publish", lambda user, symbol: True)
    assert not publishing.may_publish("ada", match)


def test_what_may_be_published_is_put_into_the_outbox(monkeypatch):
    put = []
    waits = Unnumbered(entry=7, after=3)
    monkeypatch.setattr(outbox, "put", lambda *values: put.append(values) or waits)
    match, closed = topics.match("talk:open"), topics.match("talk:closed")
    assert publishing.publish_for("ada", match, "[1]", "{}") == Put(True, waits)
    assert publishing.publish_for("ada", closed, "[2]", None) == Put(False)
    assert put == [("talk:open", "[1]", "{}")]


class Log:
    """Answers as told, one after the other, and the last for ever."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def arrived(self, topic, after, entries):
        self.asked.append((topic, after, entries))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer, after + answer


@pytest.fixture
def numbered(monkeypatch):
    """Whether it is seen, in the log that answers so; and how long it took."""

    def ask(log):
        monkeypatch.setattr(history, "aarrived", log.arrived)
        loop = VirtualLoop()
        try:
            found = loop.run_until_complete(publishing.numbered("talk:1", Unnumbered(7, 3)))
        finally:
            loop.close()
        return found, loop.now

    return ask


def test_it_is_waited_for_until_the_log_has_it(numbered):
    log = Log(0, 0, 1)
    found, took = numbered(log)
    assert found
    assert log.asked == [("talk:1", 3, [7])] * 3
    assert took < settings.PENDING_WAIT_S


def test_a_log_that_does_not_get_there_is_not_waited_for_without_an_end(numbered):
    with settings.override(PENDING_WAIT_S=0.5):
        found, took = numbered(Log(0))
    assert not found
    assert 0.5 <= took < 1.1


def test_without_time_to_wait_nothing_is_asked(numbered):
    log = Log(1)
    with settings.override(PENDING_WAIT_S=0.0):
        assert numbered(log) == (False, 0.0)
    assert log.asked == []


def test_a_database_that_goes_away_meanwhile_is_no_error_of_the_publisher(numbered):
    with capture_logs() as lines:
        found, _ = numbered(Log(0, OperationalError("gone")))
    assert not found
    assert [(line["event"], line["topic"]) for line in lines] == [("publish.unseen", "talk:1")]


async def test_the_event_loop_asks_in_another_thread(monkeypatch):
    monkeypatch.setattr(outbox, "put", lambda *values: None)
    closed = topics.match("talk:closed")
    assert await publishing.amay_pass("ada", closed) is None
    put = await publishing.apublish_for("ada", topics.match("talk:open"), "1", None)
    assert put == Put(True)
