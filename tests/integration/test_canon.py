"""One canonical form: what a trigger writes is what the Python encoder makes of the row."""

import datetime as dt
import json
import uuid
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.engine import names, topics, triggers
from tests.app.models import Everything, Item
from tests.app.topics import Everythings
from tests.capture import written

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
INSTANT = st.datetimes(timezones=st.just(dt.UTC))
LEAF = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | TEXT | st.floats(-1e9, 1e9)
JSON = st.recursive(LEAF, lambda s: st.lists(s, max_size=3) | st.dictionaries(TEXT, s, max_size=3))
# SQLite's own printf is one digit off for some numbers beyond 1e100 (and below 1e-100)
REACH = 1e307 if connection.vendor == "postgresql" else 1e100
FLOAT = st.floats(-REACH, REACH).filter(lambda value: value == 0 or abs(value) > 1 / REACH)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "flag": st.booleans(),
        "maybe": st.none() | st.booleans(),
        "small": st.integers(-(2**15), 2**15 - 1),
        "number": st.integers(-(2**31), 2**31 - 1),
        "big": st.integers(-(2**63), 2**63 - 1),
        "real": FLOAT,
        "price": st.decimals(-9_999_999, 9_999_999, places=8, allow_nan=False),
        "at": INSTANT,
        "day": st.dates(),
        "clock": st.times(),
        "span": st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999)),
        "code": st.uuids(),
        "data": JSON,
        "word": TEXT,
        "text": TEXT,
        "slug": st.from_regex(r"[a-z0-9_-]{0,40}", fullmatch=True),
        "link": TEXT,
        "file": TEXT,
        "address": st.ip_addresses().map(str),
    },
)
EDGES = {
    "flag": True,
    "maybe": False,
    "small": -(2**15),
    "number": 0,
    "big": 1152921504606846977,
    "real": 0.30000000000000004,
    "price": Decimal("0.00000001"),
    "at": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    "day": dt.date(1, 1, 1),
    "clock": dt.time(0, 0),
    "span": dt.timedelta(days=-1, microseconds=1),
    "code": uuid.UUID(int=1),
    "data": {"b": [1, None, {"ü": "'\""}], "a": 1e3},
    "word": "'\"\\\u2028\x01 {{body}} %s",
    "text": "",
    "slug": "a-b",
    "address": "2001:db8::1",
}


def compare(values):
    """Write a row, read it back: the trigger's body must be the encoder's."""
    row = Everything.objects.create(**values)
    [found] = written("everything")
    [expected] = topics.rows(Everythings(), Everything.objects.filter(pk=row.pk))
    assert found.key == expected["key"]
    assert found.body == json.loads(json.dumps(expected["body"]))
    assert list(found.body) == list(topics.fields_of(Everythings(), Everything))
    Everything.objects.all().delete()
    written()
    return found.body


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ROWS)
def test_the_trigger_writes_what_the_encoder_says(values):
    compare(values)


def test_the_edges_have_one_form_on_every_database():
    owner = User.objects.create(username="ada")
    assert compare({**EDGES, "owner": owner}) == {
        "flag": True,
        "maybe": False,
        "small": -32768,
        "number": 0,
        "big": "1152921504606846977",
        "real": 0.30000000000000004,
        "price": "0.00000001",
        "at": "2026-01-02T03:04:05.000000Z",
        "day": "0001-01-01",
        "clock": "00:00:00.000000",
        "span": -86399999999,
        "code": "00000000-0000-0000-0000-000000000001",
        "data": {"b": [1, None, {"ü": "'\""}], "a": 1000.0},
        "word": "'\"\\\u2028\x01 {{body}} %s",
        "text": "",
        "slug": "a-b",
        "link": None,
        "mail": None,
        "file": "",
        "address": "2001:db8::1",
        "owner_id": owner.pk,
        "shout": "A-B",
    }


@pytest.mark.postgresql
def test_the_writers_own_settings_change_nothing():
    with connection.cursor() as cursor:
        cursor.execute("SET extra_float_digits = -10")
        cursor.execute("SET TimeZone = 'Asia/Kolkata'")
        cursor.execute("SET DateStyle = 'German'")
        cursor.execute("SET IntervalStyle = 'sql_standard'")
        cursor.execute(
            "INSERT INTO tests_app_everything (flag, secret, real, at, day, span)"
            " VALUES (true, '', 0.1::float8 + 0.2, '2026-01-02 03:04:05+00', '2026-01-02', '1 day')"
        )
        for name in ("extra_float_digits", "TimeZone", "DateStyle", "IntervalStyle"):
            cursor.execute(f"RESET {name}")
    [found] = written("everything")
    assert found.body["real"] == 0.30000000000000004
    assert found.body["at"] == "2026-01-02T03:04:05.000000Z"
    assert (found.body["day"], found.body["span"]) == ("2026-01-02", 86_400_000_000)


@pytest.mark.postgresql
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_float_that_is_no_number_is_null(value):
    Everything.objects.create(real=float(value))
    [found] = written("everything")
    assert found.body["real"] is None


@pytest.mark.sqlite
def test_rubbish_from_a_foreign_program_never_refuses_its_write():
    without = {"id", "shout", "slug"}
    columns = [f.column for f in Everything._meta.concrete_fields if f.name not in without]
    for rubbish in ("'rubbish'", "x'00ff'", "9e999", "-1", "''"):
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA ignore_check_constraints = ON")
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.execute(
                "INSERT INTO tests_app_everything (" + ", ".join(f'"{c}"' for c in columns) + ")"
                f" VALUES ({', '.join(rubbish for _ in columns)})"
            )
            cursor.execute("DELETE FROM tests_app_everything")
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
        assert [w.op for w in written("everything")] == ["i", "d"]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_any_text_in_a_name_is_encoded_as_python_does(value):
    Item.objects.create(group=value)
    [found] = written("items")
    assert found.topics == (f"items:{names.quote(value)}",)
    assert topics.match(found.topics[0]).params["group"] == value
    Item.objects.all().delete()
    written()


@pytest.mark.postgresql
def test_the_tolerant_form_writes_the_same():
    owner = User.objects.create(username="ada")
    fast = compare({**EDGES, "owner": owner})
    triggers.before_migrate("default", plan=[object()])
    try:
        assert compare({**EDGES, "owner": owner}) == fast
    finally:
        triggers.install()
