"""What the project and the database must be for the promise to hold is checked."""

import pytest
from django.conf import UserSettingsHolder, settings
from django.core.checks import run_checks
from django.db import connection
from django.db.models import Q

from realtime.engine import conf, environment, keyring, topics, triggers
from realtime.engine.topics import Topic
from tests.app.models import Item

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


def of_tokens(secrets):
    with conf.settings.override(TOKEN_SECRETS=secrets):
        return environment.tokens()


def test_a_short_secret_of_tokens_is_warned_of_but_not_shown():
    [fault] = of_tokens(f"{'x' * keyring.SHORTEST_SECRET_BYTES},planted")
    assert fault.id == "tocsin.W107"
    assert "secret 2 of TOCSIN_TOKEN_SECRETS has 7 bytes" in fault.msg
    assert "planted" not in str(fault)


def test_under_development_a_secret_may_be_short(settings):
    settings.DEBUG = True
    assert of_tokens("short") == of_tokens("") == []


def test_tokens_need_a_key_of_their_own(settings):
    assert "," in settings.SECRET_KEY  # which would cut it in pieces
    fault, *_ = of_tokens(settings.SECRET_KEY)
    assert fault.id == "tocsin.E106"
    settings.SECRET_KEY = "k" * 50
    [fault] = of_tokens(f"{'x' * 50},{settings.SECRET_KEY}")
    assert fault.id == "tocsin.E106"
    assert settings.SECRET_KEY not in str(fault)


def test_public_keys_that_cannot_be_read_are_told(tmp_path):
    path = tmp_path / "jwks.json"
    with conf.settings.override(TOKEN_JWKS=str(path)):
        [missing] = environment.tokens()
        path.write_text('{"keys": []}')
        [empty] = environment.tokens()
    assert missing.id == empty.id == "tocsin.E108"
    assert "No such file" in missing.msg
    assert "no public key" in empty.msg


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


class Misspelt(Topic):
    namespace = "misspelt"
    model = Item
    name = "misspelt:{parent_id}"
    fields = ("titel",)

    def allows(self, user, *, parent_id):
        return True


@pytest.mark.parametrize(
    ("members", "number"),
    [
        ({}, "E012"),
        ({"namespace": None}, "E001"),
        ({"fields": ("title",), "name": "misspelt:{team_id}"}, "E008"),
        ({"fields": ("title",), "counts": {"open": Q(nope=1)}}, "E017"),
    ],
)
def test_a_wrong_declaration_is_told_before_each_migrate_without_a_traceback(
    monkeypatch, members, number
):
    wrong = type("Wrong", (Misspelt,), members)()
    monkeypatch.setattr(topics, "_declared", [*topics.declared(), wrong])
    faults = [fault for fault in run_checks(databases=["default"]) if fault.is_serious()]
    assert [fault.id for fault in faults] == [f"tocsin.{number}"]
    assert "Wrong" in faults[0].msg
    assert faults[0].hint


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
