"""What can be done with markets and alerts: verbs that write rows, each in one transaction.

An alert's firing, its owner's notification and the trade that caused it are committed together,
or none of them is. Recordings of one market wait for each other at its ticker row.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from realtime.engine import api
from realtime.markets import alerts as rules
from realtime.markets import firings, prices
from realtime.markets.models import (
    AlertFiring,
    Candle,
    Market,
    PriceAlert,
    Ticker,
    Trade,
)

ALERTS_A_PERSON = 200
LARGEST = 10**7  # what 15 digits with 8 after the point leave
State = PriceAlert.State


# --- Recording ------------------------------------------------------------------------------


def record(
    market: Market,
    trades: Sequence[prices.Trade] = (),
    quotes: Sequence[prices.Quote] = (),
    recorded_at: datetime | None = None,
) -> int:
    """Trades and best prices of one market, oldest first, of one moment; returns the firings.

    A trade whose number is not above the last one was recorded before and is passed over.
    """
    with transaction.atomic():
        ticker = _locked_ticker(market)
        newest = ticker.last_trade_id
        fresh = [trade for trade in trades if newest is None or trade.trade_id > newest]
        fired = _record_trades(market, ticker, fresh) if fresh else 0
        if quotes:
            _quote(ticker, quotes[-1], len(quotes))
        _save(ticker, recorded_at)
    return fired


def record_trades(market: Market, trades: Sequence[prices.Trade]) -> int:
    return record(market, trades=trades)


def record_quotes(market: Market, quotes: Sequence[prices.Quote]) -> None:
    """Best prices, oldest first; the row keeps the last one, and how many there were."""
    record(market, quotes=quotes)


def record_bar(
    market: Market, bar: prices.Bar | None, quote: prices.Quote | None, recorded_at: datetime
) -> int:
    """The figures of a second where the trades behind them are not known; returns the firings.

    No trade is made up: the candle, the ticker and the alerts that the figures prove crossed.
    """
    with transaction.atomic():
        ticker = _locked_ticker(market)
        fired = 0
        if bar:
            candle = Candle(market=market, **_figures(bar))
            candle.save(force_insert=True)
            previous = ticker.last
            _merge(ticker, bar, bar.start)
            wanted = firings.armed(market, [previous, bar.high, bar.low])
            figures = (bar.open, bar.high, bar.low, bar.close)
            crossings = rules.proved(wanted.keys(), previous, figures)
            fired = firings.fire(market, crossings, wanted, [candle] * 4)
        if quote:
            _quote(ticker, quote, 1)
        _save(ticker, recorded_at)
    return fired


def clear(markets: Iterable[Market], feed: str) -> None:
    """Begin these markets anew: no trades, no candles, no firings; fired alerts are armed again.

    `feed` says in words where the prices to come are from.
    """
    chosen = sorted(markets, key=lambda market: market.symbol)
    with transaction.atomic():
        for market in chosen:
            ticker = _locked_ticker(market)
            Ticker(market=market, run=ticker.run + 1, feed=feed, updated_at=timezone.now()).save(
                force_update=True
            )
        _empty(chosen)
        PriceAlert.objects.filter(market__in=chosen, state=State.FIRED).update(state=State.ARMED)
        PriceAlert.objects.filter(Q(firings__gt=0) | Q(fired_at__isnull=False)).filter(
            market__in=chosen
        ).update(firings=0, fired_at=None, fired_price=None)


def _empty(markets: list[Market]) -> None:
    """Delete what was recorded of these markets; where they are all there are, at once.

    Then the readers are told that the topics begin anew, in place of each deletion by itself.
    """
    everything = not Market.objects.exclude(pk__in=[market.pk for market in markets]).exists()
    if connection.vendor == "postgresql" and everything:
        tables = ", ".join(
            connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001
            for model in (AlertFiring, Trade, Candle)
        )
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {tables}")
        return
    AlertFiring.objects.filter(alert__market__in=markets).delete()
    for model, namespace in ((Trade, "trades"), (Candle, "candles")):
        rows: Any = model._default_manager.filter(market__in=markets)  # noqa: SLF001
        rows._raw_delete(rows.db)  # noqa: SLF001
        if everything:
            api.reset(namespace)


def _locked_ticker(market: Market) -> Ticker:
    Ticker.objects.get_or_create(market=market)
    return Ticker.objects.select_for_update().get(market=market)


def _record_trades(market: Market, ticker: Ticker, trades: Sequence[prices.Trade]) -> int:
    rows = Trade.objects.bulk_create(
        Trade(
            market=market,
            trade_id=trade.trade_id,
            price=trade.price,
            quantity=trade.quantity,
            side=trade.side,
            traded_at=trade.traded_at,
        )
        for trade in trades
    )
    previous = ticker.last
    for bar in _bars(trades):
        _merge(ticker, bar, trades[0].traded_at)
        _save_candle(market, bar)
    ticker.last_trade_id = trades[-1].trade_id
    ticker.traded_at = trades[-1].traded_at
    path = [trade.price for trade in trades]
    wanted = firings.armed(market, [previous, *path])
    return firings.fire(market, rules.crossed(wanted.keys(), previous, path), wanted, rows)


def _bars(trades: Iterable[prices.Trade]) -> list[prices.Bar]:
    """Trades summed up by the second, in the order of their seconds."""
    seconds: dict[datetime, list[prices.Trade]] = defaultdict(list)
    for trade in trades:
        seconds[prices.second_of(trade.traded_at)].append(trade)
    return [prices.bar(start, held) for start, held in seconds.items()]


def _figures(bar: prices.Bar) -> dict[str, Any]:
    names = ("start", "open", "high", "low", "close", "volume", "trades")
    return {name: getattr(bar, name) for name in names}


def _save_candle(market: Market, bar: prices.Bar) -> None:
    candle = Candle.objects.filter(market=market, interval="1s", start=bar.start).first()
    if candle is None:
        Candle.objects.create(market=market, **_figures(bar))
        return
    candle.high = max(candle.high, bar.high)
    candle.low = min(candle.low, bar.low)
    candle.close = bar.close
    candle.volume += bar.volume
    candle.trades += bar.trades
    candle.save(update_fields=["high", "low", "close", "volume", "trades"])


def _merge(ticker: Ticker, bar: prices.Bar, opened_at: datetime) -> None:
    if ticker.open is None:
        ticker.open, ticker.opened_at = bar.open, opened_at
    ticker.high = bar.high if ticker.high is None else max(ticker.high, bar.high)
    ticker.low = bar.low if ticker.low is None else min(ticker.low, bar.low)
    ticker.last = bar.close
    ticker.volume += bar.volume
    ticker.trades += bar.trades


def _quote(ticker: Ticker, quote: prices.Quote, count: int) -> None:
    ticker.bid, ticker.bid_quantity = quote.bid, quote.bid_quantity
    ticker.ask, ticker.ask_quantity = quote.ask, quote.ask_quantity
    ticker.quotes += count
    ticker.recorded_at = quote.recorded_at


def _save(ticker: Ticker, recorded_at: datetime | None) -> None:
    ticker.recorded_at = recorded_at or ticker.recorded_at
    ticker.updated_at = timezone.now()
    ticker.save(force_update=True)


# --- A person's alerts ----------------------------------------------------------------------


def set_alert(
    owner: Any,
    market: Market,
    direction: str,
    price: Decimal,
    *,
    once: bool = True,
    note: str = "",
    state: str = State.ARMED,
) -> PriceAlert:
    """A new alert. Raises ValidationError with words for the form."""
    if not (price.is_finite() and 0 < price < LARGEST):
        raise ValidationError({"price": f"Write a price between 0 and {LARGEST:,}."})
    if price % market.price_step:
        step = market.price_text(market.price_step)
        raise ValidationError({"price": f"Prices of {market} move in steps of {step}."})
    if "\x00" in note:  # no text of PostgreSQL holds it
        raise ValidationError({"note": "Null characters are not allowed."})
    if PriceAlert.objects.filter(owner=owner).count() >= ALERTS_A_PERSON:
        raise ValidationError(f"You have {ALERTS_A_PERSON} alerts. Delete one first.")
    alert = PriceAlert(
        owner=owner,
        market=market,
        direction=direction,
        price=price,
        once=once,
        note=note,
        state=state,
    )
    alert.full_clean()
    alert.save()
    return alert


def pause(owner: Any, alert_id: int) -> PriceAlert:
    return _set_state(owner, alert_id, State.PAUSED)


def re_arm(owner: Any, alert_id: int) -> PriceAlert:
    """Armed again, from the market's next trade on."""
    return _set_state(owner, alert_id, State.ARMED)


def delete(owner: Any, alert_id: int) -> None:
    PriceAlert.objects.filter(owner=owner, pk=alert_id).delete()


def _set_state(owner: Any, alert_id: int, state: PriceAlert.State) -> PriceAlert:
    """Raises PriceAlert.DoesNotExist where it is not the owner's."""
    with transaction.atomic():
        alert = PriceAlert.objects.select_for_update().get(owner=owner, pk=alert_id)
        if alert.state != state:
            alert.state = state
            alert.save(update_fields=["state"])
    return alert
