"""Price alerts: which crossings a path of prices holds, by the definition and by brute force."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from realtime.markets.alerts import Alert, Crossing, crossed, proved

PRICES = st.integers(90, 110).map(Decimal)
ALERTS = st.lists(
    st.tuples(st.sampled_from(["up", "down"]), PRICES, st.booleans()), max_size=12
).map(lambda rows: [Alert(number, *row) for number, row in enumerate(rows)])


def up(level, *, once=True):
    return Alert(1, "up", Decimal(level), once)


def down(level, *, once=True):
    return Alert(2, "down", Decimal(level), once)


def fired(alerts, previous, *path):
    before = None if previous is None else Decimal(previous)
    found = crossed(alerts, before, [Decimal(price) for price in path])
    return [(crossing.alert.id, crossing.index) for crossing in found]


def test_a_price_that_reaches_the_level_from_below_crosses_it_up():
    assert fired([up(100)], 99, 100) == [(1, 0)]
    assert fired([up(100)], 99, 101) == [(1, 0)]
    assert fired([up(100)], 98, 99) == []


def test_a_price_that_reaches_the_level_from_above_crosses_it_down():
    assert fired([down(100)], 101, 100) == [(2, 0)]
    assert fired([down(100)], 101, 99) == [(2, 0)]
    assert fired([down(100)], 102, 101) == []


def test_a_price_already_beyond_the_level_fires_nothing():
    assert fired([up(100)], 100, 101, 102) == []
    assert fired([up(100)], None, 101) == []
    assert fired([down(100)], None, 99, 98) == []


def test_an_alert_for_every_crossing_fires_at_each_and_one_for_once_at_the_first():
    path = (101, 99, 100, 98, 102)
    assert fired([up(100, once=False)], 99, *path) == [(1, 0), (1, 2), (1, 4)]
    assert fired([up(100)], 99, *path) == [(1, 0)]


def test_one_trade_crosses_many_levels_the_nearest_first():
    alerts = [Alert(1, "up", Decimal(102)), Alert(2, "up", Decimal(101)), down(100)]
    assert fired(alerts, 100, 103) == [(2, 0), (1, 0)]
    below = [Alert(1, "down", Decimal(97)), Alert(2, "down", Decimal(99))]
    assert fired(below, 100, 95) == [(2, 0), (1, 0)]


def by_definition(alerts, previous, path):
    done, found = set(), []
    for index, price in enumerate(path):
        for alert in alerts:
            if previous is None or alert.id in done:
                continue
            rises = previous < alert.price <= price and alert.direction == "up"
            falls = previous > alert.price >= price and alert.direction == "down"
            if rises or falls:
                found.append(Crossing(alert, index, price))
                done |= {alert.id} if alert.once else set()
        previous = price
    return found


def in_order(crossings):
    return sorted(crossings, key=lambda crossing: (crossing.index, crossing.alert.id))


@given(ALERTS, st.none() | PRICES, st.lists(PRICES, max_size=20))
def test_any_path_crosses_what_the_definition_says(alerts, previous, path):
    found = crossed(alerts, previous, path)
    assert [crossing.index for crossing in found] == sorted(crossing.index for crossing in found)
    assert in_order(found) == in_order(by_definition(alerts, previous, path))


@given(ALERTS, st.none() | PRICES, st.lists(PRICES, min_size=1, max_size=8))
def test_what_a_second_proves_has_happened_whatever_path_it_took(alerts, previous, path):
    figures = (path[0], max(path), min(path), path[-1])
    truth = {crossing.alert.id for crossing in by_definition(alerts, previous, path)}
    found = [crossing.alert.id for crossing in proved(alerts, previous, figures)]
    assert len(found) == len(set(found))
    assert set(found) <= truth


def test_a_second_that_rises_through_the_level_fires_at_its_high():
    figures = (Decimal(99), Decimal(104), Decimal(98), Decimal(99))
    assert [(c.alert.id, c.price) for c in proved([up(100)], Decimal(99), figures)] == [(1, 104)]
    assert [c.price for c in proved([down(99)], Decimal(100), figures)] == [99]


def test_a_crossing_that_hangs_on_whether_high_or_low_came_first_fires_nothing():
    opened_above_closed_below = (Decimal(101), Decimal(102), Decimal(98), Decimal(99))
    assert proved([up(100)], Decimal(101), opened_above_closed_below) == []
