"""Reading a tick recording; the recordings here are a few lines long."""

import gzip
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from realtime.markets.feeds.recorded import Recording
from realtime.markets.feeds.source import BadLine, NoRecording
from realtime.markets.prices import Quote, Trade
from tests.unit.markets.lines import book, quote, recording, trade


def read(folder, on_bad_line=None):
    bad = []
    return list(Recording(folder).messages(on_bad_line or bad.append)), bad


def reasons(folder):
    return [str(bad) for bad in read(folder)[1]]


def test_both_symbols_come_by_the_recorders_clock(tmp_path):
    recording(tmp_path, BTCUSDT=[quote(1), trade(4, 7)], ETHUSDT=[trade(2, 9), quote(3)])
    messages, bad = read(tmp_path)
    assert [(message.at, message.symbol) for message in messages] == [
        (1, "BTCUSDT"),
        (2, "ETHUSDT"),
        (3, "ETHUSDT"),
        (4, "BTCUSDT"),
    ]
    assert bad == []


def test_exchange_letters_become_words(tmp_path):
    recording(tmp_path, BTCUSDT=[trade(1500, 7, price="61837.63000000", maker=True), quote(2000)])
    (first, second), _ = read(tmp_path)
    at = datetime(1970, 1, 1, 0, 0, 0, 5000, UTC)
    assert first.what == Trade(7, Decimal("61837.63000000"), Decimal("0.5"), "sell", at)
    assert isinstance(second.what, Quote)
    assert second.what.recorded_at == datetime(1970, 1, 1, 0, 0, 0, 2, UTC)


def test_the_days_of_a_symbol_are_one_stream_and_the_book_is_passed_over(tmp_path):
    recording(tmp_path, BTCUSDT=[book(1), trade(2, 7)])
    recording(tmp_path, day="20240809", BTCUSDT=[trade(3, 8)])
    messages, bad = read(tmp_path)
    assert [message.what.trade_id for message in messages] == [7, 8]
    assert bad == []
    assert Recording(tmp_path).span() == (1, 3)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense", "receive time"),
        ('5 {"stream":"btcusdt@trade","data":{', "truncated"),
        ("5 {}", "names no stream"),
        (trade(5, 7, price="NaN"), "NaN is not an amount"),
        (trade(5, 7, price="1.123456789"), "8 decimals"),
        (trade(5, 7, price="10000000"), "7 digits"),
        (trade(5, 7).replace('"t":7,', ""), "`t`"),
        (trade(5, 7).replace("BTCUSDT", "ETHUSDT"), "speaks of ETHUSDT"),
        (trade(1, 7), "goes back in time"),
        (trade(10**30, 7), "no time that can be kept"),
        (trade(5, 2**63), "no number of a trade"),
        (trade(5, 7).replace('"T":5', '"T":' + "9" * 18), "too large"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number_and_the_next_is_read(tmp_path, line, reason):
    recording(tmp_path, BTCUSDT=[quote(2), line, trade(6, 8)])
    messages, _ = read(tmp_path)
    assert [message.at for message in messages] == [2, 6]
    (said,) = reasons(tmp_path)
    assert "btcusdt_20240808.gz, line 2: " in said
    assert reason in said


def test_a_file_that_breaks_off_is_reported(tmp_path):
    recording(tmp_path, BTCUSDT=[quote(n) for n in range(1, 400)])
    path = tmp_path / "raw" / "btcusdt_20240808.gz"
    path.write_bytes(path.read_bytes()[:-20])
    assert "the file is damaged" in reasons(tmp_path)[0]


def test_reading_stops_where_a_bad_line_is_not_accepted(tmp_path):
    recording(tmp_path, BTCUSDT=[quote(2), "nonsense"])

    def stop(bad):
        raise bad

    with pytest.raises(BadLine, match="line 2"):
        read(tmp_path, stop)


def test_a_folder_without_a_recording_is_said_to_be_one(tmp_path):
    with gzip.open(tmp_path / "notes_x.gz", "w"):
        pass
    with pytest.raises(NoRecording, match="holds no"):
        Recording(tmp_path)
