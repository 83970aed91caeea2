"""A mistake in a declaration is an error that names the class and says what to write."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models import F, Q
from django.db.models.lookups import IsNull

from realtime.engine import checks, topics
from realtime.engine.models import Entry
from realtime.engine.topics import History, Latest, Topic
from tests.app.models import Everything, Item, Quote


class Sound(Topic):
    namespace = "sound"
    model = Item
    name = ["sound:{parent_id}", "sound:all"]
    fields = ("title",)
    history = History()
    counts = {"open": Q(closed_at=None) & ~Q(title__in=["it's", "%s"])}

    def allows(self, user, **columns):
        return True


def found(monkeypatch, *classes):
    monkeypatch.setattr(topics, "_declared", [cls() for cls in classes])
    return [(fault.id.removeprefix("tocsin."), fault) for fault in checks.declarations()]


def variant(**members):
    return type("Variant", (Sound,), members)


async def asked_later(self, user, *, parent_id):
    """Gives a coroutine, which is true."""


def nobody(self, user, **columns):
    return False


class Dated(models.Model):
    class Meta:
        abstract = True
        app_label = "app"


def test_what_is_no_topic_at_all_is_named(monkeypatch):
    [(number, fault)] = found(monkeypatch, type("Stranger", (), {"namespace": "strange"}))
    assert number == "E021"
    assert "Stranger" in fault.msg


def test_a_sound_declaration_passes(monkeypatch):
    assert found(monkeypatch, Sound) == []


@pytest.mark.parametrize(
    ("members", "number", "says"),
    [
        ({"namespace": "a:b"}, "E001", 'namespace = "inbox"'),
        ({"name": ""}, "E003", "recipient_id"),
        ({"models": (Item,)}, "E004", "Keep the one"),
        ({"history": 5}, "E005", "History(size=1000, days=30)"),
        ({"history": Latest(), "model": None, "models": (Item, Quote)}, "E020", "namespace"),
        ({"allows": Topic.allows}, "E006", "def allows(self, user, *, parent_id)"),
        ({"name": "other:{group}"}, "E007", "sound:"),
        ({"name": "{group}:x"}, "E007", "sound:"),
        ({"name": "sound:{nothing}"}, "E008", "group"),
        ({"name": "sound:{closed_at}"}, "E008", "group"),
        ({"name": ["sound:{parent_id}", "sound:{title}"]}, "E009", "constant"),
        ({"fields": ()}, "E010", "title"),
        ({"fields": ("titel",)}, "E012", "title"),
        ({"fields": {Item: ("title",), Quote: ("price",)}}, "E013", "models"),
        ({"history": Latest()}, "E016", "use History"),
        ({"counts": {"x": Q(nothing=1)}}, "E017", "Q(read_at=None)"),
        ({"counts": {"x": Q(parent__title="a")}}, "E017", "Q(read_at=None)"),
        ({"counts": {"x": Q(IsNull(F("title"), True))}}, "E017", "Q(read_at=None)"),
        ({"counts": ["open"]}, "E017", "Q(read_at=None)"),
        ({"name": 5}, "E003", "recipient_id"),
        ({"name": ["sound:all", 5]}, "E003", "recipient_id"),
        ({"history": History(size=0)}, "E005", "size=1000"),
        ({"history": History(days="a month")}, "E005", "days"),
        ({"allows": True}, "E006", "def allows(self, user, *, parent_id)"),
        ({"allows": lambda self, user: True}, "E006", "def allows(self, user, *, parent_id)"),
        ({"allows": asked_later}, "E006", "def allows(self, user, *, parent_id)"),
        ({"snapshot": lambda self, user: ()}, "E006", "def snapshot(self, user, *, parent_id)"),
        ({"name": ["sound:{parent_id}", "sound:{parent_id}-{title}"]}, "E027", "a colon between"),
        ({"name": ["sound:{title}", "sound:{parent_id}+{title}"]}, "E009", "constant"),
        ({"model": "app.Item"}, "E022", "the class"),
        ({"model": Dated}, "E022", "not abstract"),
        ({"model": None}, "E022", "model ="),
        ({"fields": "title"}, "E023", 'fields = ("id", "title")'),
        ({"fields": None}, "E023", 'fields = ("id", "title")'),
        ({"operations": {Item: ("inserts",)}}, "E024", "insert"),
        ({"operations": ["insert"]}, "E024", "insert"),
        ({"depends_on": ("auth.Group",)}, "E025", "the classes"),
        ({"name": "sound:#{parent-id}"}, "E026", "{recipient_id}"),
        ({"name": "sound:{parent_id"}, "E026", "{recipient_id}"),
        ({"name": "sound:#{parent_id}:{title}"}, "E026", "at the end"),
        ({"name": "sound:\xe9"}, "E026", "ASCII"),
        ({"namespace": "", "name": "!control"}, "E026", "the engine's own"),
        ({"allows_publish": True}, "E028", "def allows_publish(self, user, *, parent_id)"),
        ({"allows_publish": asked_later}, "E028", "def allows_publish(self, user, *, parent_id)"),
        ({"history": Latest(), "counts": {}, "allows_publish": nobody}, "E028", "a method"),
        ({"binary": True}, "E029", "history = None"),
        ({"history": Latest(), "counts": {}, "deltas": True}, "E030", "History"),
    ],
)
def test_a_mistake_is_named_with_what_to_write(monkeypatch, members, number, says):
    [(first, fault), *_] = found(monkeypatch, variant(**members))
    assert first == number
    assert "Variant" in fault.msg
    assert says in fault.hint


def test_two_classes_of_one_namespace_clash(monkeypatch):
    [(number, fault)] = found(monkeypatch, Sound, variant())
    assert number == "E002"
    assert "Sound" in fault.msg
    assert "Variant" in fault.msg


class Secrets(Topic):
    namespace = "secrets"
    model = User
    name = "secrets:#{id}"
    fields = ("password",)

    def allows(self, user, *, id):  # noqa: A002
        return True


class Refused(Topic):
    namespace = "refused"
    model = Everything
    name = "refused:{price}"
    fields = ("flag",)

    def allows(self, user, *, price):
        return True


def test_what_looks_secret_is_refused(monkeypatch):
    assert [number for number, _ in found(monkeypatch, Secrets)] == ["E011"]


def test_a_decimal_cannot_stand_in_a_name(monkeypatch):
    assert [number for number, _ in found(monkeypatch, Refused)] == ["E008"]


def test_a_field_of_an_unknown_class_is_refused(monkeypatch):
    members = {"model": Entry, "fields": ("op",), "name": "sound:all", "counts": {}}
    [(number, fault)] = found(monkeypatch, variant(**members))
    assert number == "E012"
    assert "RawField" in fault.msg


def test_more_digits_than_sqlite_keeps_are_warned_of(monkeypatch):
    monkeypatch.setattr(Everything._meta.get_field("price"), "max_digits", 20)
    members = {"model": Everything, "fields": ("price",), "name": "sound:all", "counts": {}}
    assert [number for number, _ in found(monkeypatch, variant(**members))] == ["W014"]


def test_a_name_that_can_be_too_long_is_warned_of(monkeypatch):
    members = {"name": "sound:{hidden}"}  # a text without a limit
    assert [number for number, _ in found(monkeypatch, variant(**members))] == ["W019"]


def test_rows_in_another_database_are_refused(monkeypatch):
    monkeypatch.setattr("django.db.router.db_for_write", lambda model: "elsewhere")
    assert [number for number, _ in found(monkeypatch, Sound)] == ["E018"]


def test_a_topic_without_a_model_needs_a_name_and_a_rule_only(monkeypatch):
    class Free(Topic):
        namespace = "free"
        name = "free:{anything}"

        def allows(self, user, *, anything):
            return True

    assert found(monkeypatch, Free) == []


def test_a_session_can_be_declared_but_for_its_key(monkeypatch):
    members = {"model": Session, "fields": ("expire_date",), "name": "sound:all", "counts": {}}
    assert found(monkeypatch, variant(**members)) == []
