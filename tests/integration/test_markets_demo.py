"""Demo people and their alerts, which the recorded market fires within its first half minute."""

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from realtime.markets.feeds.source import NoRecording
from realtime.markets.models import PriceAlert
from realtime.notifications.models import Notification

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


def test_who_is_there_already_stays_as_it_is(debug):
    User.objects.create_user("ada", password="her own")
    call_command("demo")
    assert User.objects.get(username="ada").check_password("her own")
    assert not PriceAlert.objects.filter(owner__username="ada").exists()


def test_demo_is_refused_where_debug_is_off(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG"):
        call_command("demo")


def test_ada_hears_of_the_market_within_half_a_minute(debug, monkeypatch):
    monkeypatch.setattr("realtime.markets.feeds.find.Recording", _none)
    call_command("demo")
    call_command("replay", "--speed", "max", "--to", "+30")
    assert Notification.objects.filter(recipient__username="ada").count() == 2


def _none(folder):
    raise NoRecording(folder)
