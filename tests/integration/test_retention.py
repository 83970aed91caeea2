"""The log is kept short, and whoever stands below what was removed is told."""

import json
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from realtime.engine import conf, history, openings, orders, outbox, topics
from realtime.engine.leader import retention
from realtime.engine.leader.desk import PostgresqlDesk, SqliteDesk
from realtime.engine.leader.sqlite import PatientRetention
from realtime.engine.models import Outcome, RevokedToken
from realtime.engine.topics import History, Latest, Topic
from realtime.protocol.messages import Position
from tests.live import raw, write

pytestmark = pytest.mark.django_db(transaction=True)
HOUR_S = 3600


class Kept(Topic):
    namespace = "kept"
    name = "kept:{x}"
    history = History(size=3, days=1)


class Unkept(Topic):
    namespace = "unkept"
    name = "unkept:{x}"


class Newest(Topic):
    namespace = "newest"
    name = "newest:{x}"
    history = Latest(days=1)


@pytest.fixture(autouse=True)
def _declared(monkeypatch):
    monkeypatch.setattr(topics, "_declared", [Kept(), Unkept(), Newest()])


@pytest.fixture
def desk():
    desk = SqliteDesk() if connection.vendor == "sqlite" else PostgresqlDesk()
    yield desk
    desk.close()


def publish(program, topic, count=1, **row):
    for n in range(count):
        write(
            program,
            topic,
            row.get("body", {"n": n}),
            op=row.get("op", "u"),
            key=row.get("key", "1"),
        )
    move(program)


def move(program):
    while connection.vendor == "postgresql" and outbox.move(program, 0, 1000):
        pass


def age(program, seconds, table="tocsin_log"):
    if connection.vendor == "postgresql":
        program.execute(
            f"UPDATE {table} SET moved_at = moved_at - make_interval(secs => {seconds})"
        )
    else:
        program.execute(f"UPDATE {table} SET moved_at = moved_at - {seconds} * 1000")


def offsets(topic):
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT "offset" FROM tocsin_log WHERE topic = %s ORDER BY "offset"', [topic]
        )
        return [offset for (offset,) in cursor.fetchall()]


def keeping(desk):
    return (PatientRetention if desk.vendor == "sqlite" else retention.Retention)(desk)


def trim(desk):
    keeper = keeping(desk)
    total = 0
    while removed := keeper.trim():
        total += removed
    return total


def test_beyond_their_number_the_oldest_go_and_readers_below_are_told(desk):
    publish(raw(), "kept:1", 10)
    publish(raw(), "kept:2", 2)
    assert trim(desk) == 7
    assert offsets("kept:1") == [8, 9, 10]
    assert offsets("kept:2") == [1, 2]
    assert not history.since("kept:1", Position("", 6), 10).whole
    page = history.since("kept:1", Position("", 7), 10)
    assert page.whole
    assert [p.offset for p in page.publications] == [8, 9, 10]
    assert trim(desk) == 0


def test_what_is_old_goes_whatever_its_number(desk):
    program = raw()
    publish(program, "kept:1", 2)
    age(program, 25 * HOUR_S)
    publish(program, "kept:1", 1)
    assert trim(desk) == 2
    assert offsets("kept:1") == [3]


def kept(topic):
    """What who missed everything is told: of each publication its key, what happened, the body."""
    found = history.since(topic, Position("", 0), 10).publications
    rows = [json.loads(publication.data) for publication in found]
    return [(row["key"], row["op"], row.get("body")) for row in rows]


def test_a_purged_row_is_nowhere_in_the_log_and_whoever_comes_back_ends_right():
    program, secret = raw(), {"name": "Ada"}
    for topic in ("kept:1", "kept:2", "unkept:1"):
        for key, body in (("7", secret), ("8", secret)):
            publish(program, topic, key=key, body=body)
    for topic, key in (("kept:1", "7"), ("unkept:1", "7")):
        publish(program, topic, key=key, body=None, op="d")
    say = StringIO()
    call_command("purge", "kept", "7", stdout=say)
    assert say.getvalue() == "kept:1: 1\n"
    assert kept("kept:1") == [("7", "d", None), ("8", "u", secret), ("7", "d", None)]
    others = [("7", "u", secret), ("8", "u", secret)]
    assert kept("kept:2") == others, "there it was not deleted"
    assert kept("unkept:1")[:2] == others, "another namespace"


def test_what_web_processes_still_have_of_a_purged_row_is_forgotten():
    program = raw()
    publish(program, "kept:1", body={"name": "Ada"})
    publish(program, "kept:1", body=None, op="d")
    call_command("purge", "kept", "1", stdout=StringIO())
    move(program)
    [told] = history.control_since(0).publications
    assert orders.read(told) == orders.Forget("kept:1")


@pytest.mark.parametrize(
    ("namespace", "why"), [("kept", "deleted first"), ("kpt", "there are: kept, newest, unkept")]
)
def test_a_row_that_is_there_is_not_purged(namespace, why):
    publish(raw(), "kept:1", body={"name": "Ada"})
    with pytest.raises(CommandError, match=why):
        call_command("purge", namespace, "1")
    assert kept("kept:1") == [("1", "u", {"name": "Ada"})]


def test_what_nobody_keeps_stays_for_a_minute(desk):
    program = raw()
    publish(program, "unkept:1", 2)
    assert trim(desk) == 0
    age(program, 61)
    assert trim(desk) == 2
    # nothing is left, and yet the position is known and continued
    page = history.since("unkept:1", Position("", 2), 10)
    assert page.whole
    assert page.complete
    assert not history.since("unkept:1", Position("", 1), 10).whole
    publish(program, "unkept:1", 1)
    assert offsets("unkept:1") == [3]


def test_revocations_stay_for_an_hour(desk):
    program = raw()
    write(program, "!control", {"kind": "everybody"}, op="c", control=True)
    move(program)
    age(program, HOUR_S - 60)
    assert trim(desk) == 0
    age(program, 120)
    assert trim(desk) == 1
    assert not history.control_since(0).whole
    assert history.control_since(1).whole


def test_more_than_a_batch_goes_in_several(desk, monkeypatch):
    monkeypatch.setattr(retention, "ROWS", {"postgresql": 2, "sqlite": 2})
    monkeypatch.setattr(retention, "TOPICS", 2)
    for topic in ("kept:1", "kept:2", "kept:3"):
        publish(raw(), topic, 8)
    keeper = keeping(desk)
    for _ in range(20):
        keeper.trim()
    assert [len(offsets(topic)) for topic in ("kept:1", "kept:2", "kept:3")] == [3, 3, 3]


def test_idle_topics_are_forgotten_under_a_new_epoch(desk):
    program = raw()
    publish(program, "unkept:1", 1)
    publish(program, "kept:1", 1)
    names = {"unkept": "aaaaaaaa", "kept": "bbbbbbbb"}
    for name, epoch in names.items():
        program.execute(f"DELETE FROM tocsin_namespace WHERE name = '{name}'")
        program.execute(f"INSERT INTO tocsin_namespace (name, epoch) VALUES ('{name}', '{epoch}')")
    before = history.heads(["unkept:1", "kept:1"])
    age(program, 100 * 24 * HOUR_S, "tocsin_head")
    keeper = keeping(desk)
    assert keeper.collect() == 0
    age(program, 120)
    trim(desk)
    assert keeper.collect() == 1
    after = history.heads(["unkept:1", "kept:1"])
    assert after["kept:1"] == before["kept:1"]
    assert after["unkept:1"].offset == 0
    assert after["unkept:1"].epoch not in {"aaaaaaaa", before["unkept:1"].epoch}


def test_a_tombstone_goes_only_when_no_older_value_is_left(desk):
    program = raw()
    publish(program, "newest:1", key="a")
    publish(program, "newest:1", op="d", body=None, key="a")
    age(program, 25 * HOUR_S)
    # the value may still be within its minute by another clock
    program.execute(
        "UPDATE tocsin_log SET moved_at = "
        + ("clock_timestamp()" if connection.vendor == "postgresql" else "9999999999999")
        + ' WHERE "offset" = 1'
    )
    assert trim(desk) == 0
    age(program, 120 if connection.vendor == "postgresql" else 9999999999)
    assert trim(desk) == 2
    page = history.since("newest:1", Position("", 2), 10)
    assert page.whole
    assert not history.since("newest:1", Position("", 1), 10).whole


class LatestMachine(RuleBasedStateMachine):
    """Readers of a topic that keeps the newest of each key, against the table itself."""

    keys = st.sampled_from("ab")

    def __init__(self):
        super().__init__()
        self.program = raw()
        self.desk = SqliteDesk() if connection.vendor == "sqlite" else PostgresqlDesk()
        self.table = {}
        self.readers = []
        for table in ("tocsin_entry", "tocsin_log", "tocsin_head"):
            self.program.execute(f"DELETE FROM {table}")

    def teardown(self):
        self.desk.close()
        self.program.close()

    def open(self):
        position = history.since("newest:1", Position("", 0), 0).position
        rows = json.loads(openings._newest("newest:1"))
        state = {row["key"]: row["body"]["v"] for row in rows}
        assert state == self.table
        return [position, state]

    @initialize()
    def begin(self):
        self.readers = [self.open()]

    @rule(key=keys, value=st.none() | st.integers(0, 99))
    def change(self, key, value):
        """Few rules, since hypothesis leaves some out in each example: None is a deletion."""
        if value is not None:
            self.table[key] = value
            write(self.program, "newest:1", {"v": value}, key=key)
        elif self.table.pop(key, None) is not None:
            write(self.program, "newest:1", None, op="d", key=key)
        move(self.program)

    @rule(seconds=st.sampled_from([61, 25 * HOUR_S]), batches=st.integers(1, 2))
    def time_passes(self, seconds, batches):
        age(self.program, seconds)
        for _ in range(batches):
            keeping(self.desk).trim()

    @rule(limit=st.sampled_from([1, 300]), who=st.integers(0, 7))
    def some_recover_and_one_joins(self, limit, who):
        for reader in self.readers[who:]:
            self.recover(reader, limit)
        self.readers.insert(0, self.open())

    def recover(self, reader, limit):
        position, state = reader
        page = history.since("newest:1", position, limit)
        if not (page.whole and page.complete):
            reader[:] = self.open()
            return
        for publication in page.publications:
            if publication.op == "d":
                state.pop(publication.key, None)
            else:
                state[publication.key] = json.loads(publication.data)["body"]["v"]
        last = page.publications[-1].offset if page.publications else position.offset
        assert last == page.position.offset
        assert state == self.table
        reader[0] = page.position


def test_readers_of_the_newest_values_are_right_or_told():
    run_state_machine_as_test(
        LatestMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_revocations_of_tokens_are_kept_as_long_as_it_is_set(desk):
    now = timezone.now()
    # the first may be of a token whose end its readers, by their clocks, have not seen yet
    for user, age_s in (("5", 86_401), ("6", 90_000), ("7", 900_000)):
        row = RevokedToken.objects.create(user=user)
        RevokedToken.objects.filter(pk=row.pk).update(revoked_at=now - timedelta(seconds=age_s))
    keeping(desk).trim()
    assert RevokedToken.objects.count() == 3
    with conf.settings.override(REVOKED_S=86_400.0):
        keeping(desk).trim()
    assert list(RevokedToken.objects.values_list("user", flat=True)) == ["5"]


def test_what_was_said_with_an_idempotency_key_is_forgotten_in_time(desk):
    now = int(time.time())
    for word, age_s in (("new", 10), ("old", 90_000), ("older", 900_000)):
        Outcome.objects.create(key=1, topic="kept:1", word=word, made_at=now - age_s)
    retention.Retention(desk).trim()
    assert list(Outcome.objects.values_list("word", flat=True)) == ["new"]
