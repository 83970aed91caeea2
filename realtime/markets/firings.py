"""From a crossing to its rows: the firing, the alert's new state, the owner's notification.

Called inside the transaction that records the trade: all of it is committed together, or nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from realtime.markets import alerts as rules
from realtime.markets.models import AlertFiring, Candle, Market, PriceAlert, Trade
from realtime.notifications.actions import notify

State = PriceAlert.State


def armed(market: Market, path: Sequence[Decimal | None]) -> dict[rules.Alert, PriceAlert]:
    """Armed alerts, locked, whose level lies where this path may have crossed it."""
    known = [price for price in path if price is not None]
    rows = PriceAlert.objects.select_for_update().filter(
        market=market, state=State.ARMED, price__gte=min(known), price__lte=max(known)
    )
    return {
        rules.Alert(row.pk, cast("rules.Direction", row.direction), row.price, row.once): row
        for row in rows
    }


def fire(
    market: Market,
    crossings: Sequence[rules.Crossing],
    wanted: dict[rules.Alert, PriceAlert],
    causes: Sequence[Trade] | Sequence[Candle],
) -> int:
    """Write the firings, tell the owners, and leave the alerts as their crossings left them."""
    told: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    times: Counter[tuple[Any, ...]] = Counter()
    rows = {alert.id: row for alert, row in wanted.items()}
    firings = []
    for crossing in crossings:
        row, cause = rows[crossing.alert.id], causes[crossing.index]
        row.fired_at = cause.traded_at if isinstance(cause, Trade) else cause.start
        row.fired_price = crossing.price
        row.firings += 1
        row.state = State.FIRED if row.once else State.ARMED
        field = "trade" if isinstance(cause, Trade) else "candle"
        firing = AlertFiring(alert=row, price=row.fired_price, fired_at=row.fired_at)
        setattr(firing, field, cause)
        firings.append(firing)
        words = _words(market, row, cause)
        times[words, row.owner_id] += 1  # two like alerts of one person are two notifications
        told[*words, times[words, row.owner_id]].append(row.owner_id)
    AlertFiring.objects.bulk_create(firings)
    changed = {crossing.alert.id: rows[crossing.alert.id] for crossing in crossings}
    fields = ["fired_at", "fired_price", "firings", "state"]
    PriceAlert.objects.bulk_update(changed.values(), fields, batch_size=200)
    for (title, body, url, _), owners in told.items():
        notify(owners, kind="alert", title=title, body=body, url=url)
    return len(firings)


def _words(market: Market, row: PriceAlert, cause: Trade | Candle) -> tuple[str, str, str]:
    verb = "rose above" if row.direction == PriceAlert.Direction.UP else "fell below"
    price, note = market.price_text(row.fired_price or row.price), f" · {row.note}" * bool(row.note)
    if isinstance(cause, Trade):
        what = f"Traded at {price} at {row.fired_at:%H:%M:%S} UTC"
        place = f"?trade={cause.trade_id}"
    else:
        what = f"Reached {price} within the second of {row.fired_at:%H:%M:%S} UTC"
        place = ""
    title = f"{market.symbol} {verb} {market.price_text(row.price)}"
    return title, what + note, f"{market.get_absolute_url()}{place}"
