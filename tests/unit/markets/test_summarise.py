"""The small table is what the script makes of the recording."""

import gzip

from realtime.markets.feeds.recorded import Recording
from realtime.markets.feeds.summarise import table
from tests.unit.markets.lines import quote, recording, trade

S = 1_000_000_000


def test_a_second_is_summed_up_by_symbol(tmp_path):
    recording(
        tmp_path,
        BTCUSDT=[
            trade(5 * S, 1, "100.00", "0.5"),
            trade(5 * S + 1, 2, "99.50", "0.25"),
            quote(5 * S + 2, "99.49", "99.51"),
            quote(7 * S, "98", "99"),
        ],
        ETHUSDT=[trade(5 * S + 3, 1, "10.00")],
    )
    text = gzip.decompress(table(Recording(tmp_path))).decode()
    assert text.splitlines()[1:] == [
        "5,BTCUSDT,100,100,99.5,99.5,0.75,2,99.49,99.51",
        "5,ETHUSDT,10,10,10,10,0.5,1,,",
        "7,BTCUSDT,,,,,,0,98,99",
    ]
