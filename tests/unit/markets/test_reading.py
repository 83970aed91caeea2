"""What a ticker reads like on the page; static/markets/format.js says the same."""

from decimal import Decimal

import pytest

from realtime.markets.models import Ticker
from realtime.markets.reading import Watched


@pytest.mark.parametrize(
    ("last", "opened", "text", "way"),
    [
        ("61686.00", "61837.63", "▼ −0.25 %", "down"),
        ("101", "100", "▲ +1.00 %", "up"),
        ("100.005", "100", "▲ +0.01 %", "up"),
        ("100.004999", "100", "0.00 %", ""),
        ("61837.00", "61837.63", "0.00 %", ""),
        ("2100", "100", "▲ +2,000.00 %", "up"),
        (None, "100", "–", ""),
    ],
)
def test_change_has_sign_and_arrow_only_where_its_digits_show_one(last, opened, text, way):
    ticker = Ticker(last=last and Decimal(last), open=Decimal(opened))
    watched = Watched(market=None, ticker=ticker, spark="")
    assert (watched.change, watched.way) == (text, way)
