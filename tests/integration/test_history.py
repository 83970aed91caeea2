"""What a subscriber starts from: rights, rows, counts and position of one instant."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import PermissionDenied
from django.db import connection, connections, transaction

from realtime.engine import api, history, openings, outbox, pool, topics, triggers
from realtime.engine.conf import settings
from realtime.engine.openings import ForeignQuery
from realtime.engine.topics import History, Latest, Topic
from realtime.protocol.messages import Position
from tests.live import eventually, raw, relaying, write

pytestmark = pytest.mark.django_db(transaction=True)


class Groups(Topic):
    namespace = "groups"
    model = Group
    name = "groups:all"
    fields = ("id", "name")
    history = History(size=100)

    def allows(self, user, **params):
        return user.username != "mallory"


class Prices(Topic):
    namespace = "prices"
    name = "prices:all"
    history = Latest()

    def allows(self, user, **params):
        return True

    def snapshot(self, user, **params):
        raise AssertionError("the log itself is the rows")


@pytest.fixture(autouse=True)
def _declared(monkeypatch, transactional_db):
    monkeypatch.setattr(topics, "_declared", [Groups(), Prices()])
    # the rows' own publications are written by the tests
    triggers.uninstall()
    yield
    monkeypatch.undo()
    triggers.install()


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada")


def move():
    while connection.vendor == "postgresql" and outbox.move(raw(), 0, 1000):
        pass


def change(group, *, op="u"):
    body = {"id": group.pk, "name": group.name}
    write(raw(), "groups:all", body, op=op, key=str(group.pk))


def opened(user, since=None, limit=100, topic="groups:all"):
    return openings.open_topic(str(user.pk), topics.match(topic), since, limit)


def test_who_is_not_allowed_gets_nothing(ada):
    mallory = get_user_model().objects.create_user("mallory")
    Group.objects.create(name="one")
    write(raw(), "!control", {"kind": "everybody"}, op="c", control=True)
    move()
    for user in (mallory, SimpleNamespace(pk="")):
        opening = opened(user)
        assert not opening.allowed
        assert opening.snapshot is None
        assert opening.publications == ()
        assert opening.covers == 1
    ada.is_active = False
    ada.save()
    assert not opened(ada).allowed


def test_a_newcomer_gets_rows_and_their_position(ada):
    one, two = Group.objects.create(name="one"), Group.objects.create(name="two")
    for group in (one, two):
        change(group, op="i")
    move()
    opening = opened(ada)
    assert opening.allowed
    assert not opening.recovered
    assert opening.position.offset == 2
    assert json.loads(opening.snapshot.rows) == [
        {"key": str(two.pk), "body": {"id": two.pk, "name": "two"}},
        {"key": str(one.pk), "body": {"id": one.pk, "name": "one"}},
    ]
    assert opening.pending == frozenset()


def test_who_comes_back_gets_what_was_missed_or_the_rows(ada):
    group = Group.objects.create(name="one")
    for _ in range(3):
        change(group)
    move()
    epoch = opened(ada).position.epoch
    back = opened(ada, Position(epoch, 1))
    assert back.recovered
    assert back.snapshot is None
    assert [p.offset for p in back.publications] == [2, 3]
    for since, limit in (
        (Position("OTHER", 1), 100),
        (Position(epoch, 0), 2),
        (Position(epoch, 9), 9),
    ):
        fresh = opened(ada, since, limit)
        assert not fresh.recovered
        assert fresh.publications == ()
        assert fresh.snapshot is not None
    same = opened(ada, Position(epoch, 3))
    assert same.recovered
    assert same.publications == ()


def test_the_rows_of_a_topic_of_newest_values_come_from_its_log(ada):
    program = raw()
    for key, value in (("BTC", 1), ("ETH", 1), ("BTC", 2)):
        write(program, "prices:all", {"last": value}, key=key)
    write(program, "prices:all", None, op="d", key="ETH")
    move()
    opening = opened(ada, topic="prices:all")
    assert json.loads(opening.snapshot.rows) == [{"key": "BTC", "body": {"last": 2}}]
    assert opening.position.offset == 4
    # not recovered by a cut answer: two keys have changed
    epoch = opening.position.epoch
    assert not opened(ada, Position(epoch, 0), 1, "prices:all").recovered
    back = opened(ada, Position(epoch, 1), 2, "prices:all")
    assert [(p.offset, p.op) for p in back.publications] == [(3, "u"), (4, "d")]


@pytest.mark.postgresql
def test_rows_that_are_not_numbered_yet_are_named(ada):
    group = Group.objects.create(name="one")
    change(group)
    [entry] = opened(ada).pending
    assert opened(ada).position.offset == 0
    assert history.arrived("groups:all", 0, [entry]) == (0, 0)
    move()
    assert history.arrived("groups:all", 0, [entry]) == (1, 1)
    assert opened(ada).pending == frozenset()


def test_a_snapshot_may_not_ask_another_database(ada, monkeypatch):
    other = type(connections["default"])({**connection.settings_dict}, alias="other")
    monkeypatch.setattr(openings, "connections", Both(other))
    monkeypatch.setattr(
        Groups, "snapshot", lambda self, user, **params: other.cursor().execute("SELECT 1")
    )
    with pytest.raises(ForeignQuery):
        opened(ada)
    other.close()


class Both:
    """The connections of a project with two databases."""

    def __init__(self, other):
        self._all = {"default": connections["default"], "other": other}

    def __iter__(self):
        return iter(self._all)

    def __getitem__(self, alias):
        return self._all[alias]


@pytest.mark.sqlite
def test_a_snapshot_takes_no_write_lock(ada):
    writer = raw()
    writer.execute("BEGIN IMMEDIATE")
    assert opened(ada).allowed
    connection.close()
    assert opened(ada).allowed
    writer.execute("ROLLBACK")


@pytest.fixture
def own_backend(transactional_db):
    connection.ensure_connection()
    return connection.connection.info.backend_pid if connection.vendor == "postgresql" else 0


async def test_threads_live_through_the_loss_of_their_connections(own_backend):
    first = await history.aheads(["groups:all"])
    if connection.vendor == "postgresql":
        raw().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND pid <> %s AND datname = current_database()",
            [own_backend],
        )
    for _ in range(3 * settings.DATABASE_THREADS):
        assert await history.aheads(["groups:all"]) == first


async def test_questions_never_open_more_connections_than_there_are_threads():
    with settings.override(DATABASE_THREADS=2):
        pool.close()
        await asyncio.gather(*(history.aheads(["groups:all"]) for _ in range(20)))
        if connection.vendor == "postgresql":
            count = raw().execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid()"
            )
            assert count.fetchone()[0] <= 3
        pool.close()


# --- api


def test_a_page_begins_with_rows_and_a_position_to_continue_from(ada):
    group = Group.objects.create(name="one")
    change(group)
    move()
    found = api.snapshot(ada, "groups:all")
    assert found["rows"] == [{"key": str(group.pk), "body": {"id": group.pk, "name": "one"}}]
    assert (found["publications"], found["offset"]) == ([], 1)
    assert opened(ada, Position(found["epoch"], found["offset"])).recovered
    assert api.position("groups:all") == Position(found["epoch"], 1)


def test_a_page_is_refused_to_who_may_not_see_it():
    with pytest.raises(PermissionDenied):
        api.snapshot(AnonymousUser(), "groups:all")


def test_inside_a_transaction_a_page_promises_no_position(ada):
    with transaction.atomic():
        found = api.snapshot(ada, "groups:all")
    assert found["epoch"].endswith("!")


@pytest.mark.postgresql
def test_without_a_relay_a_page_waits_and_then_promises_no_position(ada):
    change(Group.objects.create(name="one"))
    with settings.override(PENDING_WAIT_S=0.05):
        found = api.snapshot(ada, "groups:all")
    assert len(found["rows"]) == 1
    assert found["epoch"].endswith("!")
    assert not opened(ada, Position(found["epoch"], found["offset"])).recovered


@pytest.mark.postgresql
async def test_with_a_relay_a_page_waits_for_what_its_rows_contain(ada_async):
    change_later = pool.awaitable(lambda: change(Group.objects.get()))
    await change_later()
    ask = pool.awaitable(lambda: api.snapshot(ada_async, "groups:all"))
    async with relaying():
        found = await ask()
    assert (found["offset"], found["epoch"][-1:] != "!") == (1, True)
    assert found["publications"] == []


@pytest.fixture
def ada_async(ada):
    Group.objects.create(name="one")
    return ada


@pytest.mark.sqlite
async def test_text_that_is_no_text_stops_nobody(ada_async):
    """A foreign program may write any bytes into SQLite."""
    program = raw()
    program.execute("INSERT INTO auth_group (name) VALUES (CAST(x'ff41' AS TEXT))")
    write(program, "groups:all", {"name": "B"})
    program.execute("UPDATE tocsin_log SET body = CAST(x'22ff22' AS TEXT)")
    async with relaying() as broker:
        await eventually(lambda: broker.offsets("groups:all") == [1])
    page = await pool.awaitable(api.snapshot)(ada_async, "groups:all")
    assert [row["body"]["name"] for row in page["rows"]] == ["\ufffdA", "one"]
    found = await history.asince("groups:all", Position("", 0), 10)
    assert found.whole
    assert "\ufffd" in found.publications[0].data


def test_half_of_a_character_in_json_can_be_sent():
    assert openings._json(["\ud83d"]) == '["\\ud83d"]'
    assert openings._json(["\u00e9"]) == '["\u00e9"]'
