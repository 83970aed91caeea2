"""Whatever takes a right away leaves a publication of !control, whoever wrote it."""

import datetime as dt
import hashlib

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests.app.models import Right
from tests.capture import written

pytestmark = pytest.mark.django_db(transaction=True)

POSTGRESQL = connection.vendor == "postgresql"


def events():
    return [w.body for w in written() if w.op == "c" and w.topics == ("!control",)]


@pytest.fixture
def ada(transactional_db):
    user = User.objects.create(username="ada")
    written()
    return user


def about(user):
    return {"kind": "user", "user": str(user.pk)}


@pytest.mark.parametrize(
    "change",
    [{"is_active": False}, {"password": "!"}, {"is_staff": True}, {"is_superuser": True}],
)
def test_a_change_of_a_persons_standing(ada, change):
    User.objects.update(**change)
    assert events() == [about(ada)]


def test_what_rights_do_not_hang_on_is_silent(ada):
    User.objects.update(last_login=timezone.now(), first_name="Ada", username="countess")
    assert events() == []


def test_a_deleted_person(ada):
    event = about(ada)
    ada.delete()
    assert event in events()


def test_groups_and_permissions_of_a_person(ada):
    group = Group.objects.create(name="staff")
    permission = Permission.objects.first()
    ada.groups.add(group)
    ada.groups.remove(group)
    ada.user_permissions.add(permission)
    ada.user_permissions.clear()
    assert events() == [about(ada)] * 4


def test_a_membership_that_becomes_another_persons(ada):
    grace = User.objects.create(username="grace")
    ada.groups.add(Group.objects.create(name="staff"))
    written()
    User.groups.through.objects.update(user=grace)
    assert sorted(event["user"] for event in events()) == sorted([str(ada.pk), str(grace.pk)])


def test_permissions_of_a_group_concern_everybody():
    group = Group.objects.create(name="staff")
    group.permissions.add(Permission.objects.first())
    assert events() == [{"kind": "everybody"}]
    group.delete()
    assert {"kind": "everybody"} in events()


def session(key="k" * 32, days=1.0):
    expires = timezone.now() + dt.timedelta(days=days)
    return Session.objects.create(session_key=key, session_data="", expire_date=expires)


def expected(key="k" * 32):
    if POSTGRESQL:
        return [{"kind": "session", "session": hashlib.sha256(key.encode()).hexdigest()}]
    return [{"kind": "sessions"}]


def test_a_session_that_ends():
    session()
    assert events() == []
    Session.objects.all().delete()
    assert events() == expected()


def test_a_session_with_another_key_or_an_earlier_end():
    session()
    Session.objects.update(session_key="n" * 32)
    assert events() == expected()
    Session.objects.update(expire_date=timezone.now() + dt.timedelta(hours=1))
    assert events() == expected("n" * 32)


def test_a_session_that_is_saved_and_lives_longer_is_silent():
    session()
    Session.objects.update(session_data="x", expire_date=timezone.now() + dt.timedelta(days=2))
    assert events() == []


def test_sessions_that_are_over_go_without_a_word():
    session(days=-1)
    Session.objects.all().delete()
    assert events() == []


def test_the_key_of_a_session_is_in_no_table_of_ours():
    session()
    Session.objects.all().delete()
    with connection.cursor() as cursor:
        for table in ("tocsin_entry", "tocsin_log"):
            cursor.execute(f"SELECT * FROM {table}")
            assert "k" * 32 not in repr(cursor.fetchall())


def test_a_logout(ada):
    client = Client()
    client.force_login(ada)
    key = client.session.session_key
    written()
    client.logout()
    assert events() == expected(key)


def test_what_allows_depends_on(ada):
    Right.objects.create(user=ada, group="g")
    Right.objects.update(group="h")
    Right.objects.all().delete()
    assert events() == [{"kind": "namespace", "namespace": "items"}] * 3


@pytest.mark.postgresql
def test_many_rows_of_one_statement_are_one_event_and_none_is_none(ada):
    Right.objects.bulk_create(Right(user=ada, group=str(n)) for n in range(50))
    Right.objects.filter(group="nobody's").delete()
    Right.objects.filter(group="nobody's").update(group="x")
    assert events() == [{"kind": "namespace", "namespace": "items"}]


@pytest.mark.postgresql
def test_a_truncate_of_what_rights_hang_on_concerns_everybody():
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE django_session")
    assert events() == [{"kind": "everybody"}]


@pytest.mark.sqlite
def test_publications_carry_the_mark_of_the_revocations_before_them(ada):
    from tests.app.models import Quote  # noqa: PLC0415

    User.objects.update(is_active=False)
    Quote.objects.create(symbol="A")
    User.objects.update(is_active=True)
    Quote.objects.update(price=5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT mark FROM tocsin_log WHERE topic = 'quotes:A' ORDER BY id")
        assert cursor.fetchall() == [(1,), (2,)]


@pytest.mark.postgresql
def test_revocations_are_entries_that_go_first():
    session()
    Session.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT control FROM tocsin_entry")
        assert cursor.fetchall() == [(True,)]
