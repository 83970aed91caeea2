"""What a request of the server API about a user's connections means: the order for all hubs."""

from __future__ import annotations

from typing import Any

from realtime.engine import entering, orders, requests, revocation, topics
from realtime.engine.exceptions import NotAvailable
from realtime.protocol.codes import Disconnect


def order(request: requests.OfConnections) -> Any:
    """What the hubs are to do. Raises ValueError, and what is wrong with a topic or with JSON."""
    whose: dict[str, Any] = {
        "user": request.user,
        "client": request.client or "",
        "session": revocation.digest(request.session or ""),
    }
    match request:
        case requests.Disconnect(whitelist=spared, disconnect=reason):
            code, why = (reason.code, reason.reason) if reason else (0, "")
            return orders.Disconnect(**whose, spared=tuple(spared or ()), code=code, reason=why)
        case requests.Subscribe(channel=topic):
            return orders.Subscribe(**whose, topic=topics.match(topic).topic, **_gift(request))
        case requests.Unsubscribe(channel=topic):
            return orders.Unsubscribe(**whose, topic=topics.match(topic).topic)
        case requests.Refresh(expired=expired, expire_at=at):
            over = expired or entering.is_over(at or None)
            ending = Disconnect.EXPIRED
            if over:
                return orders.Disconnect(**whose, code=ending.number, reason=ending.text)
            return orders.Expire(**whose, at=at or None)
    raise AssertionError(request)


def _gift(request: requests.Subscribe) -> dict[str, Any]:
    if request.override:
        raise NotAvailable("`override`: a topic's declaration says what it does")
    since = request.recover_since
    return {
        "info": requests.json_of(request.info, request.b64info, "info"),
        "data": requests.json_of(request.data, request.b64data, "data"),
        "since": (since.epoch, since.offset) if since else None,
    }
