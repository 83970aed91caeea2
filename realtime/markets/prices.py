"""What a market tells: a trade, a best price, the figures of one second. Values only, no world."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_NS = 2**63 - 1  # what a bigint holds: the year 2262


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of the exchange; `side` is what the taker did."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    side: Literal["buy", "sell"]
    traded_at: datetime


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and ask and what is offered there; `recorded_at` is the recorder's clock."""

    bid: Decimal
    bid_quantity: Decimal | None
    ask: Decimal
    ask_quantity: Decimal | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, high, low, close and volume of the second that begins at `start`."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


def instant(nanoseconds: int) -> datetime:
    """The instant so many nanoseconds after 1970, cut to microseconds; never through a float."""
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)


def second_of(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def bar(start: datetime, trades: Sequence[Trade]) -> Bar:
    """The figures of these trades, at least one, in trade order."""
    path = [trade.price for trade in trades]
    volume = sum((trade.quantity for trade in trades), Decimal(0))
    return Bar(start, path[0], max(path), min(path), path[-1], volume, len(trades))
