"""What is ordered of a user's connections, wherever they are: by an app, or by the server API.

An order is an entry of `!control`: it commits with the caller's transaction, has a place in the
order of all changes, and reaches every process once, with Redis or without. What is committed
after an unsubscribe or a disconnect is not delivered to whom it was for.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from django.db import transaction
from msgspec import Raw, Struct

from realtime.engine import history, outbox, pool
from realtime.protocol import codes
from realtime.protocol.messages import Dismissal

if TYPE_CHECKING:
    from realtime.engine.hub import Hub
    from realtime.engine.members import Reader
    from realtime.protocol.messages import Ending, Publication


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """Of a user's connections: all, or the one of this client, or of a session by its digest."""

    user: str
    client: str = ""
    session: str = ""

    def concerns(self, reader: Reader) -> bool:
        return self.client in {"", reader.client} and self.session in {"", reader.session}


class Disconnect(Order, frozen=True, tag="disconnect"):
    """`spared`: clients that stay. Code 0: the protocol's own words."""

    spared: tuple[str, ...] = ()
    code: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a code or a reason that clients cannot be told."""
        if self.code or self.reason:
            Dismissal(self.code, self.reason)

    @property
    def ending(self) -> Ending:
        return Dismissal(self.code, self.reason) if self.code else codes.Disconnect.FORCE


class Subscribe(Order, frozen=True, tag="subscribe"):
    """`info` is shown to others, `data` to the client (JSON text); `since`: epoch and offset."""

    topic: str
    info: str | None = None
    data: str | None = None
    since: tuple[str, int] | None = None


class Unsubscribe(Order, frozen=True, tag="unsubscribe"):
    topic: str


class Expire(Order, frozen=True, tag="expire"):
    """When the connection ends unless its token is renewed: unix seconds; None: it does not."""

    at: int | None = None


class Say(Order, frozen=True, tag="say"):
    """A message of no topic: JSON text."""

    data: str


class Forget(Struct, frozen=True, tag="forget", tag_field="kind"):
    """What a topic has published so far is gone from the log."""

    topic: str


Any = Disconnect | Subscribe | Unsubscribe | Expire | Say | Forget


class _Row(Struct):
    op: str
    body: Raw


_row = msgspec.json.Decoder(_Row)
_order: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)


def give(order: Any) -> None:
    """In the caller's transaction."""
    outbox.order(msgspec.json.encode(order).decode())


def forget(topic: str) -> None:
    """Take what was published so far out of the log; who has not seen it is told so."""
    with outbox.clearing(topic):
        give(Forget(topic))


def purge(namespace: str, key: str) -> dict[str, int]:
    """Take what was published of a deleted row out of the log, and out of every process.

    Gives the number of its publications that say no more than that it went, by topic.
    """
    with transaction.atomic():
        purged = Counter(topic for (topic,) in history.query("purge", namespace=namespace, key=key))
        for topic in purged:
            give(Forget(topic))
    return dict(purged)


def read(publication: Publication) -> Any | None:
    """The order in a publication of `!control`; None: it is none, or cannot be read."""
    try:
        row = _row.decode(publication.data)
        return _order.decode(row.body) if row.op == "c" else None
    except msgspec.MsgspecError:
        return None


def obey(order: Any, hub: Hub) -> None:
    """Carry it out, for the connections of this process."""
    if isinstance(order, Forget):
        if (feed := hub.feeds.get(order.topic)) is not None:
            feed.forget()
        return
    for reader in hub.rights.register.readers(user=order.user):
        if order.concerns(reader):
            _obey(order, reader)


def _obey(order: Any, reader: Reader) -> None:
    match order:
        case Disconnect(spared=spared) if reader.client not in spared:
            reader.disconnect(order.ending)
        case Subscribe():
            reader.subscribe(order)
        case Unsubscribe(topic=topic):
            reader.unsubscribe(topic)
        case Expire(at=at):
            reader.expire(at)
        case Say(data=data) if reader.person.grant.clear:
            reader.say(data)
        case Say(data=data):
            reader.person.held.append(data)  # it may be somebody's no more


agive = pool.awaitable(give, "API_THREADS")
aforget = pool.awaitable(forget, "API_THREADS")
