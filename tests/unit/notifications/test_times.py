"""Times as served: short, whole, never in the future."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from realtime.notifications.templatetags.times import day, short, when

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=-30), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=11, minutes=59), "11 h"),
        (timedelta(days=2), "Sun"),
        (timedelta(days=6), "Wed"),
        (timedelta(days=7), "17 Nov"),
        (timedelta(days=400), "20 Oct 2025"),
    ],
)
def test_an_age_is_short(age, words):
    assert short(NOW - age, NOW) == words


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize(
    ("age", "name"),
    [(0, "Today"), (1, "Yesterday"), (3, "Saturday"), (8, "16 November"), (400, "20 October 2025")],
)
def test_a_day_has_the_name_a_person_gives_it(age, name):
    assert day(NOW - timedelta(days=age)) == name


@time_machine.travel(NOW, tick=False)
def test_the_whole_time_stands_behind_it_in_the_persons_zone():
    with timezone.override("Europe/Berlin"):
        element = when(NOW - timedelta(minutes=5))
    assert 'datetime="2026-11-24T14:55:00+00:00"' in element
    assert 'title="Tue 24 Nov 2026, 15:55:00 CET"' in element
    assert ">5 min</time>" in element
