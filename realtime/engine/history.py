"""Reads the log: what came after a position, and where topics stand.

Guarantee: head and publications of one answer are of one instant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections

from realtime.engine import pool, sql, topics, wire
from realtime.engine.names import CONTROL
from realtime.protocol.messages import Position, Publication

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


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


def since(topic: str, position: Position, limit: int) -> Page:
    """Publications of `topic` after `position`, at most `limit`. An empty epoch matches any."""
    namespace = CONTROL if topic == CONTROL else topics.namespace_of(topic)
    declaration = topics.registry().get(namespace)
    compacted = declaration is not None and topics.is_latest(declaration)
    found = query(
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
    rows = query("heads", topics=list(names))
    return {topic: Position(epoch, offset) for topic, epoch, offset in rows}


def arrived(topic: str, after: int, entries: Collection[int]) -> tuple[int, int]:
    """How many of these entries the log has after an offset, and their highest offset."""
    [(count, offset)] = query("arrived", topic=topic, after=after, entries=list(entries))
    return count, offset


def _consecutive(found: Sequence[Publication], after: int, top: int, limit: int) -> bool:
    expected = min(top - after, limit + 1)
    return len(found) == expected and (not found or found[-1].offset == after + expected)


def query(name: str, parts: dict[str, str] | None = None, **params: Any) -> list[tuple[Any, ...]]:
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor == "sqlite":
        params = {k: json.dumps(v) if isinstance(v, list) else v for k, v in params.items()}
    with connection.cursor() as cursor:
        text = sql.read(connection.vendor, name)
        cursor.execute(sql.fill(text, **parts) if parts else text, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


aarrived = pool.awaitable(arrived)
asince = pool.awaitable(since)
acontrol_since = pool.awaitable(control_since)
aheads = pool.awaitable(heads)
