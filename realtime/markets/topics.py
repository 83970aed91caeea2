"""The markets' live topics: what of a row travels, to whom, and what is kept of it."""

from typing import Any

from realtime.engine.topics import History, Latest, Topic, live
from realtime.markets.models import Candle, PriceAlert, Ticker, Trade

SHOWN = 200  # trades that a page starts from; the rest of the run stays in the table


@live
class Tickers(Topic):
    """The newest prices of every market; only the latest of each matters."""

    namespace = "tickers"
    model = Ticker
    name = ["tickers:{market_id}", "tickers:all"]
    fields = (
        "market_id",
        "bid",
        "bid_quantity",
        "ask",
        "ask_quantity",
        "last",
        "open",
        "high",
        "low",
        "volume",
        "trades",
        "last_trade_id",
        "opened_at",
        "traded_at",
        "recorded_at",
        "updated_at",
        "run",
        "feed",
    )
    history = Latest(days=7)

    def allows(self, user: Any, *, market_id: str | None = None) -> bool:
        return bool(user.is_active)


@live
class Trades(Topic):
    """The tape of one market."""

    namespace = "trades"
    model = Trade
    name = "trades:{market_id}"
    fields = ("trade_id", "price", "quantity", "side", "traded_at")
    history = History(size=1000, days=1)

    def allows(self, user: Any, *, market_id: str) -> bool:
        return bool(user.is_active)

    def snapshot(self, user: Any, *, market_id: str) -> Any:
        return Trade.objects.filter(market_id=market_id).order_by("-pk")[:SHOWN]


@live
class Candles(Topic):
    """Figures of each second of one market; the newest second is updated while it lasts."""

    namespace = "candles"
    model = Candle
    name = "candles:{market_id}:{interval}"
    fields = ("start", "open", "high", "low", "close", "volume", "trades")
    history = History(size=1000, days=1)

    def allows(self, user: Any, *, market_id: str, interval: str) -> bool:
        return bool(user.is_active)


@live
class Alerts(Topic):
    """A person's price alerts and what became of them."""

    namespace = "alerts"
    model = PriceAlert
    name = "alerts:#{owner_id}"
    fields = (
        "market_id",
        "direction",
        "price",
        "once",
        "state",
        "note",
        "created_at",
        "fired_at",
        "fired_price",
        "firings",
    )
    history = History(size=1000, days=30)

    def allows(self, user: Any, *, owner_id: int) -> bool:
        return bool(user.pk == owner_id)
