"""Makes the small table out of a tick recording:

python -m realtime.markets.feeds.summarise FOLDER
"""

import csv
import gzip
import io
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from realtime.markets import prices
from realtime.markets.feeds.recorded import Recording
from realtime.markets.feeds.seconds import BILLION, COLUMNS, TABLE
from realtime.markets.feeds.source import BadLine, Message

Row = list[str | int]


def rows(messages: Iterable[Message]) -> Iterator[Row]:
    """One row a symbol and second of the recorder's clock in which the symbol told anything."""
    for second, told in groupby(messages, lambda message: message.at // BILLION):
        held: dict[str, list[Message]] = {}
        for message in told:
            held.setdefault(message.symbol, []).append(message)
        for symbol in sorted(held):
            yield _row(second, symbol, [message.what for message in held[symbol]])


def _row(second: int, symbol: str, told: list[object]) -> Row:
    trades = [what for what in told if isinstance(what, prices.Trade)]
    quotes = [what for what in told if isinstance(what, prices.Quote)]
    row: Row = [second, symbol]
    if trades:
        figures = prices.bar(prices.EPOCH, trades)
        row += [
            _text(amount)
            for amount in (figures.open, figures.high, figures.low, figures.close, figures.volume)
        ]
    else:
        row += ["", "", "", "", ""]
    row.append(len(trades))
    return row + ([_text(quotes[-1].bid), _text(quotes[-1].ask)] if quotes else ["", ""])


def _text(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def table(recording: Recording) -> bytes:
    """The table's bytes: the same for the same recording."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(recording.messages(_stop)))
    return gzip.compress(text.getvalue().encode("ascii"), 9, mtime=0)


def _stop(bad: BadLine) -> None:
    raise bad


if __name__ == "__main__":
    TABLE.write_bytes(table(Recording(Path(sys.argv[1]))))
