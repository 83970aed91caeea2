"""The outbox: what transactions have changed and the relay has not yet numbered.

`move` takes what is visible, in one transaction, from the outbox to the log; nothing is lost when
it is cut in the middle, and nothing is numbered twice.
"""

from __future__ import annotations

import contextlib
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from realtime.engine import metrics, pool, sql, wire
from realtime.engine.names import namespace_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from realtime.protocol.messages import Publication


@dataclass(frozen=True, slots=True)
class Moved:
    """A publication that has just got its place in the log."""

    topic: str
    epoch: str
    publication: Publication


@dataclass(frozen=True, slots=True)
class Reset:
    """A namespace whose topics begin anew; `topics` are those that had a log."""

    namespace: str
    epoch: str
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unnumbered:
    """An entry that waits for the relay; its publication comes after the offset `after`."""

    entry: int
    after: int


def new_epoch() -> str:
    """Eight random letters: the name of one life of a log."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(8))


def put(
    topic: str, data: str, about: str | None = None, using: str = DEFAULT_DB_ALIAS
) -> Unnumbered | None:
    """A publication that is no row's, in the caller's transaction. None: it has its number.

    `data`: its JSON text; `about`: that of a JSON object with the wire's `info` and `tags`.
    """
    params = {
        "topic": topic, "namespace": namespace_of(topic), "data": data, "about": about,
    }  # fmt: skip
    found = _run("put", params, using)
    return Unnumbered(*found) if found else None


def order(body: str) -> None:
    """An entry of `!control`, in the caller's transaction. `body`: its JSON text."""
    _run("order", {"body": body})


@contextlib.contextmanager
def clearing(topic: str) -> Iterator[None]:
    """Take all that is kept of a topic out of the log, with whatever else is done within."""
    with transaction.atomic():
        _run("clear", {"topic": topic})
        yield


def _run(
    name: str, params: dict[str, Any], using: str = DEFAULT_DB_ALIAS
) -> tuple[Any, ...] | None:
    """A script of one transaction; gives the last row."""
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        for statement in sql.statements(connection.vendor, name):
            cursor.execute(statement, params)
        return cursor.fetchone() if cursor.description else None


def ask_renewal(topic: str, epoch: str) -> None:
    """Tell the relay that the log of `topic` is behind what was read of it, in the same epoch."""
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        statement = sql.read(connection.vendor, "ask_renewal")
        cursor.execute(statement, {"topic": topic, "epoch": epoch})


def move(connection: psycopg.Connection[Any], floor: int, limit: int) -> list[Moved]:
    """Number all visible revocations and the `limit` lowest visible entries above `floor`.

    Sorted by topic and offset. Stops below a TRUNCATE: `reset` takes that. An entry of an
    undeclared namespace gets an epoch of its own and is counted; it never stops the others.
    """
    found = connection.execute(
        sql.read("postgresql", "move"), {"floor": floor, "limit": limit, "epoch": new_epoch()}
    ).fetchall()
    if unknown := sum(row[2] for row in found):
        metrics.DEAD_LETTERS.inc(unknown)
    metrics.MOVED.inc(len(found))
    return [Moved(row[0], row[1], wire.publication(*row[3:])) for row in found]


def reset(connection: psycopg.Connection[Any]) -> Reset | None:
    """Begin the namespace of the first TRUNCATE anew; None if there is none."""
    found = connection.execute(sql.read("postgresql", "reset"), {"epoch": new_epoch()}).fetchall()
    if not found:
        return None
    namespace, epoch, _ = found[0]
    metrics.RESETS.inc()
    return Reset(namespace, epoch, tuple(topic for _, _, topic in found if topic is not None))


aask_renewal = pool.awaitable(ask_renewal)
