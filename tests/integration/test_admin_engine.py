"""The engine's pages of the admin: honest words on the relay, bodies for superusers alone."""

import datetime as dt
import json
import os
import socket

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from realtime.engine import pages, triggers
from realtime.engine.conf import settings as conf
from realtime.engine.models import Entry, Head, Publication, RevokedToken
from realtime.engine.relay import leader_for_database

pytestmark = pytest.mark.django_db(transaction=True)
RELAY = "/admin/engine/relay/"
LOG = "/admin/engine/log/"
TOPICS = "/admin/engine/head/"
SECRET = "the doctor called"
MOMENT = dt.datetime(2026, 11, 24, 0, 3, 2, tzinfo=dt.timezone.utc)  # noqa: UP017


@pytest.fixture(autouse=True)
def empty_tables():
    empty()


def empty():
    for model in (Entry, Publication, Head):
        rows = model.objects.all()
        rows._raw_delete(rows.db)


@pytest.fixture
def boss(client):
    person = User.objects.create_superuser("admin")
    client.force_login(person)
    return person


@pytest.fixture
def operator(client):
    """Staff who may look at all of the engine, without being a superuser."""
    person = User.objects.create_user("operator", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="engine"))
    client.force_login(person)
    return person


def publish(topic, count, *, body=None, floor=0):
    """A topic as a relay would have left it."""
    Head.objects.filter(topic=topic).delete()
    Head.objects.create(topic=topic, epoch="abcdefgh", offset=count, floor=floor, moved_at=MOMENT)
    text = json.dumps(body or {"title": SECRET})
    rows = {"op": "i", "mark": 0, "body": text, "written_at": MOMENT, "moved_at": MOMENT}
    for offset in range(floor + 1, count + 1):
        Publication.objects.create(
            topic=topic, offset=offset, entry=offset, key=str(offset), **rows
        )


def text_of(client, url, **query):
    return client.get(url, query).content.decode()


# --- The relay ----------------------------------------------------------------------------------


def test_without_a_leader_the_page_says_since_when_and_what_waits(client, boss):
    empty()  # making a person is a change of rights, so it waits on PostgreSQL
    publish("inbox:#5", 3)
    text = text_of(client, RELAY)
    assert "No leader since 2026-11-24 00:03:02, 0 waiting. Nothing is lost" in text


def test_the_leader_is_named_with_its_host_and_pid(client, boss):
    leader = leader_for_database()
    assert leader.lead()
    try:
        text = text_of(client, RELAY)
    finally:
        leader.close()
    assert "Leading" in text
    assert f"{socket.gethostname()}, pid {os.getpid()}" in text
    assert "No leader" not in text
    assert "No leader" in text_of(client, RELAY)


@pytest.mark.postgresql
def test_who_stands_by_is_counted(client, boss):
    first, second = leader_for_database(), leader_for_database()
    assert first.lead()
    assert not second.lead()
    try:
        relay = client.get(RELAY).context["relay"]
    finally:
        first.close()
        second.close()
    assert relay.standbys == 1


@pytest.mark.postgresql
def test_what_waits_is_counted_with_the_age_of_the_oldest(client, boss):
    empty()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tocsin_entry (topics, op, key, written_at) SELECT '{inbox:#5}', 'i', n, "
            "now() - interval '42 s' FROM generate_series(1, 214) n"
        )
    text = text_of(client, RELAY)
    assert "214 waiting" in text
    assert "the oldest for 42 s" in text


@pytest.mark.postgresql
def test_an_outbox_that_has_grown_is_said_beside_a_leader(client, boss):
    empty()
    publish_later = "INSERT INTO tocsin_entry (topics, op, key) SELECT '{inbox:#5}', 'i', n"
    with connection.cursor() as cursor:
        cursor.execute(f"{publish_later} FROM generate_series(1, 30) n")
    leader = leader_for_database()
    assert leader.lead()
    try:
        with conf.override(OUTBOX_ENTRIES=29):
            assert "more than 29 entries wait" in text_of(client, RELAY)
        with conf.override(OUTBOX_ENTRIES=30):
            assert "entries wait" not in text_of(client, RELAY)
    finally:
        leader.close()


def test_redis_away_is_a_warning_and_no_error(client, boss, settings):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    text = text_of(client, RELAY)
    assert "Redis is away" in text
    assert "Slower, nothing is lost." in text


def test_missing_triggers_are_named_with_what_to_do(client, boss):
    try:
        assert triggers.uninstall()
        text = text_of(client, RELAY)
    finally:
        triggers.install()
    assert "Run manage.py migrate" in text
    assert "tocsin_" in text


@pytest.mark.parametrize(
    ("length", "words"),
    [(0.0034, "3 ms"), (42.3, "42 s"), (300.5, "5\xa0minutes"), (-1, "0 ms")],
)
def test_lengths_of_time_are_read_as_people_say_them(length, words):
    assert pages.seconds(length) == words


# --- Topics and the log -------------------------------------------------------------------------


def test_topics_are_found_by_part_of_their_name_with_their_positions(client, boss):
    publish("inbox:#5", 7, floor=4)
    publish("tickers:all", 2)
    rows = client.get(TOPICS, {"q": "inbox"}).context["cl"].result_list
    assert [(row.topic, row.epoch, row.offset, row.floor, row.kept_count) for row in rows] == [
        ("inbox:#5", "abcdefgh", 7, 4, 3)
    ]
    assert f"{LOG}?q=inbox%3A%235" in text_of(client, TOPICS)


def test_topics_take_as_many_queries_for_more_rows(client, boss):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            client.get(TOPICS)
        return len(captured)

    publish("inbox:#1", 3)
    queries()
    few = queries()
    for n in range(2, 9):
        publish(f"inbox:#{n}", 3)
    assert queries() <= few


def test_the_log_of_a_topic_goes_back_page_by_page_without_a_hole(client, boss):
    publish("inbox:#5", 120, floor=0)
    url, seen = f"{LOG}?q=inbox%3A%235", []
    while url:
        context = client.get(url).context
        seen += [line.publication.offset for line in context["lines"]]
        url = f"{LOG}{context['older']}" if context["older"] else ""
    assert seen == list(range(120, 0, -1))


@pytest.mark.parametrize("before", ["x", "-1", "1.5", "9" * 30])
def test_a_bad_offset_is_said(client, boss, before):
    publish("inbox:#5", 2)
    page = client.get(LOG, {"q": "inbox:#5", "before": before})
    assert page.status_code == 200
    assert "is not an offset" in page.content.decode()


@pytest.mark.parametrize("words", ["nothing:here", "\0", "%", "<script>"])
def test_words_that_find_nothing_are_no_error(client, boss, words):
    publish("inbox:#5", 2)
    page = client.get(LOG, {"q": words})
    assert page.status_code == 200
    assert b'<script>"' not in page.content


def test_a_superuser_sees_bodies(client, boss):
    publish("inbox:#5", 2)
    assert SECRET in text_of(client, LOG)
    assert SECRET in text_of(client, LOG, q="inbox:#5")


def test_other_staff_never_see_a_body(client, operator):
    publish("inbox:#5", 2)
    for url in (LOG, f"{LOG}?q=inbox%3A%235", TOPICS, f"{TOPICS}inbox_3A_235/change/"):
        page = client.get(url)
        assert page.status_code == 200
        assert SECRET not in page.content.decode()
    assert "superusers only" in text_of(client, LOG)


@pytest.mark.postgresql
def test_an_entry_shows_its_body_to_superusers_alone(client, operator):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tocsin_entry (id, topics, op, key, body) VALUES (5, '{\"inbox:#5\"}', 'i',"
            " '1', %s)",
            [json.dumps({"title": SECRET})],
        )
    url = "/admin/engine/entry/5/change/"
    assert SECRET not in text_of(client, url)
    assert client.get(url).status_code == 200
    client.force_login(User.objects.create_superuser("admin"))
    assert SECRET in text_of(client, url)


def test_the_ctrl_k_search_finds_only_what_may_be_seen(client, operator):
    publish("inbox:#5", 1)
    User.objects.create_user("inbox-reader")
    text = text_of(client, "/admin/search/", s="inbox", extended="1")
    assert "inbox:#5" in text
    assert "inbox-reader" not in text


REVOKED = "/admin/engine/revokedtoken/"


def test_a_name_in_place_of_an_id_ends_no_tokens_and_is_said_to_be_one(client, boss):
    answer = client.post(f"{REVOKED}add/", {"user": boss.get_username(), "token_id": ""})
    assert f"write {boss.pk}, the id of that user" in answer.content.decode()
    assert not RevokedToken.objects.exists()


def test_tokens_are_revoked_by_a_row_that_nobody_changes_and_given_back_without_it(client, boss):
    for words in ({"user": "7", "token_id": ""}, {"user": "8", "token_id": "3f2a"}):
        assert client.post(f"{REVOKED}add/", words).status_code == 302
    page = client.get(REVOKED).content.decode()
    assert "all issued until then" in page
    assert "3f2a" in page
    row = RevokedToken.objects.get(user="7")
    assert client.post(f"{REVOKED}{row.pk}/change/", {"user": "9"}).status_code == 403
    assert client.post(f"{REVOKED}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert [row.user for row in RevokedToken.objects.all()] == ["8"]
