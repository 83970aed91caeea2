"""The schemas of asyncapi.yaml hold for what the triggers and the snapshots really say."""

import json
from functools import cache

import jsonschema
import pytest
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, given, settings

from realtime.engine import api, asyncapi, history, topics
from realtime.protocol.messages import Position
from tests.app.models import Everything, Hostile, Item, Right
from tests.capture import written
from tests.integration.test_canon import EDGES, ROWS
from tests.integration.test_topics import CASES
from tests.topics import settle

pytestmark = pytest.mark.django_db(transaction=True)


@cache
def validator(name):
    """Of one schema of the document, by all of them."""
    components = asyncapi.document(topics.registry(), "0")["components"]
    found = {"$ref": f"#/components/schemas/{name}", "components": components}
    return jsonschema.Draft7Validator(found)


def logged(topic):
    settle()
    page = history.since(topic, Position("", 0), 1000)
    return [json.loads(publication.data) for publication in page.publications]


def begun(user, topic):
    """A snapshot, as a subscribe reply has it."""
    found = api.snapshot(user, topic)
    return {name: found[name] for name in ("rows", "counts", "publications")} | {"now": 1}


@pytest.mark.parametrize("name", CASES)
def test_a_declared_topic_says_what_its_schema_says(name):
    case = CASES[name]
    user = get_user_model().objects.create_user("ada")
    topic = case.topic.format(user=user)
    for n in (1, 2):
        case.model.objects.create(**case.values(user, n))
    case.model.objects.update(**case.change)
    settle()
    validator(f"{name}.snapshot").validate(begun(user, topic))
    case.model.objects.all().delete()
    said = logged(topic)
    schema = validator(f"{name}.{case.model._meta.model_name}")
    for data in said:
        schema.validate(data)
    # a Latest topic keeps the deletes alone
    assert {data["op"] for data in said} >= ({"d"} if name == "tickers" else {"i", "u", "d"})
    assert not schema.is_valid({**said[0], "secret": 1})
    assert not schema.is_valid({**said[-1], "body": {}})


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ROWS)
def test_every_kind_of_value_is_within_its_schema(values):
    Everything.objects.create(**values)
    [found] = written("everything")
    validator("everything.everything.body").validate(found.body)
    Everything.objects.all().delete()
    written()


def test_a_value_of_another_kind_is_not():
    Everything.objects.create(**EDGES)
    [found] = written("everything")
    schema = validator("everything.everything.body")
    schema.validate(found.body)
    for wrong in (
        {"flag": None},
        {"big": 1},
        {"price": "1.5"},
        {"at": "2026-01-02"},
        {"span": "1 day"},
        {"word": 7},
    ):
        assert not schema.is_valid(found.body | wrong), wrong


def test_what_is_too_large_says_so():
    user = get_user_model().objects.create_user("ada")
    Right.objects.create(user=user, group="red")
    Item.objects.create(group="red", title="draft")
    item = Hostile.objects.create(body="x" * 70_000)
    [data] = logged(f"hostile:{item.pk}:it's")
    assert data["op"] == "o"
    validator("hostile.hostile").validate(data)
    validator("items.snapshot").validate(begun(user, "items:red"))
