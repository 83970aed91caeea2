"""The tick recording: every trade and best price of an exchange's stream, as it came in.

A folder holds `<symbol>_<day>.gz` files, by themselves or under `raw/`. A line is the receive time
in nanoseconds, a space and the exchange's JSON. Exchange letters do not leave this module.
"""

import gzip
import heapq
import zlib
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from operator import attrgetter
from pathlib import Path

import msgspec

from realtime.markets import prices
from realtime.markets.feeds.source import (
    BadLine,
    Instrument,
    Message,
    NoRecording,
    OnBadLine,
    instrument,
)

MILLISECOND = timedelta(milliseconds=1)
SMALLEST = -8  # exponent of the last digit that a row can hold
LARGEST = Decimal(10) ** 7


class _Envelope(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")
    lastUpdateId: int | None = None  # noqa: N815, a snapshot of the book; it has no stream


class _Trade(msgspec.Struct):
    s: str
    t: int
    p: Decimal
    q: Decimal
    T: int
    m: bool


class _Quote(msgspec.Struct):
    s: str
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal


_envelope = msgspec.json.Decoder(_Envelope)
_trade = msgspec.json.Decoder(_Trade)
_quote = msgspec.json.Decoder(_Quote)


class Recording:
    """The tick recording in a folder. Raises NoRecording where the folder holds none."""

    name = "ticks"
    label = "Recorded"

    def __init__(self, folder: Path) -> None:
        raw = folder / "raw"
        files = sorted((raw if raw.is_dir() else folder).glob("*_*.gz"))
        self.files: dict[str, list[Path]] = {}
        for path in files:
            symbol, _, day = path.name.removesuffix(".gz").partition("_")
            if day.isdigit():
                self.files.setdefault(symbol.upper(), []).append(path)
        if not self.files:
            raise NoRecording(f"{folder} holds no <symbol>_<day>.gz, neither itself nor in raw/")

    def instruments(self) -> list[Instrument]:
        return [instrument(symbol) for symbol in sorted(self.files)]

    def span(self) -> tuple[int, int]:
        """Time of the first and of the last line that tell one."""
        firsts = [_time(_first_line(paths[0])) for paths in self.files.values()]
        lasts = [_time(_last_line(paths[-1])) for paths in self.files.values()]
        known = [at for at in (*firsts, *lasts) if at]
        return (min(known), max(known)) if known else (0, 0)

    def messages(self, on_bad_line: OnBadLine) -> Iterator[Message]:
        streams = (self._stream(symbol, on_bad_line) for symbol in sorted(self.files))
        return heapq.merge(*streams, key=attrgetter("at"))

    def _stream(self, symbol: str, on_bad_line: OnBadLine) -> Iterator[Message]:
        """One symbol's messages; its files are read as one stream, for days split trades."""
        before = 0
        for path in self.files[symbol]:
            number = 0
            with gzip.open(path, "rb") as lines:
                while True:
                    number += 1
                    try:
                        line = lines.readline()
                        if not line:
                            break
                        message = _read(line, symbol, before)
                    except (EOFError, OSError, zlib.error) as error:
                        on_bad_line(BadLine(path, number, f"the file is damaged: {error}"))
                        break
                    except (ValueError, OverflowError, msgspec.MsgspecError) as error:
                        on_bad_line(BadLine(path, number, str(error)))
                        continue
                    if message:
                        before = message.at
                        yield message


def _read(line: bytes, symbol: str, before: int) -> Message | None:
    """The message of a line, None for a kind that is not played. Raises ValueError."""
    when, _, body = line.partition(b" ")
    if not when.isdigit():
        raise ValueError(f"does not begin with a receive time in nanoseconds: {line[:40]!r}")
    at = int(when)
    if at > prices.LAST_NS:
        raise ValueError(f"{at} is no time that can be kept")
    if at < before:
        raise ValueError(f"goes back in time, from {before} to {at}")
    envelope = _envelope.decode(body)
    kind = envelope.stream.partition("@")[2]
    what: prices.Trade | prices.Quote
    amounts: tuple[Decimal, ...]
    if kind == "trade":
        trade = _trade.decode(envelope.data)
        named, amounts = trade.s, (trade.p, trade.q)
        if not 0 <= trade.t <= prices.LAST_NS:
            raise ValueError(f"{trade.t} is no number of a trade")
        what = prices.Trade(
            trade_id=trade.t,
            price=trade.p,
            quantity=trade.q,
            side="sell" if trade.m else "buy",
            traded_at=prices.EPOCH + trade.T * MILLISECOND,
        )
    elif kind == "bookTicker":
        quote = _quote.decode(envelope.data)
        named, amounts = quote.s, (quote.b, quote.B, quote.a, quote.A)
        what = prices.Quote(quote.b, quote.B, quote.a, quote.A, prices.instant(at))
    elif envelope.stream or envelope.lastUpdateId:
        return None
    else:
        raise ValueError("names no stream and is no snapshot of the book")
    if named != symbol:
        raise ValueError(f"speaks of {named} in a file of {symbol}")
    for amount in amounts:
        _check(amount)
    return Message(at, symbol, what)


def _check(amount: Decimal) -> None:
    """Raises ValueError for an amount that a row cannot hold to the last digit."""
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < SMALLEST or not 0 <= amount < LARGEST:
        raise ValueError(f"{amount} is not an amount of 7 digits and 8 decimals at most")


def _time(line: bytes) -> int:
    when = line.partition(b" ")[0]
    return int(when) if when.isdigit() else 0


def _first_line(path: Path) -> bytes:
    try:
        with gzip.open(path, "rb") as lines:
            return lines.readline()
    except (EOFError, OSError, zlib.error):
        return b""


def _last_line(path: Path) -> bytes:
    line = b""
    try:
        with gzip.open(path, "rb") as lines:
            line = _tail(lines)
    except (EOFError, OSError, zlib.error):
        pass
    return line


def _tail(lines: gzip.GzipFile) -> bytes:
    """The last line of a stream that cannot be read backwards."""
    kept = b""
    while block := lines.read(1 << 20):
        kept = (kept + block)[-(1 << 20) :]
    return kept.rstrip(b"\n").rpartition(b"\n")[2]
