"""After a full replay of the tick recording, what is in the database equals the recorded facts."""

import json
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command

from realtime.markets.actions import set_alert
from realtime.markets.feeds.player import Player
from realtime.markets.feeds.recorded import Recording
from realtime.markets.models import AlertFiring, Candle, Market, PriceAlert, Ticker, Trade
from realtime.notifications.models import Notification

FOLDER = Path(settings.TOCSIN_RECORDING or Path(settings.BASE_DIR).parent / "shared" / "data")
ORACLE = FOLDER / "oracle.json"

pytestmark = [
    pytest.mark.recording,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not ORACLE.is_file(),
        reason="the tick recording and its oracle.json lie neither in TOCSIN_RECORDING "
        "nor in ../shared/data",
    ),
]


def level_alerts(oracle, owner):
    """For each recorded level one alert a direction that fires at each crossing, and one once."""
    alerts = {}
    for symbol, facts in oracle["symbols"].items():
        market = Market.objects.create(symbol=symbol, base=symbol[:3], quote="USDT")
        for fact in facts["levels"]:
            for direction in ("up", "down"):
                for once in (True, False):
                    level = Decimal(fact["level"])
                    alert = set_alert(owner, market, direction, level, once=once)
                    alerts[symbol, fact["level"], direction, once] = alert
    return alerts


def sums(rows):
    bars = defaultdict(list)
    for row in rows:
        bars[row.traded_at.replace(second=0, microsecond=0)].append(row)
    return [
        {
            "start": start.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "open": str(held[0].price),
            "high": str(max(row.price for row in held)),
            "low": str(min(row.price for row in held)),
            "close": str(held[-1].price),
            "volume": str(sum(row.quantity for row in held)),
            "quote_volume": money(held),
            "taker_buy_volume": str(sum(row.quantity for row in held if row.side == "buy")),
            "trades": len(held),
            "first_trade_id": held[0].trade_id,
            "last_trade_id": held[-1].trade_id,
        }
        for start, held in bars.items()
    ]


def money(rows):
    return str(sum(row.price * row.quantity for row in rows).quantize(Decimal("1e-8")))


def reference(row):
    return {
        "trade_id": row.trade_id,
        "time": row.traded_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{row.traded_at:%f}"[:3] + "Z",
        "price": str(row.price),
    }


def without(fact, *names):
    return {name: value for name, value in fact.items() if name not in names}


def check_trades(facts, rows):
    assert len(rows) == facts["count"]
    assert reference(rows[0]) == without(facts["first"], "time_ms")
    assert reference(rows[-1]) == without(facts["last"], "time_ms")
    assert [row.trade_id for row in rows] == list(
        range(facts["first"]["trade_id"], facts["last"]["trade_id"] + 1)
    )
    lowest = min(rows, key=lambda row: (row.price, row.trade_id))
    highest = max(rows, key=lambda row: (row.price, -row.trade_id))
    assert reference(lowest) == without(facts["min_price"], "time_ms")
    assert reference(highest) == without(facts["max_price"], "time_ms")
    assert str(sum(row.quantity for row in rows)) == facts["volume"]
    assert money(rows) == facts["quote_volume"]
    bought = sum(row.quantity for row in rows if row.side == "buy")
    assert str(bought) == facts["taker_buy_volume"]
    assert sum(row.side == "sell" for row in rows) == facts["buyer_is_maker_true"]


def check_ticker(facts, ticker):
    trades, quotes = facts["trades"], facts["book_ticker"]
    assert str(ticker.open) == trades["first"]["price"]
    assert str(ticker.last) == trades["last"]["price"]
    assert str(ticker.high) == trades["max_price"]["price"]
    assert str(ticker.low) == trades["min_price"]["price"]
    assert str(ticker.volume) == trades["volume"]
    assert ticker.trades == trades["count"]
    assert ticker.quotes == quotes["count"]
    assert ticker.last_trade_id == trades["last"]["trade_id"]
    assert ticker.traded_at == datetime.fromisoformat(trades["last"]["time"])
    last = (ticker.bid, ticker.bid_quantity, ticker.ask, ticker.ask_quantity)
    assert [str(figure) for figure in last] == [quotes["last"][letter] for letter in "bBaA"]


def check_candles(facts, candles):
    """The seconds, summed up to minutes, are the recorded minutes."""
    minutes = defaultdict(list)
    for candle in candles:
        minutes[candle.start.replace(second=0)].append(candle)
    figures = [
        {
            "open": str(held[0].open),
            "high": str(max(candle.high for candle in held)),
            "low": str(min(candle.low for candle in held)),
            "close": str(held[-1].close),
            "volume": str(sum(candle.volume for candle in held)),
            "trades": sum(candle.trades for candle in held),
        }
        for held in minutes.values()
    ]
    assert figures == [{name: bar[name] for name in figures[0]} for bar in facts["ohlcv_1m"]]


def check_level(fact, alerts, symbol):
    for direction, first, count in (
        ("up", fact["first_up"], fact["up_crossings"]),
        ("down", fact["first_down"], fact["down_crossings"]),
    ):
        every = alerts[symbol, fact["level"], direction, False]
        once = alerts[symbol, fact["level"], direction, True]
        firings = AlertFiring.objects.select_related("trade").order_by("trade_id")
        rows = list(firings.filter(alert=every))
        assert len(rows) == count
        assert [row.trade_id for row in firings.filter(alert=once)] == [
            row.trade_id for row in rows[:1]
        ]
        if first:
            assert reference(rows[0].trade) == without(first, "time_ms")
        once.refresh_from_db()
        assert once.state == ("fired" if count else "armed")
        assert (str(once.fired_price) if count else None) == (first and first["price"])
        every.refresh_from_db()
        assert (every.state, every.firings) == ("armed", count)


def test_after_a_full_replay_the_database_agrees_with_the_recorded_facts(monkeypatch):
    monkeypatch.setattr(settings, "TOCSIN_RECORDING", str(FOLDER))
    oracle = json.loads(ORACLE.read_text())
    owner = User.objects.create_user("ada")
    alerts = level_alerts(oracle, owner)
    call_command("replay", "--speed", "max")
    for symbol, facts in oracle["symbols"].items():
        rows = list(Trade.objects.filter(market=symbol).order_by("id"))
        check_trades(facts["trades"], rows)
        bars = sums(rows)
        assert bars == [without(bar, "start_ms") for bar in facts["ohlcv_1m"]]
        check_ticker(facts, Ticker.objects.get(market=symbol))
        check_candles(facts, Candle.objects.filter(market=symbol).order_by("start"))
        for fact in facts["levels"]:
            check_level(fact, alerts, symbol)
    assert Notification.objects.filter(recipient=owner).count() == AlertFiring.objects.count()
    assert PriceAlert.objects.filter(state="fired").count() == 11


def test_the_busiest_seconds_keep_their_rhythm(monkeypatch):
    """1,825 messages came in the second from 217.35 s on; the replay may not fall behind them."""
    source = Recording(FOLDER)
    first = source.span()[0]
    player = Player(
        source,
        lambda _: None,
        begins=first + 216_500_000_000,
        ends=first + 219_000_000_000,
    )
    played = player.round()
    assert played.messages > 1825
    assert played.behind_s < 1
