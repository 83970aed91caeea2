"""The Python encoder, and what it refuses; an integration test holds it to the triggers."""

import datetime as dt
import uuid
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db.models import Q

from realtime.engine import canon
from realtime.engine.exceptions import DeclarationError
from realtime.engine.models import Entry, Publication
from tests.app.models import Everything, Hostile, Item

ZONE = dt.timezone(dt.timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("column", "value", "encoded"),
    [
        ("big", 2**60, "1152921504606846976"),
        ("number", 7, 7),
        ("real", float("inf"), None),
        ("real", 0.1, 0.1),
        ("price", Decimal("1.5"), "1.50000000"),
        ("price", Decimal("NaN"), "NaN"),
        ("at", dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=ZONE), "2026-01-01T21:34:05.000006Z"),
        ("at", dt.datetime(99, 1, 2, tzinfo=dt.UTC), "0099-01-02T00:00:00.000000Z"),
        ("day", dt.date(2026, 1, 2), "2026-01-02"),
        ("clock", dt.time(3, 4), "03:04:00.000000"),
        ("span", dt.timedelta(seconds=-1), -1_000_000),
        ("code", uuid.UUID(int=255), "00000000-0000-0000-0000-0000000000ff"),
        ("data", {"a": [None]}, {"a": [None]}),
        ("owner", 5, 5),
        ("shout", "A", "A"),
        ("text", None, None),
    ],
)
def test_a_value_has_one_form(column, value, encoded):
    assert canon.encode(canon.field_of(Everything, column), value) == encoded


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("number", "-5", -5),
        ("big", "1152921504606846977", 1152921504606846977),
        ("flag", "true", True),
        ("code", str(uuid.UUID(int=1)), uuid.UUID(int=1)),
        ("word", "", ""),
        ("day", "2026-01-02", dt.date(2026, 1, 2)),
        ("owner_id", "7", 7),
    ],
)
def test_a_value_in_a_name_comes_back_in_its_type(column, text, value):
    assert canon.decode(canon.field_of(Everything, column), text) == value


@pytest.mark.parametrize(
    ("column", "text"),
    [
        *[("number", t) for t in ("05", "+5", " 5", "x", "", "5.0", "\u0665")],
        *[("flag", t) for t in ("True", "1", "")],
        *[("code", t) for t in ("{1}", "0" * 32, str(uuid.UUID(int=255)).upper())],
        *[("day", t) for t in ("2026-1-2", "2026-13-01")],
    ],
)
def test_another_spelling_of_a_value_is_refused(column, text):
    with pytest.raises(ValueError, match=r".*"):
        canon.decode(canon.field_of(Everything, column), text)


def test_columns_are_found_by_name_attname_and_pk():
    assert canon.field_of(Item, "parent") is canon.field_of(Item, "parent_id")
    assert canon.field_of(Hostile, "pk").name == "id"


@pytest.mark.parametrize("name", ["nothing", "item", "groups"])
def test_what_is_no_column_is_refused(name):
    with pytest.raises(DeclarationError, match="has no column"):
        canon.field_of(User if name == "groups" else Item, name)


def test_a_key_of_several_columns_is_refused():
    with pytest.raises(DeclarationError):
        canon.field_of(Publication, "pk")


def test_unknown_classes_and_what_cannot_stand_in_a_name_are_refused():
    with pytest.raises(DeclarationError, match="no canonical form"):
        canon.kind_of(canon.field_of(Entry, "op"))
    with pytest.raises(DeclarationError, match="cannot stand in a topic's name"):
        canon.nameable(canon.field_of(Everything, "price"))


def test_the_columns_of_a_condition():
    condition = Q(title="a") | ~Q(closed_at__isnull=True, group="g")
    assert list(canon.columns_of(condition)) == ["title", "closed_at", "group"]


def test_a_key_is_a_text():
    assert canon.key_text(canon.field_of(Everything, "flag"), value=True) == "true"
    assert canon.key_text(canon.field_of(Everything, "number"), 5) == "5"
    assert canon.key_text(canon.field_of(Everything, "number"), None) is None
