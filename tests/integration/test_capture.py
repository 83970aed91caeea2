"""Every committed change of a declared row is captured once, whoever writes it."""

import sqlite3
import subprocess

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from project import servers
from tests.app.models import Hostile, Item, Quote
from tests.capture import in_topic, written

pytestmark = pytest.mark.django_db(transaction=True)

OPEN = {"title": "a", "closed_at": None}


def ops(topic="items:g"):
    return [(op, key) for op, key, *_ in in_topic(topic)]


def program(statement):
    """Another program writes: psql, or Python's sqlite3, without Django."""
    if connection.vendor == "sqlite":
        other = sqlite3.connect(connection.settings_dict["NAME"], timeout=20)
        with other:
            other.execute(statement)
        other.close()
        return
    params = connection.get_connection_params()
    done = subprocess.run(
        [servers.psql(), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement],
        env={
            "PGHOST": params["host"],
            "PGUSER": params["user"],
            "PGDATABASE": params["dbname"],
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_create_and_save_and_delete():
    item = Item.objects.create(group="g", title="a")
    item.title = "b"
    item.save()
    key = str(item.pk)
    item.delete()
    assert in_topic("items:g") == [
        ("i", key, {"title": "a", "closed_at": None}, {"open": 1}),
        ("u", key, {"title": "b", "closed_at": None}, None),
        ("d", key, None, {"open": -1}),
    ]


def test_a_save_that_changes_nothing_declared_leaves_nothing():
    item = Item.objects.create(group="g", title="a")
    written()
    item.save()
    item.hidden = "only this"
    item.save()
    Item.objects.update(title="a")
    assert written() == []


def test_bulk_create_and_bulk_update():
    items = Item.objects.bulk_create(Item(group="g", title=str(n)) for n in range(3))
    keys = [str(item.pk) for item in items]
    for item in items:
        item.title += "!"
    Item.objects.bulk_update(items, ["title"])
    assert sorted(ops()) == sorted([("i", k) for k in keys] + [("u", k) for k in keys])


def test_a_bulk_create_that_ignores_conflicts_publishes_only_what_it_wrote():
    Item.objects.create(group="g", title="a", unique=1)
    written()
    Item.objects.bulk_create(
        [Item(group="g", title="b", unique=1), Item(group="g", title="c", unique=2)],
        ignore_conflicts=True,
    )
    new = Item.objects.get(unique=2)
    assert ops() == [("i", str(new.pk))]


def test_an_upsert_is_an_update_of_the_row_that_was_there():
    item = Item.objects.create(group="g", title="a", unique=1)
    written()
    Item.objects.bulk_create(
        [Item(group="g", title="b", unique=1)],
        update_conflicts=True,
        update_fields=["title"],
        unique_fields=["unique"],
    )
    assert in_topic("items:g") == [("u", str(item.pk), {"title": "b", "closed_at": None}, None)]


def test_update_or_create_and_queryset_update_and_delete():
    item, _ = Item.objects.update_or_create(unique=5, defaults={"group": "g", "title": "a"})
    Item.objects.update_or_create(unique=5, defaults={"title": "b"})
    Item.objects.filter(pk=item.pk).update(title="c")
    Item.objects.all().delete()
    key = str(item.pk)
    assert ops() == [("i", key), ("u", key), ("u", key), ("d", key)]


def test_a_cascade_is_captured():
    parent = Item.objects.create(group="p")
    child = Item.objects.create(group="g", parent=parent)
    every, key = f"items:every:{parent.pk}", str(child.pk)
    parent.delete()
    found = written("items")
    assert [(w.op, w.key) for w in found if every in w.topics] == [("i", key), ("d", key)]
    assert [(w.op, w.key) for w in found if "items:g" in w.topics] == [("i", key), ("d", key)]


def test_raw_sql_through_django():
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO tests_app_quote (symbol, price) VALUES ('A', 1), ('B', 2)")
        cursor.execute("UPDATE tests_app_quote SET price = price + 1 WHERE symbol = 'A'")
        cursor.execute("DELETE FROM tests_app_quote WHERE symbol = 'A'")
    assert in_topic("quotes:all") == [
        ("i", "A", {"price": 1}, None),
        ("i", "B", {"price": 2}, None),
        ("u", "A", {"price": 2}, None),
        ("d", "A", None, None),
    ]


def test_another_program():
    program("INSERT INTO tests_app_quote (symbol, price) VALUES ('A', 1)")
    program("UPDATE tests_app_quote SET price = 7")
    program("DELETE FROM tests_app_quote")
    assert ops("quotes:A") == [("i", "A"), ("u", "A"), ("d", "A")]


@pytest.mark.postgresql
def test_copy():
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY tests_app_quote (symbol, price) FROM STDIN") as copy,
    ):
        copy.write("A\t1\nB\t2\n")
    assert [(op, key) for op, key, *_ in in_topic("quotes:all")] == [("i", "A"), ("i", "B")]


@pytest.mark.postgresql
def test_merge():
    Quote.objects.create(symbol="A", price=1)
    written()
    with connection.cursor() as cursor:
        cursor.execute(
            "MERGE INTO tests_app_quote q USING (VALUES ('A', 5), ('B', 6)) v (s, p) ON symbol = s"
            " WHEN MATCHED THEN UPDATE SET price = p WHEN NOT MATCHED THEN INSERT VALUES (s, p)"
        )
    assert sorted(ops("quotes:all")) == [("i", "B"), ("u", "A")]


@pytest.mark.postgresql
def test_a_truncate_begins_the_namespace_anew():
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tests_app_quote")
    assert [(w.op, w.key) for w in written("quotes")] == [("T", "quotes")]


@pytest.mark.sqlite
def test_a_replaced_row_is_deleted_first():
    old = Item.objects.create(group="g", title="a", unique=1)
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT OR REPLACE INTO tests_app_item (id, "group", title, hidden, "unique")'
            " VALUES (999, 'g', 'b', '', 1)"
        )
    assert ops() == [("i", str(old.pk)), ("d", str(old.pk)), ("i", "999")]


@pytest.mark.sqlite
def test_a_program_without_recursive_triggers_hides_a_replaced_row():
    """A limit, not a promise: the row that went through another unique column stays on screens."""
    gone = Item.objects.create(group="g", title="old", unique=1)
    program(
        'INSERT OR REPLACE INTO tests_app_item (id, "group", title, hidden, "unique")'
        f" VALUES ({gone.pk + 1}, 'g', 'new', '', 1)"
    )
    assert list(Item.objects.values_list("title", flat=True)) == ["new"]
    assert ops() == [("i", str(gone.pk)), ("i", str(gone.pk + 1))]
    # through its own key it is a change like any other
    program(
        'INSERT OR REPLACE INTO tests_app_item (id, "group", title, hidden, "unique")'
        f" VALUES ({gone.pk + 1}, 'g', 'newer', '', 1)"
    )
    assert ops() == [("i", str(gone.pk + 1))]


@pytest.mark.sqlite
@pytest.mark.parametrize("outer", ["IGNORE", "REPLACE", "FAIL", "ABORT", "ROLLBACK"])
def test_the_conflict_clause_of_the_writer_changes_nothing_in_the_log(outer):
    with connection.cursor() as cursor:
        for n in range(3):
            cursor.execute(f"INSERT OR {outer} INTO tests_app_quote VALUES ('S{n}', {n})")
            cursor.execute(f"UPDATE OR {outer} tests_app_quote SET price = price + 1")
        cursor.execute(
            "SELECT count(*), max(\"offset\") FROM tocsin_log WHERE topic = 'quotes:all'"
        )
        count, highest = cursor.fetchone()
        cursor.execute("SELECT \"offset\" FROM tocsin_head WHERE topic = 'quotes:all'")
        assert (count, highest) == (9, 9) == (9, cursor.fetchone()[0])


def test_a_rollback_leaves_nothing():
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
        Item.objects.create(group="g")
        raise ZeroDivisionError
    assert written() == []


def test_a_savepoint_that_is_rolled_back_leaves_nothing():
    with transaction.atomic():
        kept = Item.objects.create(group="g", unique=1)
        with pytest.raises(IntegrityError), transaction.atomic():  # noqa: PT012
            Item.objects.create(group="g", title="lost")
            Item.objects.create(group="g", unique=1)
    assert ops() == [("i", str(kept.pk))]


def test_only_declared_fields_travel():
    Item.objects.create(group="g", title="a", hidden="nobody's business")
    assert all("hidden" not in (w.body or {}) for w in written())


# --- Topics


def test_a_row_that_moves_leaves_its_old_topic():
    item = Item.objects.create(group="old", title="a")
    written()
    Item.objects.update(group="new")
    found, key = written(), str(item.pk)
    assert [(w.op, w.key, w.body, w.counts) for w in found if "items:old" in w.topics] == [
        ("d", key, None, {"open": -1})
    ]
    assert [(w.op, w.key, w.body, w.counts) for w in found if "items:new" in w.topics] == [
        ("i", key, OPEN, {"open": 1})
    ]


def test_a_topic_the_row_stays_in_hears_of_an_update():
    parent = Item.objects.create()
    item = Item.objects.create(group="old", title="a", parent=parent)
    written()
    Item.objects.filter(pk=item.pk).update(group="new")
    ways = {topic: w.op for w in written() for topic in w.topics}
    assert ways == {"items:old": "d", "items:new": "i", f"items:every:{parent.pk}": "u"}


def test_null_in_a_name_is_no_topic():
    item = Item.objects.create(group=None)
    assert written() == []
    Item.objects.update(group="g")
    Item.objects.update(group=None)
    assert ops() == [("i", str(item.pk)), ("d", str(item.pk))]


def test_a_name_that_would_be_too_long_is_no_topic():
    Item.objects.create(group="x" * 249)
    Item.objects.create(group="x" * 250)
    Item.objects.create(group="é" * 42)
    assert [w.topics for w in written()] == [("items:" + "x" * 249,)]


def test_a_new_key_is_a_delete_and_an_update():
    Quote.objects.create(symbol="A", price=1)
    written()
    Quote.objects.update(symbol="B")
    found = written()
    assert [(w.op, w.key) for w in found if "quotes:all" in w.topics] == [("d", "A"), ("u", "B")]
    assert [(w.op, w.key) for w in found if "quotes:A" in w.topics] == [("d", "A")]
    assert [(w.op, w.key) for w in found if "quotes:B" in w.topics] == [("i", "B")]


def test_counts_are_deltas_of_what_was_and_what_is():
    item = Item.objects.create(group="g", title="draft")
    Item.objects.update(title="ready")
    Item.objects.update(closed_at=timezone.now())
    Item.objects.update(title="renamed")
    item.delete()
    assert [counts for *_, counts in in_topic("items:g")] == [
        None,
        {"open": 1},
        {"open": -1},
        None,
        None,
    ]


def test_a_body_that_is_too_large_travels_without_itself():
    Hostile.objects.create(body="x" * 70_000, state=3)
    [found] = written("hostile")
    assert (found.op, found.body, found.counts) == ("o", None, {"zero'": 1})


def test_hostile_names_of_tables_and_columns_do_no_harm():
    row = Hostile.objects.create(body="a", state=1)
    row.body, row.gone = "b", 2
    row.save()
    key = str(row.pk)
    row.delete()
    assert in_topic(f"hostile:{key}:it's") == [
        ("i", key, {"body": "a", "state": 1, "gone": 0}, {"zero'": 1}),
        ("u", key, {"body": "b", "state": 1, "gone": 2}, {"zero'": -1}),
        ("d", key, None, None),
    ]
