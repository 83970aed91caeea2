"""The small table that comes with the project: one-second figures computed from a recording.

It knows each second's open, high, low, close and volume and the best bid and ask at its end, by
the recorder's clock. It knows no single trade, so none is played from it.
"""

import csv
import gzip
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from realtime.markets import prices
from realtime.markets.feeds.source import (
    BadLine,
    Instrument,
    Message,
    NoRecording,
    OnBadLine,
    Second,
    instrument,
)

TABLE = Path(__file__).resolve().parent.parent / "data" / "seconds.csv.gz"
COLUMNS = ("second", "symbol", "open", "high", "low", "close", "volume", "trades", "bid", "ask")
BILLION = 1_000_000_000


class Seconds:
    """The table, sorted by second and symbol; a second is played when it is over."""

    name = "seconds"
    label = "One-second figures of a recording"

    def __init__(self, path: Path = TABLE) -> None:
        if not path.is_file():
            raise NoRecording(f"{path} is not there")
        self.path = path

    def instruments(self) -> list[Instrument]:
        with gzip.open(self.path, "rt", encoding="ascii", newline="") as lines:
            return [
                instrument(name)
                for name in sorted({row["symbol"] for row in csv.DictReader(lines)})
            ]

    def span(self) -> tuple[int, int]:
        with gzip.open(self.path, "rt", encoding="ascii", newline="") as lines:
            seconds = [int(row["second"]) for row in csv.DictReader(lines)]
        return (min(seconds) + 1) * BILLION, (max(seconds) + 1) * BILLION

    def messages(self, on_bad_line: OnBadLine) -> Iterator[Message]:
        with gzip.open(self.path, "rt", encoding="ascii", newline="") as lines:
            for number, row in enumerate(csv.DictReader(lines), start=2):
                try:
                    yield _read(row)
                except (InvalidOperation, KeyError, TypeError, ValueError) as error:
                    on_bad_line(BadLine(self.path, number, f"cannot be read: {error!r}"))


def _read(row: dict[str, str]) -> Message:
    second = int(row["second"])
    start = prices.EPOCH + timedelta(seconds=second)
    bar = quote = None
    if row["open"]:
        first, high, low, close = (Decimal(row[name]) for name in COLUMNS[2:6])
        volume, trades = Decimal(row["volume"]), int(row["trades"])
        bar = prices.Bar(start, first, high, low, close, volume, trades)
    if row["bid"]:
        end = start + timedelta(seconds=1)
        quote = prices.Quote(Decimal(row["bid"]), None, Decimal(row["ask"]), None, end)
    return Message((second + 1) * BILLION, row["symbol"], Second(bar, quote))
