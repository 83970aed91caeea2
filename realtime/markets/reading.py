"""What a person's pages show of the markets, with the positions from which they go live."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from typing import Any

from django.utils import timezone

from realtime.engine import api
from realtime.markets.models import Candle, Market, PriceAlert, Ticker

TAPE = 50
SPARK = (80, 20)  # width and height of a spark line's drawing
SPARK_POINTS = 60
STALE_S = 2
NEAR = Decimal("0.01")  # an alert's bar is empty this share of the price away, full at the price


@dataclass(frozen=True)
class Watched:
    """One market of the watch list, as text."""

    market: Market
    ticker: Ticker
    spark: str

    def _price(self, price: Decimal | None) -> str:
        return "–" if price is None else self.market.price_text(price)

    @property
    def last(self) -> str:
        return self._price(self.ticker.last)

    @property
    def bid(self) -> str:
        return self._price(self.ticker.bid)

    @property
    def ask(self) -> str:
        return self._price(self.ticker.ask)

    @property
    def high(self) -> str:
        return self._price(self.ticker.high)

    @property
    def low(self) -> str:
        return self._price(self.ticker.low)

    @property
    def volume(self) -> str:
        return f"{self.ticker.volume:,.1f} {self.market.base}"

    @property
    def since(self) -> str:
        return f"since {self.ticker.opened_at:%H:%M}" if self.ticker.opened_at else ""

    @property
    def way(self) -> str:
        """up, down, or nothing where the price is where it began."""
        change = self.ticker.change
        return "" if not change else "up" if change > 0 else "down"

    @property
    def change(self) -> str:
        change = self.ticker.change
        if change is None:
            return "–"
        arrow = {"up": "▲ +", "down": "▼ −", "": ""}[self.way]
        return f"{arrow}{abs(change):,.2f} %"

    @property
    def age(self) -> str:
        return age_text(self.ticker.updated_at)

    @property
    def stale(self) -> bool:
        return is_stale(self.ticker.updated_at)


@dataclass(frozen=True)
class Wish:
    """A price alert with what is left to its price."""

    alert: PriceAlert
    watched: Watched | None

    @property
    def price(self) -> str:
        return self.alert.market.price_text(self.alert.price)

    @property
    def away(self) -> str:
        last = self.watched and self.watched.ticker.last
        if self.alert.state != PriceAlert.State.ARMED or not last:
            return str(self.alert.get_state_display())
        return f"{self.alert.market.price_text(abs(self.alert.price - last))} away"

    @property
    def nearness(self) -> int:
        """Per cent of the bar that is filled."""
        last = self.watched and self.watched.ticker.last
        if not last:
            return 0
        left = abs(self.alert.price - last) / (last * NEAR)
        return round(100 * max(Decimal(0), 1 - left))


class Topic:
    """A topic's snapshot with the publications that belong to it already applied."""

    def __init__(self, user: Any, topic: str) -> None:
        found = api.snapshot(user, topic)
        self.position = {"topic": topic, "epoch": found["epoch"], "offset": found["offset"]}
        self.bodies = {row["key"]: row["body"] for row in found["rows"]}
        for told in found["publications"]:
            publication = json.loads(told) if isinstance(told, str) else told
            if publication["op"] == "d":
                self.bodies.pop(publication["key"], None)
            elif "body" in publication:
                self.bodies[publication["key"]] = publication["body"]

    def rows(self, model: Any) -> list[Any]:
        """The bodies as unsaved rows of `model`, newest first."""
        fields = {field.attname: field for field in model._meta.concrete_fields}  # noqa: SLF001
        key = model._meta.pk.attname  # noqa: SLF001
        return [
            model(
                **{key: fields[key].to_python(pk)}
                | {name: fields[name].to_python(value) for name, value in body.items()}
            )
            for pk, body in self.bodies.items()
        ]


class Board:
    """Watch list and alerts of a person, at one position each."""

    def __init__(self, user: Any) -> None:
        self._tickers = Topic(user, "tickers:all")
        self._alerts = Topic(user, f"alerts:#{user.pk}")

    @cached_property
    def watched(self) -> list[Watched]:
        """As the log has them; a ticker that is not there yet comes from its row."""
        tickers = {ticker.market_id: ticker for ticker in Ticker.objects.all()}
        tickers |= {ticker.market_id: ticker for ticker in self._tickers.rows(Ticker)}
        return [
            Watched(market, tickers.get(market.pk) or Ticker(market=market), spark(market))
            for market in Market.objects.all()
        ]

    @cached_property
    def wishes(self) -> list[Wish]:
        """The person's alerts, by market, the highest price on top."""
        watched = {row.market.pk: row for row in self.watched}
        rows = [row for row in self._alerts.rows(PriceAlert) if row.market_id in watched]
        for row in rows:
            row.market = watched[row.market_id].market
        rows.sort(key=lambda row: (row.market_id, -row.price, -row.pk))
        return [Wish(row, watched[row.market_id]) for row in rows]

    @property
    def armed(self) -> int:
        return sum(wish.alert.state == PriceAlert.State.ARMED for wish in self.wishes)

    @property
    def feed(self) -> str:
        return next((row.ticker.feed for row in self.watched if row.ticker.feed), "")

    @property
    def page(self) -> dict[str, Any]:
        """What the page's code begins with."""
        return {
            "tickers": self._tickers.position | {"rows": self._tickers.bodies},
            "alerts": self._alerts.position | {"rows": self._alerts.bodies},
            "markets": {
                row.market.pk: {
                    "base": row.market.base,
                    "pricePlaces": row.market.price_places,
                    "quantityPlaces": row.market.quantity_places,
                }
                for row in self.watched
            },
        }


def overview(user: Any) -> dict[str, Any]:
    """What the overview shows of the markets."""
    return {"board": Board(user)}


def minutes(market: Market) -> list[dict[str, Any]]:
    """The chart as a table: the run's candles summed up by the minute, the newest on top."""
    candles = Candle.objects.filter(market=market, interval="1s").order_by("start")
    rows = []
    for start, told in groupby(candles, lambda candle: candle.start.replace(second=0)):
        held = list(told)
        rows.append(
            {
                "start": start,
                "open": market.price_text(held[0].open),
                "high": market.price_text(max(candle.high for candle in held)),
                "low": market.price_text(min(candle.low for candle in held)),
                "close": market.price_text(held[-1].close),
                "volume": f"{sum(candle.volume for candle in held):,.3f}",
            }
        )
    return rows[::-1]


def spark(market: Market) -> str:
    """The run's closing prices as the points of a small line."""
    candles = Candle.objects.filter(market=market, interval="1s").order_by("start")
    closes = list(candles.values_list("close", flat=True))
    step = max(1, -(-len(closes) // SPARK_POINTS))
    return points(closes[::step] + closes[-1:] * bool(step > 1))


def points(prices: list[Decimal]) -> str:
    if len(prices) < 2:  # noqa: PLR2004
        return ""
    width, height = SPARK
    low, span = min(prices), (max(prices) - min(prices)) or Decimal(1)
    return " ".join(
        f"{index * width / (len(prices) - 1):.1f},{1 + (height - 2) * (1 - (p - low) / span):.1f}"
        for index, p in enumerate(prices)
    )


def age_text(written_at: datetime | None) -> str:
    """How old what was written then is now, as the panels say it."""
    if written_at is None:
        return "nothing yet"
    age = max(timedelta(0), timezone.now() - written_at)
    seconds = int(age.total_seconds())
    if seconds < STALE_S:
        return f"{age // timedelta(milliseconds=1)} ms"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds} s old"
    return f"since {written_at.astimezone(UTC):%H:%M:%S}"


def is_stale(written_at: datetime | None) -> bool:
    return written_at is None or timezone.now() - written_at > timedelta(seconds=STALE_S)


def newest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment), default=None)
