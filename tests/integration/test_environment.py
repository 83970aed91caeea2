"""What the project and the database must be for the promise to hold is checked."""

import pytest
from django.conf import UserSettingsHolder, settings
from django.core.checks import run_checks
from django.db import connection

from realtime.engine import environment, triggers

pytestmark = pytest.mark.django_db(transaction=True)


def numbers(**options):
    check = environment.database if options else environment.project
    return [fault.id.removeprefix("tocsin.") for fault in check(**options)]


def test_this_project_is_as_it_should_be():
    faults = run_checks(databases=["default"])
    # the items of the tests have groups of any length
    assert [fault.id for fault in faults] == ["tocsin.W019"]


def test_times_need_their_zone(settings):
    settings.USE_TZ = False
    assert "E101" in numbers()


def test_the_layer_that_drops_messages_is_warned_of(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}
    assert numbers() == ["W102"]


def test_sessions_elsewhere_are_warned_of(settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    assert numbers() == ["W103"]


def test_sqlite_needs_writers_that_queue(monkeypatch):
    database = {"ENGINE": environment.SQLITE, "ATOMIC_REQUESTS": True}
    others = UserSettingsHolder(settings)
    others.DATABASES = {"default": database}
    monkeypatch.setattr(environment, "settings", others)
    assert numbers() == ["E104", "W105"]


@pytest.mark.sqlite
def test_sqlite_needs_recursive_triggers():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA recursive_triggers = OFF")
        assert numbers(databases=["default"]) == ["E202"]
        cursor.execute("PRAGMA recursive_triggers = ON")


def test_missing_triggers_are_told():
    triggers.uninstall()
    try:
        assert set(numbers(databases=["default"])) == {"W201"}
    finally:
        triggers.install()


@pytest.mark.postgresql
def test_a_strange_trigger_and_a_greedy_sequence_are_told():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tocsin_entry ALTER id SET CACHE 10")
        cursor.execute(
            "CREATE FUNCTION strange() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        )
        cursor.execute(
            "CREATE TRIGGER strange AFTER UPDATE ON tests_app_item FOR EACH ROW"
            " EXECUTE FUNCTION strange()"
        )
        try:
            assert numbers(databases=["default"]) == ["W203", "E204"]
        finally:
            cursor.execute("DROP FUNCTION strange CASCADE")
            cursor.execute("ALTER TABLE tocsin_entry ALTER id SET CACHE 1")
