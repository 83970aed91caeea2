"""Lines of a recording as an exchange's stream has them, for tests."""

import gzip
import json


def line(at, kind, data, symbol="BTCUSDT"):
    stream = {"stream": f"{symbol.lower()}@{kind}", "data": {"s": symbol, **data}}
    return f"{at} {json.dumps(stream, separators=(',', ':'))}"


def trade(at, number, price="100.00", quantity="0.5", *, maker=False, traded_ms=5):
    """A trade; its symbol is put right by `recording`."""
    data = {"t": number, "p": price, "q": quantity, "T": traded_ms, "m": maker, "M": True}
    return line(at, "trade", data)


def quote(at, bid="99.99", ask="100.01"):
    return line(at, "bookTicker", {"u": at, "b": bid, "B": "1", "a": ask, "A": "2"})


def book(at):
    return f'{at} {{"lastUpdateId":5,"bids":[],"asks":[]}}'


def recording(folder, day="20240808", **symbols):
    """Write lines under `folder`/raw; those of another symbol are renamed to it."""
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    for symbol, lines in symbols.items():
        text = "".join(f"{line}\n" for line in lines)
        if symbol != "BTCUSDT":
            text = text.replace("BTCUSDT", symbol).replace("btcusdt", symbol.lower())
        with gzip.open(raw / f"{symbol.lower()}_{day}.gz", "wt", encoding="ascii") as file:
            file.write(text)
    return folder
