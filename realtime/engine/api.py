"""What apps call besides `@live`: publish without a row, begin a page with rows, sign a token.

`publish`, and what is ordered of a user's connections, commits or vanishes with the caller's
transaction.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, TypedDict

from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from realtime.engine import (
    blocklist,
    history,
    openings,
    orders,
    outbox,
    tokens,
    topics,
    triggers,
    wire,
)
from realtime.engine.conf import settings
from realtime.engine.exceptions import PublishError, UnknownTopic
from realtime.protocol import recovery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime.engine.openings import Opening
    from realtime.protocol.messages import Position
    from realtime.protocol.recovery import Start

LOOK_S = 0.01
token = tokens.issue
revoke_tokens = blocklist.revoke


class Beginning(TypedDict):
    """What a page starts from; the stream goes on after `epoch` and `offset`."""

    rows: list[dict[str, Any]]
    counts: dict[str, int]
    publications: list[Any]
    epoch: str
    offset: int


def publish(topic: str, data: Any, *, tags: Mapping[str, str] | None = None) -> None:
    """Publish JSON-able data that is no row's: `publish("chat:lobby", {"text": "Hello"})`.

    It belongs to the caller's transaction: committed with it, in its place in the order, or gone
    with it. Readers may filter by `tags`. Raises BadTopic, UnknownTopic and PublishError.
    """
    if tags and not all(isinstance(one, str) for pair in tags.items() for one in pair):
        raise PublishError(f'the tags for "{topic}" must be texts by name')
    declaration = topics.match(topic).declaration
    if topics.is_latest(declaration):
        raise PublishError(f'"{topic}" keeps the latest row of each key: write the row instead')
    text = _json(data, f'the data for "{topic}"')
    try:
        outbox.put(topic, text, wire.about(None, tags))
    except OperationalError as error:
        if connections[DEFAULT_DB_ALIAS].vendor == "sqlite" and "locked" in str(error):
            raise PublishError(
                "SQLite is locked by another writer: after a read in a DEFERRED transaction "
                'nobody can wait for it. Set transaction_mode to "IMMEDIATE".'
            ) from error
        raise


def _json(data: Any, what: str) -> str:
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError) as error:
        raise PublishError(f"{what} is no JSON: {error}") from error
    if size > settings.PUBLISH_BYTES:
        raise PublishError(
            f"{what} has {size} bytes of JSON; at most {settings.PUBLISH_BYTES} "
            "can be published: send a reference to it"
        )
    return text


def message(user: Any, data: Any) -> None:
    """Tell every connection of a user something that is of no topic, and that nothing keeps.

    `user`, here and below: a user or the id of one. For a message now and then: each is read by
    every process. Raises PublishError.
    """
    orders.give(orders.Say(user=_id(user), data=_json(data, "the message")))


def subscribe(user: Any, topic: str, *, client: str = "", data: Any = None) -> None:
    """Subscribe a user's connections to a topic, whatever its `allows` says, until they end.

    `client`: that connection alone. `data`: what it is told with that.
    """
    said = None if data is None else _json(data, "the data")
    name = topics.match(topic).topic
    orders.give(orders.Subscribe(user=_id(user), client=client, topic=name, data=said))


def unsubscribe(user: Any, topic: str, *, client: str = "") -> None:
    """End a user's subscriptions of a topic; they may subscribe again."""
    name = topics.match(topic).topic
    orders.give(orders.Unsubscribe(user=_id(user), client=client, topic=name))


def disconnect(user: Any, *, client: str = "", code: int = 0, reason: str = "") -> None:
    """End a user's connections; without a `code` they stay away.

    `code`: 3000 to 4999 (docs/reference/codes.md), with a `reason` of at most 32 ASCII characters;
    else ValueError.
    """
    orders.give(orders.Disconnect(user=_id(user), client=client, code=code, reason=reason))


def _id(user: Any) -> str:
    return str(getattr(user, "pk", user))


def reset(namespace: str) -> None:
    """Begin a namespace anew, in the caller's transaction: its log goes, its clients reload."""
    if namespace not in topics.registry():
        raise UnknownTopic(f'no namespace "{namespace}" is declared')
    triggers.begin_anew(namespace)


def position(topic: str) -> Position:
    """Where the topic stands."""
    return history.heads([topics.match(topic).topic])[topic]


def snapshot(user: Any, topic: str) -> Beginning:
    """The rows of a topic for a page, with the position that they are of.

    Rows first, then `publications`, through the same `apply`. The page subscribes from the position
    and repeats nothing. Inside a transaction, where no one instant can be had, and while the relay
    does not bring what the rows contain, the position is one that never recovers: the page then
    starts anew as it subscribes. Raises PermissionDenied, UnknownTopic, BadTopic.
    """
    person = str(user.pk) if user.is_authenticated else ""
    inside = connections[DEFAULT_DB_ALIAS].in_atomic_block
    opening = openings.open_topic(person, topics.match(topic), None, 0)
    if not opening.allowed:
        raise PermissionDenied(f'"{topic}" is not for this user')
    start = recovery.give_up(None, opening.position, ()) if inside else _start(topic, opening)
    rows = opening.snapshot
    return {
        "rows": json.loads(rows.rows) if rows else [],
        "counts": rows.counts if rows else {},
        "publications": [json.loads(publication.data) for publication in start.publications],
        "epoch": start.position.epoch,
        "offset": start.position.offset,
    }


def _start(topic: str, opening: Opening) -> Start:
    """Wait until the log has what the rows contain already, at most PENDING_WAIT_S."""
    end = time.monotonic() + settings.PENDING_WAIT_S
    top, pending = opening.position, opening.pending
    if start := recovery.merge(None, top, pending):
        return start
    while len(pending) <= settings.PENDING_MAX and time.monotonic() < end:
        time.sleep(LOOK_S)
        count, offset = history.arrived(topic, top.offset, pending)
        if count < len(pending):
            continue
        page = history.since(topic, top, offset - top.offset)
        if page.whole and (start := recovery.merge(None, top, pending, page.publications)):
            return start
        break
    return recovery.give_up(None, top, pending)
