"""What every source of prices offers, whatever it is read from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from realtime.markets import prices


@dataclass(frozen=True, slots=True)
class Second:
    """Figures of a second that is over; `bar` is None where nothing traded."""

    bar: prices.Bar | None
    quote: prices.Quote | None


@dataclass(frozen=True, slots=True)
class Message:
    """Something a market told; `at` is the recorder's clock, nanoseconds since 1970."""

    at: int
    symbol: str
    what: prices.Trade | prices.Quote | Second


@dataclass(frozen=True, slots=True)
class Instrument:
    symbol: str
    base: str
    quote: str
    price_step: Decimal = field(default=Decimal("0.01"))
    quantity_step: Decimal = field(default=Decimal("0.00001"))


INSTRUMENTS = {
    "BTCUSDT": Instrument("BTCUSDT", "BTC", "USDT"),
    "ETHUSDT": Instrument("ETHUSDT", "ETH", "USDT", quantity_step=Decimal("0.0001")),
}


def instrument(symbol: str) -> Instrument:
    """What is known of a symbol; one that is not in the table is split before its last four."""
    return INSTRUMENTS.get(symbol) or Instrument(symbol, symbol[:-4], symbol[-4:])


class BadLine(Exception):  # noqa: N818
    """A line of a recording cannot be read."""

    def __init__(self, path: Path, number: int, reason: str) -> None:
        super().__init__(f"{path}, line {number}: {reason}")


class NoRecording(Exception):  # noqa: N818
    """There is no recording where one was said to be."""


OnBadLine = Callable[[BadLine], None]


class Source(Protocol):
    """A recorded market. `messages` come by time, and by symbol where the time is one.

    `on_bad_line` is told of each line that cannot be read; when it returns, reading goes on
    behind that line.
    """

    name: str
    label: str

    def instruments(self) -> list[Instrument]: ...
    def span(self) -> tuple[int, int]: ...
    def messages(self, on_bad_line: OnBadLine) -> Iterator[Message]: ...
