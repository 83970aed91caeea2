"""publish(): data that is no row's belongs to the caller's transaction."""

import json

import pytest
from django.db import connection, transaction

from realtime.engine import history
from realtime.engine.api import publish, reset
from realtime.engine.conf import settings
from realtime.engine.exceptions import BadTopic, PublishError, UnknownTopic
from realtime.engine.models import Namespace
from realtime.protocol.codec import text
from realtime.protocol.messages import Position
from tests.app.models import Item
from tests.capture import written
from tests.topics import settle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("data", [{"text": "hé\u2028 %s"}, [1, 2.5], "x", None, {"nul": "\0"}])
def test_data_travels_as_given(data):
    publish("chat:lobby", data)
    assert [tuple(w) for w in written()] == [(("chat:lobby",), "p", None, data, None)]


def test_the_text_of_the_data_is_kept_byte_for_byte():
    publish("chat:lobby", {"b": 1, "a": [1.0]})
    with connection.cursor() as cursor:
        postgresql = connection.vendor == "postgresql"
        cursor.execute(f"SELECT body FROM tocsin_{'entry' if postgresql else 'log'}".replace(
            "body", "body::text" if postgresql else "body"))  # fmt: skip
        assert cursor.fetchone()[0] == '{"b":1,"a":[1.0]}'


def test_tags_reach_the_reader_with_the_data():
    publish("chat:lobby", {"n": 1}, tags={"lang": "de"})
    publish("chat:lobby", {"n": 2})
    settle()
    page = history.since("chat:lobby", Position("", 0), 10)
    pushes = [json.loads(text.publication_push("chat:lobby", p)) for p in page.publications]
    assert [push["push"]["pub"] for push in pushes] == [
        {"data": {"n": 1}, "tags": {"lang": "de"}, "offset": 1},
        {"data": {"n": 2}, "offset": 2},
    ]


@pytest.mark.parametrize("tags", [{"n": 1}, {1: "n"}])
def test_tags_are_texts(tags):
    with pytest.raises(PublishError, match="texts"):
        publish("chat:lobby", 1, tags=tags)


def test_it_is_committed_with_the_callers_rows_in_their_order():
    with transaction.atomic():
        Item.objects.create(group="g")
        publish("chat:lobby", 1)
        Item.objects.create(group="g")
    assert [w.op for w in written()] == ["i", "p", "i"]


def test_it_vanishes_with_the_callers_transaction():
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
        publish("chat:lobby", 1)
        raise ZeroDivisionError
    assert written() == []


@pytest.mark.parametrize(
    ("topic", "error"),
    [("nowhere:1", UnknownTopic), ("chat:a b", BadTopic), ("chat:%41", BadTopic)],
)
def test_only_a_topic_somebody_can_read_takes_data(topic, error):
    with pytest.raises(error):
        publish(topic, 1)


@pytest.mark.parametrize("data", [object(), float("nan"), {1, 2}, "\ud800"])
def test_what_is_no_json_is_refused(data):
    with pytest.raises(PublishError, match='"chat:lobby" is no JSON'):
        publish("chat:lobby", data)


def test_too_much_is_refused_with_the_figures():
    with pytest.raises(PublishError, match="65538 bytes of JSON; at most 65536"):
        publish("chat:lobby", "x" * settings.PUBLISH_BYTES)
    publish("chat:lobby", "x" * (settings.PUBLISH_BYTES - 2))


def test_a_latest_topic_takes_rows_only():
    with pytest.raises(PublishError, match="write the row instead"):
        publish("quotes:all", 1)


@pytest.mark.sqlite
def test_a_locked_database_is_explained(monkeypatch):
    from django.db import OperationalError  # noqa: PLC0415

    from realtime.engine import outbox  # noqa: PLC0415

    def locked(*_):
        raise OperationalError("database is locked")

    monkeypatch.setattr(outbox, "put", locked)
    with pytest.raises(PublishError, match="IMMEDIATE"):
        publish("chat:lobby", 1)


def test_a_namespace_begins_anew_on_request():
    before = Namespace.objects.get(name="items").epoch
    Item.objects.create(group="g")
    reset("items")
    if connection.vendor == "postgresql":
        assert [(w.op, w.key) for w in written()][-1] == ("T", "items")
    else:
        assert written() == []
        assert Namespace.objects.get(name="items").epoch != before
    with pytest.raises(UnknownTopic):
        reset("nothing")
