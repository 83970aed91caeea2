"""What programs publish: with its idempotency key in one commit, and where the log has it."""

import json

import pytest
from django.db import DatabaseError, transaction

from realtime.engine import history, placing
from realtime.engine.conf import settings
from realtime.engine.models import Outcome
from realtime.engine.placing import NOWHERE, Placed, Word
from realtime.protocol.messages import Position
from tests.realtime import in_database
from tests.topics import settle

pytestmark = pytest.mark.django_db(transaction=True)
A, B = "rooms:a", "rooms:b"
WORD = Word(1, "w")


def published(topic):
    settle()
    page = history.since(topic, Position("", 0), 100)
    return [json.loads(one.data) for one in page.publications]


def test_every_topic_is_answered_in_its_order():
    placed = placing.place([B, A, B], "1", None, None)
    assert [one.topic for one in placed] == [B, A, B]
    assert (published(A), published(B)) == ([1], [1, 1])


def test_one_word_is_said_once_to_a_topic():
    [first] = placing.place([A], "1", None, WORD)
    settle()
    again = placing.place([A, B, A], "2", None, WORD)
    assert again[0] == again[2] == first
    assert (published(A), published(B)) == ([1], [2])


def test_word_and_publication_vanish_together():
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
        placing.place([A], "1", None, WORD)
        raise ZeroDivisionError
    assert not Outcome.objects.exists()
    placing.place([A], "2", None, WORD)
    assert published(A) == [2]


def test_what_no_log_keeps_is_claimed_and_may_be_given_back():
    assert placing.claim([A, B], WORD) == {A, B}
    assert placing.claim([A], WORD) == frozenset()
    placing.disclaim(A, WORD)
    assert placing.claim([A, B], WORD) == {A}


async def test_where_it_stands_is_told_as_soon_as_it_is_numbered():
    placed = await placing.aplace([A, B, A], "1", None, None)
    await in_database(settle)
    found = await placing.positions([*placed, Placed("chat:a")])
    assert [found[one].offset for one in placed] == [1, 1, 2]
    assert len(found) == 3


@pytest.mark.postgresql
async def test_what_is_not_numbered_in_time_is_left_out():
    late = Placed(A, 2**40, NOWHERE)
    with settings.override(PENDING_WAIT_S=0.05):
        assert await placing.positions([late]) == {}


async def test_a_database_that_is_down_does_not_undo_what_was_committed(monkeypatch):
    async def down(_):
        raise DatabaseError

    monkeypatch.setattr(placing, "_anumbered", down)
    assert await placing.positions([Placed(A, 2**40, NOWHERE)]) == {}
