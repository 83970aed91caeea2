"""What a reader begins with: a right, a position, and rows or publications, all of one instant.

Guarantee: the rows of an `Opening` are of the same instant as its position: they contain the
publications up to it and those whose entries are `pending`, no more and no less (correctness.md,
section 1).
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from realtime.engine import blocklist, history, people, pool, topics, wire
from realtime.engine.exceptions import EpochChanged, TocsinError
from realtime.protocol.messages import Position, Publication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

    from realtime.engine.members import Credential
    from realtime.engine.topics import Match, Topic

# above any offset
BEYOND = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows as the text of a JSON array of `{"key", "body"}`, and the declared counts."""

    rows: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a subscriber begins with, all of one instant.

    `covers`: the head of the revocations that `allowed` has seen. `mark`: the revocations up to
    here must be handled before this goes out. Recovered: `publications` and no snapshot.
    `pending`: ids of entries whose changes the rows contain already, at most 1,001.
    """

    allowed: bool
    covers: int
    position: Position
    mark: int
    recovered: bool = False
    publications: tuple[Publication, ...] = ()
    snapshot: Snapshot | None = None
    pending: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a topic's history; `control`: the revocations to be handled before it goes out."""

    allowed: bool
    position: Position
    control: int
    publications: tuple[Publication, ...] = ()


class ForeignQuery(TocsinError):  # noqa: N818  (says what was done)
    """A snapshot asked another database: its answer is not of the snapshot's instant."""


def open_topic(
    user_id: str,
    match: Match,
    position: Position | None,
    limit: int,
    *,
    vouched: bool = False,
    voucher: Credential | None = None,
) -> Opening:
    """May this user subscribe, and what do they start from: one database snapshot for all of it.

    `position`: where the subscriber wants to continue; where the log cannot take them on, and
    without it, they get the rows as they are now. `vouched`: the rule is not asked. `voucher`: the
    token that said yes in its place, unless it was revoked.
    """
    with one_instant(connections[DEFAULT_DB_ALIAS]):
        # the right first: who has none costs no reading; both are of one instant all the same
        user = people.load_user(user_id)
        revoked = voucher is not None and blocklist.refused([voucher])
        refused = user is None or revoked or not (vouched or topics.authorise_now(user, match))
        rows = limit if position and not refused else 0
        page = history.since(match.topic, position or Position("", 0), rows)
        if refused:
            return Opening(allowed=False, covers=page.control, position=page.position, mark=0)
        recovered = position is not None and page.whole and page.complete
        if position and topics.keeps_newest(match.declaration):
            top = page.position
            page = history.since(match.topic, Position("", max(top.offset - 1, 0)), 1)
            recovered = bool(page.publications) or position == top
        if recovered:
            return Opening(
                allowed=True,
                covers=page.control,
                position=page.position,
                mark=page.control,
                recovered=True,
                publications=page.publications,
            )
        has_rows = topics.has_rows(match.declaration)
        return Opening(
            allowed=True,
            covers=page.control,
            position=page.position,
            mark=page.control,
            snapshot=snapshot(user, match) if has_rows else None,
            pending=_pending(match) if has_rows else frozenset(),
        )


def excerpt(
    user_id: str, match: Match, since: Position | None, limit: int, *, reverse: bool, vouched: bool
) -> Excerpt:
    """At most `limit` publications after `since` (in reverse: before it), from the oldest kept.

    Without `since`, from the beginning (in reverse: from the top). Raises EpochChanged.
    """
    with one_instant(connections[DEFAULT_DB_ALIAS]):
        user = people.load_user(user_id)
        allowed = user is not None and (vouched or topics.authorise_now(user, match))
        found = history.query(
            "history",
            {"direction": "DESC" if reverse else "ASC"},
            topic=match.topic,
            namespace=topics.namespace_of(match.topic),
            after=since.offset if since and not reverse else 0,
            before=since.offset if since and reverse else BEYOND,
            rows=limit if allowed else 0,
        )
    epoch, top, control = found[0][:3]
    if allowed and since and since.epoch not in {"", epoch}:
        raise EpochChanged
    publications = tuple(wire.publication(*row[3:]) for row in found if row[3] is not None)
    return Excerpt(allowed, Position(epoch, top), control, publications)


def snapshot(user: Any, match: Match) -> Snapshot:
    """The rows of a topic and its counts, as the transaction around sees them."""
    declaration = match.declaration
    if topics.is_latest(declaration):
        return Snapshot(_newest(match.topic), {})
    with _only(DEFAULT_DB_ALIAS):
        found = declaration.snapshot(user, **match.params)
        rows = topics.rows(declaration, found)
        return Snapshot(_json(rows), _counts(declaration, match.params))


@contextlib.contextmanager
def one_instant(connection: Any) -> Iterator[None]:
    """All reads within see the database at one instant, and take no lock.

    Inside a transaction of the caller nothing can be promised; `api.snapshot` then says so.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        # IMMEDIATE would take the write lock for a read (correctness.md, section 1); connecting
        # sets the mode (django/db/backends/sqlite3/base.py:213)
        connection.ensure_connection()
        mode, connection.transaction_mode = connection.transaction_mode, "DEFERRED"
        try:
            with transaction.atomic(using=connection.alias):
                yield
        finally:
            connection.transaction_mode = mode
    else:
        with transaction.atomic(using=connection.alias):
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield


@contextlib.contextmanager
def _only(alias: str) -> Iterator[None]:
    """No query may go to another database."""

    def refuse(*_: Any) -> Any:
        raise ForeignQuery

    with contextlib.ExitStack() as stack:
        for other in connections:
            if other != alias:
                stack.enter_context(connections[other].execute_wrapper(refuse))
        yield


def _pending(match: Match) -> frozenset[int]:
    if topics.is_latest(match.declaration):
        return frozenset()  # the log itself is the rows
    return frozenset(entry for (entry,) in history.query("pending", topic=match.topic))


def _newest(topic: str) -> str:
    rows = history.query("newest", topic=topic)
    texts = (f'{{"key":{json.dumps(key)},"body":{body or "null"}}}' for key, body in rows)
    return f"[{','.join(texts)}]"


def _counts(declaration: Topic, params: dict[str, Any]) -> dict[str, int]:
    if not declaration.counts:
        return {}
    model = topics.models_of(declaration)[0]
    known = {column: value for column, value in params.items() if value is not None}
    rows: QuerySet[Any] = model._base_manager.filter(**known)  # noqa: SLF001
    return {name: rows.filter(condition).count() for name, condition in declaration.counts.items()}


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        # half of a surrogate pair, as SQLite keeps it escaped in JSON: so it stays
        return json.dumps(value, separators=(",", ":"))
    return text


aopen_topic = pool.awaitable(open_topic)
aexcerpt = pool.awaitable(excerpt)
