"""Which alerts a price crosses: pure rules, in trade order, exactly once a crossing.

Crossing up: previous price < level ≤ this price. Crossing down: previous price > level ≥ this
price. A level needs both prices, so an alert never fires because the price already is beyond it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Alert:
    """A level to watch. `once`: it fires at its first crossing and then no more."""

    id: int
    direction: Direction
    price: Decimal
    once: bool = True


@dataclass(frozen=True, slots=True)
class Crossing:
    """Alert `alert` was crossed by the price at `index` of the prices given."""

    alert: Alert
    index: int
    price: Decimal


class Levels:
    """Alerts sorted by price, so that a move touches only those between its two ends."""

    def __init__(self, alerts: Iterable[Alert]) -> None:
        self._sides: dict[Direction, tuple[list[Decimal], list[Alert]]] = {}
        ordered = sorted(alerts, key=lambda alert: (alert.price, alert.id))
        for direction in ("up", "down"):
            mine = [alert for alert in ordered if alert.direction == direction]
            self._sides[direction] = ([alert.price for alert in mine], mine)

    def between(self, previous: Decimal, price: Decimal) -> list[Alert]:
        """Alerts that the step from `previous` to `price` crosses, nearest first."""
        if price > previous:
            levels, alerts = self._sides["up"]
            return alerts[bisect_right(levels, previous) : bisect_right(levels, price)]
        if price < previous:
            levels, alerts = self._sides["down"]
            return alerts[bisect_left(levels, price) : bisect_left(levels, previous)][::-1]
        return []

    def drop(self, alert: Alert) -> None:
        """An alert that has had its one firing."""
        levels, alerts = self._sides[alert.direction]
        place = alerts.index(alert, bisect_left(levels, alert.price))
        del levels[place], alerts[place]


def crossed(
    alerts: Iterable[Alert], previous: Decimal | None, prices: Iterable[Decimal]
) -> list[Crossing]:
    """Crossings of `prices`, which follow upon `previous`, in their order.

    `previous` is None where nothing has traded yet: the first price then crosses nothing.
    """
    levels = Levels(alerts)
    found: list[Crossing] = []
    for index, price in enumerate(prices):
        if previous is not None:
            for alert in levels.between(previous, price):
                found.append(Crossing(alert, index, price))
                if alert.once:
                    levels.drop(alert)
        previous = price
    return found


def proved(
    alerts: Iterable[Alert],
    previous: Decimal | None,
    figures: tuple[Decimal, Decimal, Decimal, Decimal],
) -> list[Crossing]:
    """Crossings that the open, high, low and close of one second prove, each alert at most once.

    Nobody kept whether the high or the low came first. Each direction is judged along the order
    that crosses less of it, so what fires has happened in either order; a crossing that only the
    other order would hold fires nothing.
    """
    first, high, low, close = figures
    once = [replace(alert, once=True) for alert in alerts]
    up = (alert for alert in once if alert.direction == "up")
    down = (alert for alert in once if alert.direction == "down")
    return [
        *crossed(up, previous, (first, high, low, close)),
        *crossed(down, previous, (first, low, high, close)),
    ]
