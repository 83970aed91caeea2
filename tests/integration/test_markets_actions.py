"""Recording trades and what follows from them: all of it committed together, or nothing."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.utils import IntegrityError

from realtime.markets import prices
from realtime.markets.actions import (
    clear,
    delete,
    pause,
    re_arm,
    record,
    record_bar,
    record_quotes,
    record_trades,
    set_alert,
)
from realtime.markets.models import AlertFiring, Candle, Market, PriceAlert, Ticker, Trade
from realtime.notifications.models import Notification

pytestmark = pytest.mark.django_db(transaction=True)
BEGIN = prices.EPOCH + timedelta(days=20_000)


@pytest.fixture
def market():
    return Market.objects.create(symbol="BTCUSDT", base="BTC", quote="USDT")


@pytest.fixture
def ada():
    return User.objects.create_user("ada")


def trades(*path, first=1, step_s=0.1):
    return [
        prices.Trade(
            first + n, Decimal(price), Decimal("0.5"), "buy", BEGIN + timedelta(seconds=n * step_s)
        )
        for n, price in enumerate(path)
    ]


def firings():
    return list(AlertFiring.objects.order_by("id").values_list("alert", "trade__trade_id"))


def test_a_crossing_fires_with_its_trade_and_tells_the_owner(market, ada):
    alert = set_alert(ada, market, "up", Decimal("101.00"), note="Sell half")
    record_trades(market, trades(100, 100.5, "101.25", 102, 100, 102))
    assert firings() == [(alert.pk, 3)]
    alert.refresh_from_db()
    assert (alert.state, alert.fired_price, alert.firings) == ("fired", Decimal("101.25"), 1)
    (news,) = Notification.objects.filter(recipient=ada)
    assert news.title == "BTCUSDT rose above 101.00"
    assert news.body == "Traded at 101.25 at 00:00:00 UTC · Sell half"
    assert news.url == "/market/BTCUSDT/?trade=3"


def test_what_is_rolled_back_has_fired_nothing(market, ada):
    alert = set_alert(ada, market, "down", Decimal(99))

    class Breaks(Exception):  # noqa: N818
        pass

    def broken():
        with transaction.atomic():
            record_trades(market, trades(100, 98))
            assert AlertFiring.objects.exists()
            raise Breaks

    with pytest.raises(Breaks):
        broken()
    assert not AlertFiring.objects.exists()
    assert not Trade.objects.exists()
    assert not Notification.objects.exists()
    alert.refresh_from_db()
    assert alert.state == "armed"
    record_trades(market, trades(100, 98))
    assert firings() == [(alert.pk, 2)]


def test_the_step_between_two_recordings_is_judged_too(market, ada):
    alert = set_alert(ada, market, "up", Decimal(101), once=False)
    record_trades(market, trades(100))
    record_trades(market, trades(101, first=2))
    record_trades(market, trades(101, 100, 102, first=3))
    assert firings() == [(alert.pk, 2), (alert.pk, 5)]
    alert.refresh_from_db()
    assert (alert.state, alert.firings) == ("armed", 2)


def test_a_trade_that_comes_twice_is_recorded_once(market, ada):
    set_alert(ada, market, "up", Decimal(101), once=False)
    record_trades(market, trades(100, 102))
    record_trades(market, trades(100, 102, 103))
    assert list(Trade.objects.order_by("id").values_list("trade_id", flat=True)) == [1, 2, 3]
    assert AlertFiring.objects.count() == 1
    assert Ticker.objects.get().trades == 3
    with pytest.raises(IntegrityError):
        Trade.objects.create(
            market=market, trade_id=3, price=1, quantity=1, side="buy", traded_at=BEGIN
        )


def test_a_paused_alert_fires_again_only_after_it_is_armed(market, ada):
    alert = set_alert(ada, market, "up", Decimal(101))
    pause(ada, alert.pk)
    record_trades(market, trades(100, 102))
    assert firings() == []
    re_arm(ada, alert.pk)
    record_trades(market, trades(103, 100, 101, first=3))
    assert firings() == [(alert.pk, 5)]


def test_two_like_alerts_of_one_person_and_one_of_another_are_three_notifications(market, ada):
    grace = User.objects.create_user("grace")
    for owner in (ada, ada, grace):
        set_alert(owner, market, "up", Decimal(101))
    record_trades(market, trades(100, 102))
    assert Notification.objects.filter(recipient=ada).count() == 2
    assert Notification.objects.filter(recipient=grace).count() == 1


def test_ticker_and_candles_sum_up_the_trades(market):
    told = trades(100, 103, 99, first=1, step_s=0.6)
    quote = prices.Quote(Decimal(98), Decimal(1), Decimal(99), Decimal(2), BEGIN)
    record(market, told[:2], [quote, quote])
    record(market, told[2:])
    ticker = Ticker.objects.get()
    assert (ticker.open, ticker.high, ticker.low, ticker.last) == (100, 103, 99, 99)
    assert (ticker.volume, ticker.trades, ticker.quotes) == (Decimal("1.5"), 3, 2)
    assert (ticker.opened_at, ticker.traded_at) == (told[0].traded_at, told[2].traded_at)
    assert ticker.change == -1
    names = ("open", "high", "low", "close", "volume", "trades")
    assert list(Candle.objects.order_by("start").values_list(*names)) == [
        (100, 103, 100, 103, 1, 2),
        (99, 99, 99, 99, Decimal("0.5"), 1),
    ]


def test_quotes_alone_leave_the_trades_as_they_are(market):
    record_quotes(market, [prices.Quote(Decimal(1), None, Decimal(2), None, BEGIN)])
    ticker = Ticker.objects.get()
    assert (ticker.bid, ticker.ask, ticker.last, ticker.recorded_at) == (1, 2, None, BEGIN)


def test_the_largest_amounts_survive_to_the_last_digit(market):
    exact = Decimal("9999999.99999999")
    record_trades(market, [prices.Trade(2**62, exact, Decimal("0.00000001"), "sell", BEGIN)])
    row = Trade.objects.get()
    assert (row.trade_id, row.price, row.quantity) == (2**62, exact, Decimal("0.00000001"))
    assert Ticker.objects.get().last == exact


def test_a_second_fires_what_its_figures_prove(market, ada):
    alert = set_alert(ada, market, "up", Decimal(105), once=False)
    figures = [Decimal(price) for price in (100, 106, 99, 101)]
    for n in range(2):
        start = BEGIN + timedelta(seconds=n)
        record_bar(market, prices.Bar(start, *figures, Decimal(3), 7), None, start)
    assert not Trade.objects.exists()
    rows = list(AlertFiring.objects.order_by("id").values_list("alert", "candle__start", "price"))
    assert rows == [(alert.pk, BEGIN + timedelta(seconds=n), 106) for n in range(2)]
    assert "Reached 106.00 within the second of" in Notification.objects.first().body


def test_clearing_one_market_leaves_the_other(market, ada):
    other = Market.objects.create(symbol="ETHUSDT", base="ETH", quote="USDT")
    fired = set_alert(ada, market, "up", Decimal(101))
    for each in (market, other):
        record_trades(each, trades(100, 102))
    clear([market], "Recorded, 1×")
    assert list(Trade.objects.values_list("market", flat=True).distinct()) == ["ETHUSDT"]
    assert not AlertFiring.objects.exists()
    fired.refresh_from_db()
    assert (fired.state, fired.firings, fired.fired_at) == ("armed", 0, None)
    ticker = Ticker.objects.get(market=market)
    assert (ticker.last, ticker.trades, ticker.run, ticker.feed) == (None, 0, 1, "Recorded, 1×")
    assert Ticker.objects.get(market=other).last == 102


def test_an_alert_that_makes_no_sense_is_refused_with_words(market, ada):
    for price in ("100.001", "0", "-5", "NaN", "10000000", "1E+30"):
        with pytest.raises(ValidationError):
            set_alert(ada, market, "up", Decimal(price))
    with pytest.raises(ValidationError):
        set_alert(ada, market, "sideways", Decimal(100))
    with pytest.raises(ValidationError, match=r"steps of 0\.01"):
        set_alert(ada, market, "up", Decimal("100.001"))
    assert not PriceAlert.objects.exists()


def test_nobody_changes_the_alert_of_another(market, ada):
    alert = set_alert(ada, market, "up", Decimal(100))
    grace = User.objects.create_user("grace")
    delete(grace, alert.pk)
    with pytest.raises(PriceAlert.DoesNotExist):
        pause(grace, alert.pk)
    assert PriceAlert.objects.get().state == "armed"
    delete(ada, alert.pk)
    assert not PriceAlert.objects.exists()


def test_recordings_side_by_side_fire_each_crossing_once(market, ada):
    """Four writers bring the same trades; each trade and each crossing is recorded once."""
    alert = set_alert(ada, market, "up", Decimal(101), once=False)
    path = [100, 102] * 20
    failures = []

    def write():
        try:
            for first in range(0, 40, 4):
                record_trades(market, trades(*path[first : first + 4], first=first + 1))
        except Exception as error:  # noqa: BLE001, told to the test below
            failures.append(error)
        finally:
            connection.close()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    ids = list(Trade.objects.order_by("id").values_list("trade_id", flat=True))
    assert ids == list(range(1, 41))
    assert firings() == [(alert.pk, trade) for trade in ids if trade % 2 == 0]
    assert Notification.objects.count() == 20
