"""Who a session still speaks for, asked of the database anew: nobody, after whatever ended it."""

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from realtime.engine import revocation
from realtime.engine.members import Credential

pytestmark = pytest.mark.django_db
ALL_IN = "django.contrib.auth.backends.AllowAllUsersModelBackend"


@pytest.fixture
def ada():
    return User.objects.create_user("ada", password="a-good-password")


@pytest.fixture
def key(ada, settings):
    """Of a session by a backend that asks nothing itself, so that it is we who ask."""
    settings.AUTHENTICATION_BACKENDS = [ALL_IN]
    client = Client()
    client.force_login(ada, ALL_IN)
    return client.cookies["sessionid"].value


def speaks_for(key):
    credential = Credential(key)
    return revocation.identify([credential]).users.get(credential)


def test_a_session_speaks_for_its_person(ada, key):
    assert speaks_for(key) == str(ada.pk)


@pytest.mark.parametrize(
    "change", [{"is_active": False}, {"password": "another"}], ids=["deactivated", "password"]
)
def test_it_does_no_more_when_that_has_changed(ada, key, change):
    User.objects.update(**change)
    assert speaks_for(key) is None


def test_nor_when_the_person_the_session_or_its_way_in_is_gone(ada, key, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    assert SessionStore(key)[BACKEND_SESSION_KEY] == ALL_IN
    assert speaks_for(key) is None
    settings.AUTHENTICATION_BACKENDS = [ALL_IN]
    assert speaks_for(key)
    session = SessionStore(key)
    session.set_expiry(-1)
    session.save()
    assert speaks_for(key) is None
    session.set_expiry(60)
    session.save()
    assert speaks_for(key)
    ada.delete()
    assert speaks_for(key) is None
    assert speaks_for("no key of a session") is None
