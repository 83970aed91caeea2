from datetime import UTC, datetime
from decimal import Decimal

from realtime.markets.prices import EPOCH, Bar, Trade, bar, instant, second_of


def trade(price, quantity="1"):
    return Trade(1, Decimal(price), Decimal(quantity), "buy", EPOCH)


def test_a_receive_time_keeps_its_microseconds():
    assert instant(1723161253937085768) == datetime(2024, 8, 8, 23, 54, 13, 937085, UTC)
    assert second_of(instant(1723161253937085768)) == datetime(2024, 8, 8, 23, 54, 13, tzinfo=UTC)


def test_a_bar_sums_up_its_trades():
    held = [trade("2", "0.1"), trade("5", "0.2"), trade("1"), trade("3")]
    figures = [Decimal(figure) for figure in ("2", "5", "1", "3", "2.3")]
    assert bar(EPOCH, held) == Bar(EPOCH, *figures, 4)
