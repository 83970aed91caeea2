"""Triggers come and come back by themselves; what was missed meanwhile begins anew."""

import asyncio
import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.db.migrations.operations import AlterField
from django.db.migrations.state import ProjectState

from realtime.engine import postgresql, topics, triggers
from realtime.engine.conf import settings
from realtime.engine.leader import watchdog
from realtime.engine.models import Namespace
from tests.app.models import Item, Quote
from tests.capture import forget, in_topic, written
from tests.live import ask, eventually, raw
from tests.realtime import in_database

pytestmark = pytest.mark.django_db(transaction=True)

POSTGRESQL = connection.vendor == "postgresql"


@pytest.fixture(autouse=True)
def _installed(transactional_db):
    assert triggers.missing() == []
    yield
    triggers.install()
    forget()


def drop(model, operation):
    [name] = [t.name for t in triggers.wanted() if t.table == model._meta.db_table
              and t.name.endswith(f"_{operation}") and t.what in topics.registry()]  # fmt: skip
    with connection.cursor() as cursor:
        table = f" ON {model._meta.db_table}" if POSTGRESQL else ""
        cursor.execute(f'DROP TRIGGER "{name}"{table}')
    return name


def tables():
    """Of the triggers that are there, in the order in which they are found."""
    with connection.cursor() as cursor:
        return [found.table for found in postgresql.found(cursor).values()]


def epoch(namespace):
    return Namespace.objects.get(name=namespace).epoch


def test_every_declared_namespace_has_its_row_and_so_have_two_more():
    names = set(Namespace.objects.values_list("name", flat=True))
    assert names >= {*topics.registry(), "", "!control"}
    assert all(len(epoch(name)) == 8 for name in names)


def test_a_trigger_dropped_by_hand_is_reported_and_repaired():
    name = drop(Item, "u")
    assert triggers.missing() == [f'trigger "{name}" on tests_app_item is missing']
    assert triggers.install() == [f'trigger "{name}" was missing']
    assert triggers.missing() == []
    Item.objects.create(group="g")
    Item.objects.update(title="seen")
    assert [op for op, *_ in in_topic("items:g")] == ["i", "u"]


def test_what_may_have_been_missed_begins_anew():
    drop(Item, "d")
    before = epoch("items")
    Item.objects.create(group="g")
    triggers.install()
    if POSTGRESQL:
        assert [(w.op, w.key) for w in written("items")][-1] == ("T", "items")
    else:
        assert epoch("items") != before
        assert written("items") == []


def test_a_latest_namespace_is_filled_from_its_rows():
    Quote.objects.create(symbol="A", price=1)
    drop(Quote, "u")
    Quote.objects.update(price=2)
    forget()
    triggers.install()
    found = written("quotes")
    if POSTGRESQL:
        assert (found.pop(0)).op == "T"
        assert [tuple(w) for w in found] == [
            (("quotes:A", "quotes:all"), "i", "A", {"price": 2}, None)
        ]
    else:
        assert sorted(tuple(w) for w in found) == [
            (("quotes:A",), "i", "A", {"price": 2}, None),
            (("quotes:all",), "i", "A", {"price": 2}, None),
        ]


@pytest.mark.sqlite
def test_a_filled_log_is_numbered_from_one_and_goes_on():
    Quote.objects.bulk_create(Quote(symbol=f"S{n}", price=n) for n in range(5))
    triggers.backfill(["quotes"])
    Quote.objects.filter(symbol="S0").update(price=9)
    with connection.cursor() as cursor:
        cursor.execute("SELECT \"offset\" FROM tocsin_log WHERE topic = 'quotes:all' ORDER BY id")
        assert [offset for (offset,) in cursor.fetchall()] == [1, 2, 3, 4, 5, 6]
        cursor.execute("SELECT epoch FROM tocsin_head WHERE topic = 'quotes:all'")
        assert cursor.fetchone() == (epoch("quotes"),)


@pytest.mark.postgresql
def test_a_disabled_trigger_is_reported_and_enabled():
    [name] = [t.name for t in triggers.wanted() if t.table == "tests_app_quote" and t.name.endswith("_u")]  # fmt: skip  # noqa: E501
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE tests_app_quote DISABLE TRIGGER "{name}"')
    assert triggers.missing() == [f'trigger "{name}" on tests_app_quote is disabled']
    triggers.install()
    assert triggers.missing() == []


def test_a_declaration_that_changed_makes_its_triggers_stale(monkeypatch):
    monkeypatch.setattr(type(topics.registry()["items"]), "fields", ("title",))
    assert any("is stale" in fault for fault in triggers.missing())
    triggers.install()
    Item.objects.create(group="g", title="a")
    assert in_topic("items:g")[0][2] == {"title": "a"}


def test_triggers_of_a_declaration_that_is_gone_are_removed(monkeypatch):
    left = [t for t in topics._declared if t.namespace != "hostile"]
    monkeypatch.setattr(topics, "_declared", left)
    assert any("is left over" in fault for fault in triggers.missing())
    triggers.install()
    assert triggers.missing() == []


def test_uninstalled_triggers_let_the_application_write():
    call_command("triggers", "uninstall", stdout=io.StringIO())
    Item.objects.create(group="g")
    assert written() == []
    with pytest.raises(CommandError, match="triggers install"):
        call_command("triggers", "check")
    call_command("triggers", "install", stdout=io.StringIO())
    call_command("triggers", "check", stdout=io.StringIO())


@pytest.mark.postgresql
async def test_triggers_are_removed_beside_a_writer_of_several_tables():
    order = await in_database(tables)
    first, last = order[0], order[-1]
    writer, asking = raw(), asyncio.create_task(in_database(triggers.uninstall))
    with writer.transaction():
        writer.execute(f"LOCK TABLE {last} IN ROW EXCLUSIVE MODE")
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await eventually(lambda: ask(waits))
        writer.execute(f"LOCK TABLE {first} IN ROW EXCLUSIVE MODE")
    assert await asking == len(order)
    await in_database(triggers.install)


def test_the_command_fills_a_namespace_on_request():
    Quote.objects.create(symbol="A", price=1)
    forget()
    call_command("triggers", "install", "--backfill", "quotes", stdout=io.StringIO())
    assert "A" in [w.key for w in written("quotes")]
    with pytest.raises(CommandError, match="no `Latest` namespace: items"):
        call_command("triggers", "install", "--backfill", "items")


# --- Migrations


class Altered:
    """Within it Item.title is another field, altered as a migration does it."""

    def __init__(self, field):
        self.before = ProjectState.from_apps(Item._meta.apps)
        self.after = self.before.clone()
        self.operation = AlterField("item", "title", field)
        self.operation.state_forwards("tests_app", self.after)

    def __enter__(self):
        with connection.schema_editor() as editor:
            self.operation.database_forwards("tests_app", editor, self.before, self.after)

    def __exit__(self, *_):
        with connection.schema_editor() as editor:
            self.operation.database_backwards("tests_app", editor, self.after, self.before)


def test_a_rebuilt_table_keeps_its_triggers():
    with Altered(models.CharField(max_length=300, default="")):
        assert triggers.missing() == []
        Item.objects.create(group="g", title="a")
        assert [op for op, *_ in in_topic("items:g")] == ["i"]


@pytest.mark.sqlite
def test_a_trigger_whose_column_is_gone_refuses_no_write():
    with Altered(models.CharField(max_length=300, default="", db_column="heading")):
        faults = triggers.missing()
        assert len(faults) == 3
        assert all("waits for a column: migrate" in fault for fault in faults)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO tests_app_item (\"group\", heading, hidden) VALUES ('g', '', '')"
            )
            cursor.execute("UPDATE tests_app_item SET hidden = 'x'")
            cursor.execute("DELETE FROM tests_app_item")


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("ALTER title TYPE text", "ALTER title TYPE varchar(100)"),
        ("DROP title", "ADD title varchar(100) NOT NULL DEFAULT ''"),
        ("RENAME title TO other", None),
        ("ALTER parent_id TYPE int", "ALTER parent_id TYPE bigint"),
        ("ADD more int", "DROP more"),
    ],
)
def test_while_migrations_run_no_ddl_stops_a_writer(change, back):
    insert = "INSERT INTO tests_app_item (\"group\", hidden{}) VALUES ('g', ''{})"
    with connection.cursor() as cursor:
        cursor.execute(insert.format(", title", ", 'a'"))  # plans are cached in this session
        triggers.before_migrate("default", plan=[object()])
        try:
            cursor.execute(f"ALTER TABLE tests_app_item {change}")
            there = "title" in {
                c.name
                for c in connection.introspection.get_table_description(cursor, "tests_app_item")
            }
            cursor.execute(insert.format(*((", title", ", 'b'") if there else ("", ""))))
            cursor.execute("UPDATE tests_app_item SET closed_at = now()")
            cursor.execute("DELETE FROM tests_app_item")
        finally:
            table = "ALTER TABLE tests_app_item "
            cursor.execute(table + (back or "RENAME other TO title"))
            triggers.install()
        cursor.execute(insert.format(", title", ", 'c'"))
    found = in_topic("items:g")
    assert [op for op, *_ in found] == ["i", "i", "u", "u", "d", "d", "i"]
    assert found[-1][2] == {"title": "c", "closed_at": None}
    assert triggers.missing() == []


@pytest.mark.postgresql
def test_a_column_that_is_not_there_yet_stops_no_writer():
    """Migrated in part: the declaration knows a column, the table does not."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tests_app_item DROP title")
        try:
            triggers.install()
            cursor.execute("INSERT INTO tests_app_item (\"group\", hidden) VALUES ('g', '')")
            assert triggers.missing() == []
        finally:
            cursor.execute("ALTER TABLE tests_app_item ADD title varchar(100) NOT NULL DEFAULT ''")
    assert in_topic("items:g")[0][2] == {"title": None, "closed_at": None}


@pytest.mark.sqlite
def test_a_migrate_with_work_to_do_takes_the_triggers_away_and_brings_them_back():
    before = epoch("items")
    call_command("migrate", "tests_app", "zero", verbosity=0)
    call_command("migrate", "tests_app", verbosity=0)
    assert triggers.missing() == []
    assert epoch("items") != before


@pytest.mark.sqlite
def test_nobody_brings_triggers_back_while_a_migrate_needs_them_away():
    triggers.before_migrate("default", plan=[object()])
    assert triggers.migrating()
    watchdog.look()
    assert triggers.missing() != []
    triggers.after_migrate("default")
    assert triggers.missing() == []
    assert not triggers.migrating()


@pytest.mark.sqlite
def test_a_migrate_that_died_is_not_waited_for(monkeypatch):
    triggers.before_migrate("default", plan=[object()])
    monkeypatch.setattr(triggers, "MIGRATION_S", -1.0)
    watchdog.look()
    assert triggers.missing() == []
    triggers.after_migrate("default")


def test_a_migrate_without_work_begins_nothing_anew():
    before = {name: epoch(name) for name in topics.registry()}
    call_command("migrate", verbosity=0)
    assert written() == []
    assert {name: epoch(name) for name in topics.registry()} == before


def test_the_engine_can_be_migrated_away_and_the_application_writes_on():
    call_command("migrate", "engine", "zero", verbosity=0)
    try:
        Item.objects.create(group="g")
        assert triggers.missing() == ["the engine's tables are missing: run `manage.py migrate`"]
    finally:
        call_command("migrate", "engine", verbosity=0)
    assert triggers.missing() == []


# --- PostgreSQL's own


@pytest.mark.postgresql
def test_triggers_can_be_told_to_survive_changes_by_hand():
    with settings.override(TOLERANT_TRIGGERS=True):
        triggers.install()
        assert triggers.missing() == []
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE tests_app_item DROP title")
            try:
                cursor.execute("INSERT INTO tests_app_item (\"group\", hidden) VALUES ('g', '')")
            finally:
                add = "ALTER TABLE tests_app_item ADD title varchar(100) NOT NULL DEFAULT ''"
                cursor.execute(add)
    assert in_topic("items:g")[0][2] == {"title": None, "closed_at": None}


@pytest.mark.postgresql
def test_functions_belong_to_nobody_else():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname, prosecdef, proconfig::text, has_function_privilege('public', oid, 'EXECUTE')"  # noqa: E501
            " FROM pg_proc WHERE starts_with(proname, 'tocsin_')"
        )
        rows = cursor.fetchall()
    assert len(rows) > 10
    for name, definer, config, public in rows:
        assert definer or name == "tocsin_quote"
        assert "search_path=pg_catalog, pg_temp" in config
        assert not public


@pytest.mark.postgresql
def test_our_triggers_fire_before_anybody_elses():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'tests_app_item'::regclass"
            " AND NOT tgisinternal ORDER BY tgname"
        )
        names = [name for (name,) in cursor.fetchall()]
    assert names
    assert all(name.startswith("!tocsin") for name in names)


@pytest.mark.postgresql
def test_a_sleeping_relay_is_woken_and_a_waking_one_is_not():
    import psycopg  # noqa: PLC0415

    from tests.live import raw  # noqa: PLC0415

    relay = raw()
    assert isinstance(relay, psycopg.Connection)
    relay.execute("LISTEN tocsin")
    relay.execute("SELECT pg_advisory_lock(7067101)")
    Quote.objects.create(symbol="A")
    assert [n.channel for n in relay.notifies(timeout=15, stop_after=1)] == ["tocsin"]
    relay.execute("SELECT pg_advisory_unlock(7067101)")
    Quote.objects.create(symbol="B")
    assert list(relay.notifies(timeout=0.1)) == []


@pytest.fixture
def stranger(transactional_db):
    """A trigger of the application that writes to a live table after a row of it was written."""

    def create(update):
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE FUNCTION strange() RETURNS trigger LANGUAGE plpgsql AS"
                f" 'BEGIN IF pg_trigger_depth() = 1 THEN {update}; END IF; RETURN NULL; END'"
            )
            cursor.execute(
                "CREATE TRIGGER aa_strange AFTER INSERT OR UPDATE ON tests_app_item FOR EACH ROW"
                " EXECUTE FUNCTION strange()"
            )

    yield create
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION strange CASCADE")


@pytest.mark.postgresql
def test_what_another_trigger_makes_of_the_row_comes_last(stranger):
    stranger("UPDATE tests_app_item SET title = title || ''!'' WHERE id = NEW.id")
    Item.objects.create(group="g", title="a")
    assert [(op, body["title"]) for op, _, body, _ in in_topic("items:g")] == [
        ("i", "a"),
        ("u", "a!"),
    ]


@pytest.mark.postgresql
def test_a_body_that_is_read_anew_converges_whatever_the_order(stranger, monkeypatch):
    """One statement changes rows 1 and 2, and the change of 1 changes 2 once more."""
    monkeypatch.setattr(type(topics.registry()["items"]), "reread", True)
    triggers.install()
    one, two = (Item.objects.create(group="g", title="0") for _ in range(2))
    stranger(
        "UPDATE tests_app_item SET title = ''last'' "
        f"WHERE id = {two.pk} AND NEW.id = {one.pk} AND NEW.title = ''1''"
    )
    forget()
    Item.objects.update(title="1")
    newest = {key: body["title"] for _, key, body, _ in in_topic("items:g")}
    stored = {str(pk): title for pk, title in Item.objects.values_list("pk", "title")}
    assert newest == stored
