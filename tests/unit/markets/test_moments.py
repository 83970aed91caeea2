from datetime import UTC, datetime

import pytest

from realtime.markets.feeds.moments import moment
from realtime.markets.prices import instant

FIRST = 1723161253937085768  # 2024-08-08 23:54:13.937085768


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("23:54", datetime(2024, 8, 8, 23, 54, tzinfo=UTC)),
        ("23:59:30", datetime(2024, 8, 8, 23, 59, 30, tzinfo=UTC)),
        ("00:01:24", datetime(2024, 8, 9, 0, 1, 24, tzinfo=UTC)),
        ("00:01:24.5", datetime(2024, 8, 9, 0, 1, 24, 500000, tzinfo=UTC)),
        ("2024-08-09T00:01:24", datetime(2024, 8, 9, 0, 1, 24, tzinfo=UTC)),
        ("2024-08-09T02:01:24+02:00", datetime(2024, 8, 9, 0, 1, 24, tzinfo=UTC)),
    ],
)
def test_a_time_of_day_may_lie_behind_midnight(text, meant):
    assert instant(moment(text, FIRST)) == meant


def test_plus_counts_from_the_first_message():
    assert moment("+92", FIRST) == FIRST + 92_000_000_000


@pytest.mark.parametrize("text", ["", "noon", "25:00", "+x", "+inf", "2024-08-09Tx"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises((ValueError, OverflowError)):
        moment(text, FIRST)
