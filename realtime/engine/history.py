"""Reads the log: what came after a position, where topics stand, and what a subscriber starts from.

Guarantee: head and publications of one answer are of one instant, and the rows of an `Opening` are
of the same instant as its position: they contain the publications up to it and those whose entries
are `pending`, no more and no less (correctness.md, section 1).
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from realtime.engine import pool, sql, topics, wire
from realtime.engine.exceptions import TocsinError
from realtime.engine.names import CONTROL
from realtime.protocol.messages import Position, Publication

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from django.db.models import QuerySet

    from realtime.engine.topics import Match, Topic

CONTROL_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """Publications after a position, oldest first, and the head read in the same statement.

    `whole`: none that belongs here was trimmed away and the epoch is the one asked for. `complete`:
    none is left after the page. A subscriber is recovered by a page that is both. `control`: the
    head of the revocations. In a `Latest` topic replaced publications are left out.
    """

    position: Position
    publications: tuple[Publication, ...]
    whole: bool
    control: int
    complete: bool


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


class ForeignQuery(TocsinError):  # noqa: N818  (says what was done)
    """A snapshot asked another database: its answer is not of the snapshot's instant."""


def since(topic: str, position: Position, limit: int) -> Page:
    """Publications of `topic` after `position`, at most `limit`. An empty epoch matches any."""
    namespace = CONTROL if topic == CONTROL else topics.namespace_of(topic)
    declaration = topics.registry().get(namespace)
    compacted = declaration is not None and topics.is_latest(declaration)
    found = _query(
        "latest" if compacted else "stream",
        topic=topic,
        namespace=namespace,
        epoch=position.epoch,
        after=position.offset,
        rows=limit + 1,
    )
    epoch, top, floor, control = found[0][:4]
    publications = [wire.publication(*row[4:]) for row in found if row[4] is not None]
    held = position.epoch in {"", epoch} and floor <= position.offset <= top
    if held and not compacted:
        # a hole that no trim explains; offsets are consecutive within an epoch
        held = _consecutive(publications, position.offset, top, limit)
    return Page(
        Position(epoch, top),
        tuple(publications[:limit]) if held else (),
        whole=held,
        control=control,
        complete=held and len(publications) <= limit,
    )


def control_since(offset: int) -> Page:
    """The revocations after `offset`; compare `position.epoch` with the one last seen."""
    return since(CONTROL, Position("", offset), CONTROL_LIMIT)


def heads(names: Iterable[str]) -> dict[str, Position]:
    """Where each topic stands, all in one query; without a publication: offset 0."""
    rows = _query("heads", topics=list(names))
    return {topic: Position(epoch, offset) for topic, epoch, offset in rows}


def open_topic(user_id: str, match: Match, position: Position | None, limit: int) -> Opening:
    """May this user subscribe, and what do they start from: one database snapshot for all of it.

    `position`: where the subscriber wants to continue; where the log cannot take them on, and
    without it, they get the rows as they are now.
    """
    with one_instant(connections[DEFAULT_DB_ALIAS]):
        page = since(match.topic, position or Position("", 0), limit if position else 0)
        user = topics.load_user(user_id)
        if user is None or not topics.authorise_now(user, match):
            return Opening(allowed=False, covers=page.control, position=page.position, mark=0)
        if position and page.whole and page.complete:
            return Opening(
                allowed=True,
                covers=page.control,
                position=page.position,
                mark=page.control,
                recovered=True,
                publications=page.publications,
            )
        rows = topics.has_rows(match.declaration)
        return Opening(
            allowed=True,
            covers=page.control,
            position=page.position,
            mark=page.control,
            snapshot=snapshot(user, match) if rows else None,
            pending=_pending(match) if rows else frozenset(),
        )


def snapshot(user: Any, match: Match) -> Snapshot:
    """The rows of a topic and its counts, as the transaction around sees them."""
    declaration = match.declaration
    if topics.is_latest(declaration):
        return Snapshot(_newest(match.topic), {})
    with _only(DEFAULT_DB_ALIAS):
        found = declaration.snapshot(user, **match.params)
        rows = topics.rows(declaration, found)
        return Snapshot(_json(rows), _counts(declaration, match.params))


def arrived(topic: str, after: int, entries: Collection[int]) -> tuple[int, int]:
    """How many of these entries the log has after an offset, and their highest offset."""
    [(count, offset)] = _query("arrived", topic=topic, after=after, entries=list(entries))
    return count, offset


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


def _consecutive(found: Sequence[Publication], after: int, top: int, limit: int) -> bool:
    expected = min(top - after, limit + 1)
    return len(found) == expected and (not found or found[-1].offset == after + expected)


def _pending(match: Match) -> frozenset[int]:
    if topics.is_latest(match.declaration):
        return frozenset()  # the log itself is the rows
    return frozenset(entry for (entry,) in _query("pending", topic=match.topic))


def _newest(topic: str) -> str:
    rows = _query("newest", topic=topic)
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


def _query(name: str, **params: Any) -> list[tuple[Any, ...]]:
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor == "sqlite":
        params = {k: json.dumps(v) if isinstance(v, list) else v for k, v in params.items()}
    with connection.cursor() as cursor:
        cursor.execute(sql.read(connection.vendor, name), params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


asince = pool.awaitable(since)
acontrol_since = pool.awaitable(control_since)
aheads = pool.awaitable(heads)
aopen_topic = pool.awaitable(open_topic)
aarrived = pool.awaitable(arrived)
