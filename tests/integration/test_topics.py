"""Every declared topic, every kind of writer: an open page ends where a new one begins."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from realtime.engine import topics
from realtime.markets.models import Candle, Market, PriceAlert, Ticker, Trade
from realtime.notifications.models import Announcement, Notification
from tests.live import raw
from tests.topics import verify_topic

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Case:
    """A model of the topic, the values of its row `n` for `user`, and what an update changes."""

    topic: str
    model: Any
    values: Any
    change: dict


PRICES = {"open": 1, "high": 3, "low": 1, "close": 2, "volume": 5, "trades": 1}
CASES = {
    "inbox": Case(
        "inbox:#{user.pk}",
        Notification,
        lambda user, n: {"recipient": user, "title": f"Title {n}"},
        {"body": "Ünder 'quotes'"},
    ),
    "announcements": Case(
        "announcements:all",
        Announcement,
        lambda user, n: {
            "title": f"Title {n}",
            "state": "published",
            "audience": "all",
            "number": n,
            "published_at": timezone.now(),
        },
        {"title": "Better"},
    ),
    "tickers": Case(
        "tickers:all",
        Ticker,
        lambda user, n: {"market": market(f"M{n}"), "last": n},
        {"last": "12.34000000"},
    ),
    "trades": Case(
        "trades:BTCUSDT",
        Trade,
        lambda user, n: {
            "market": market("BTCUSDT"),
            "trade_id": 1152921504606846976 + n,
            "price": n,
            "quantity": 1,
            "side": "buy",
            "traded_at": timezone.now(),
        },
        {"price": "12.34000000"},
    ),
    "candles": Case(
        "candles:BTCUSDT:1s",
        Candle,
        lambda user, n: {
            "market": market("BTCUSDT"),
            "start": timezone.now() + timedelta(seconds=n),
            **PRICES,
        },
        {"close": "1.50000000"},
    ),
    "alerts": Case(
        "alerts:#{user.pk}",
        PriceAlert,
        lambda user, n: {"owner": user, "market": market("BTCUSDT"), "price": n},
        {"state": "paused"},
    ),
}


def market(symbol):
    return Market.objects.get_or_create(symbol=symbol, base="B", quote="Q")[0]


def by_orm(case, user):
    case.model.objects.create(**case.values(user, 3))


def in_bulk(case, user):
    case.model.objects.bulk_create(case.model(**case.values(user, n)) for n in range(3, 6))


def by_update(case, user):
    case.model.objects.update(**case.change)


def by_delete(case, user):
    case.model.objects.all().delete()


def by_sql(case, user):
    column, value = next(iter(case.change.items()))
    text = value.replace("'", "''")
    raw().execute(f"UPDATE {case.model._meta.db_table} SET {column} = '{text}'")


def by_sql_delete(case, user):
    raw().execute(f"DELETE FROM {case.model._meta.db_table}")


@pytest.mark.parametrize("write", [by_orm, in_bulk, by_update, by_delete, by_sql, by_sql_delete])
@pytest.mark.parametrize("name", CASES)
def test_an_open_page_knows_what_a_new_one_would(name, write):
    case = CASES[name]
    user = get_user_model().objects.create_user("ada")
    for n in (1, 2):
        case.model.objects.create(**case.values(user, n))
    for n in range(3, 6):
        case.values(user, n)  # the rows that a written one leans on
    verify_topic(user, case.topic.format(user=user), lambda: write(case, user))


def test_every_declared_topic_has_a_case():
    ours = {
        name
        for name, topic in topics.registry().items()
        if type(topic).__module__.startswith("realtime.")
    }
    assert ours == set(CASES)
