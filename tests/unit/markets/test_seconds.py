"""The small table that comes with the project."""

import gzip
from decimal import Decimal

import pytest

from realtime.markets.feeds.seconds import TABLE, Seconds
from realtime.markets.feeds.source import BadLine, NoRecording


def stop(bad):
    raise bad


def test_the_table_is_small_and_its_licence_lies_beside_it():
    assert TABLE.stat().st_size < 100_000
    licence = (TABLE.parent / "LICENSE.hftbacktest.txt").read_text()
    assert "Permission is hereby granted" in licence
    assert "nkaz001/hftbacktest" in (TABLE.parent / "README.md").read_text()


def test_the_table_holds_both_markets_in_order():
    messages = list(Seconds().messages(stop))
    assert {known.symbol for known in Seconds().instruments()} == {"BTCUSDT", "ETHUSDT"}
    assert messages == sorted(messages, key=lambda message: (message.at, message.symbol))
    assert Seconds().span() == (messages[0].at, messages[-1].at)
    bars = [message.what.bar for message in messages if message.what.bar]
    assert all(bar.low <= min(bar.open, bar.close) for bar in bars)
    assert all(bar.high >= max(bar.open, bar.close) for bar in bars)
    assert sum(bar.trades for bar in bars) == 34419


def test_no_bid_is_above_its_ask():
    quotes = [message.what.quote for message in Seconds().messages(stop)]
    assert all(quote.bid < quote.ask for quote in quotes if quote)


def test_a_second_without_a_trade_has_a_quote_alone_and_a_bad_line_is_named(tmp_path):
    path = tmp_path / "table.csv.gz"
    head = "second,symbol,open,high,low,close,volume,trades,bid,ask\n"
    with gzip.open(path, "wt") as file:
        file.write(head + "5,BTCUSDT,,,,,,0,1.5,1.6\n6,BTCUSDT,x,,,,,,,\n")
    bad = []
    (message,) = Seconds(path).messages(bad.append)
    assert message.at == 6_000_000_000
    assert message.what.bar is None
    assert message.what.quote.bid == Decimal("1.5")
    assert "line 3" in str(bad[0])
    with pytest.raises(BadLine):
        list(Seconds(path).messages(stop))


def test_a_table_that_is_not_there_is_no_recording(tmp_path):
    with pytest.raises(NoRecording):
        Seconds(tmp_path / "none.csv.gz")
