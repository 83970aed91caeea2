"""Demo people, what greets them, and their alerts, fired in the market's first half minute."""

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from realtime.markets.feeds.source import NoRecording
from realtime.markets.models import PriceAlert
from realtime.notifications.models import Announcement, Notification

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def debug(settings):
    settings.DEBUG = True


def test_demo_people_are_made_once_with_their_alerts(debug, client):
    for _ in range(2):
        call_command("demo")
    people = User.objects.filter(username__in=("admin", "ada", "grace")).order_by("username")
    assert list(people.values_list("username", "is_staff")) == [
        ("ada", False),
        ("admin", True),
        ("grace", False),
    ]
    assert client.login(username="ada", password="ada")
    assert PriceAlert.objects.filter(owner__username="ada").count() == 5


def test_a_newcomer_finds_a_live_inbox_and_an_announcement_once(debug):
    for _ in range(2):
        call_command("demo")
    ada = User.objects.get(username="ada")
    titles = list(Notification.objects.filter(recipient=ada).values_list("title", flat=True))
    assert titles[0] == "Welcome to Tocsin, Ada"
    assert len(titles) == len(set(titles)) == 4
    assert Notification.objects.filter(recipient__username="grace").count() == 4
    assert Announcement.objects.get().state == Announcement.State.PUBLISHED


def test_the_command_a_newcomer_is_told_works(debug):
    call_command("demo")
    ada = User.objects.get(username="ada")
    told = Notification.objects.get(recipient=ada, title="Write a row, see it here").body
    code = told.rsplit(' -c "', 1)[1].rstrip('"')
    call_command("shell", command=code, no_imports=True)
    assert Notification.objects.filter(recipient=ada, title="Hello from a terminal").exists()


def test_who_is_there_already_stays_as_it_is(debug):
    User.objects.create_user("ada", password="her own")
    call_command("demo")
    assert User.objects.get(username="ada").check_password("her own")
    assert not PriceAlert.objects.filter(owner__username="ada").exists()
    assert not Notification.objects.filter(recipient__username="ada").exists()


def test_demo_is_refused_where_debug_is_off(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG"):
        call_command("demo")


def test_ada_hears_of_the_market_within_half_a_minute(debug, monkeypatch):
    monkeypatch.setattr("realtime.markets.feeds.find.Recording", _none)
    call_command("demo")
    call_command("replay", "--speed", "max", "--to", "+30")
    assert Notification.objects.filter(recipient__username="ada", kind="alert").count() == 2


def _none(folder):
    raise NoRecording(folder)
