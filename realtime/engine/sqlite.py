"""The triggers of SQLite: writers are serial there, so each trigger numbers and logs by itself.

Guarantee: whatever the conflict clause of the statement that fires them, a row that was written has
its publication, and nothing in here can make the application's write fail.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError
from django.utils.crypto import get_random_string

from realtime.engine import sql
from realtime.engine.capture import PREFIX, RIGHTS, Found, Source, Trigger
from realtime.engine.columns import Row, Sqlite, literal, quote_name
from realtime.engine.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

OLD, NEW = Sqlite("OLD"), Sqlite("NEW")


def triggers(source: Source, _: str = "") -> Iterator[Trigger]:
    for operation, statements in (
        ("insert", [_insert(source)] if source.does("insert") else []),
        ("update", _update(source)),
        ("delete", [_delete(source)] if source.does("delete") else []),
    ):
        if not statements:
            continue
        when = f"WHEN {_changed(source)} " if operation == "update" else ""
        yield create(f"{PREFIX}_{source.label}_{operation[0]}", source, operation, when, statements)


def create(name: str, source: Source, operation: str, when: str, statements: list[str]) -> Trigger:
    text = (
        f"CREATE TRIGGER {quote_name(name)} AFTER {operation.upper()} ON "
        f"{quote_name(source.table)} {when}BEGIN\n" + "\n".join(statements) + "\nEND"
    )
    return Trigger(name, source.table, text, source.namespace, columns=source.columns_in_sql)


def publish(  # noqa: PLR0917  (the columns of the log, in its order)
    namespace: str, topics: str, op: str, key: str, body: str = "NULL", counts: str = "NULL"
) -> str:
    """SQL that appends a publication to each topic of a SELECT; too large a body becomes op `o`."""
    large = f"length(CAST(b.body AS BLOB)) > {settings.BODY_BYTES}"
    return sql.render(
        "sqlite",
        "publish",
        namespace=literal(namespace),
        topics=topics,
        op=op if body == "NULL" else f"CASE WHEN {large} THEN 'o' ELSE {op} END",
        kept_body="NULL" if body == "NULL" else f"CASE WHEN NOT {large} THEN b.body END",
        key=key,
        body=body,
        counts=counts,
    )


def names(source: Source, row: Row) -> str:
    """A SELECT of the row's topics; NULL among them stands for none."""
    return " UNION ".join(f"SELECT {name} AS topic" for name in source.topics(row))


def _insert(source: Source) -> str:
    counts = _deltas(source, lambda _, new: new)
    return publish(
        source.namespace, names(source, NEW), "'i'", source.key(NEW), source.body(NEW), counts
    )


def _delete(source: Source) -> str:
    counts = _deltas(source, lambda old, _: f"-{old}")
    return publish(source.namespace, names(source, OLD), "'d'", source.key(OLD), counts=counts)


def _update(source: Source) -> list[str]:
    """Deletes where the row has been, inserts where it has come, updates where it stays."""
    old, new = names(source, OLD), names(source, NEW)
    moved = f"{OLD.same(source.pk)} IS NOT {NEW.same(source.pk)}"
    gone = f"SELECT topic FROM ({old}) WHERE {moved} OR topic NOT IN {_known(new)}"
    fresh = f"SELECT topic FROM ({new}) WHERE topic NOT IN {_known(old)}"
    kept = f"SELECT topic FROM ({new}) WHERE topic IN {_known(old)}"
    key, body, namespace = source.key(NEW), source.body(NEW), source.namespace
    statements = []
    if source.does("delete"):
        deltas = _deltas(source, lambda old, _: f"-{old}")
        statements.append(publish(namespace, gone, "'d'", source.key(OLD), counts=deltas))
    if source.does("insert"):
        statements.append(
            publish(namespace, fresh, "'i'", key, body, _deltas(source, lambda _, new: new))
        )
    if source.does("update"):
        deltas = _deltas(
            source, lambda old, new: f"{new} - CASE WHEN {moved} THEN 0 ELSE {old} END"
        )
        statements.append(publish(namespace, kept, "'u'", key, body, deltas))
    return statements


def _known(select: str) -> str:
    return f"(SELECT topic FROM ({select}) WHERE topic IS NOT NULL)"


def _changed(source: Source) -> str:
    return " OR ".join(f"{OLD.same(f)} IS NOT {NEW.same(f)}" for f in source.columns)


def _deltas(source: Source, delta: Callable[[str, str], str]) -> str:
    """SQL of the counts' changes as a JSON object; NULL where there is none."""
    if not source.counts:
        return "NULL"
    members = []
    for name, condition in source.counts.items():
        old, new = (source.matches(row, condition) for row in (OLD, NEW))
        members.append(f"{literal(name)}, nullif({delta(old, new)}, 0)")
    return f"nullif(json_patch('{{}}', json_object({', '.join(members)})), '{{}}')"


# --- What is in the database


def schema_of(cursor: Any) -> str | None:
    """Not None when the engine's tables are there."""
    return "main" if existing(cursor, ["tocsin_namespace"]) else None


def existing(cursor: Any, tables: Collection[str]) -> dict[str, set[str]]:
    """Those of these tables that are there, with their columns."""
    cursor.execute(sql.read("sqlite", "columns"))
    found: dict[str, set[str]] = {}
    for name, column in cursor.fetchall():
        if name in tables:
            found.setdefault(name, set()).add(column)
    return found


def possible(trigger: Trigger, columns: set[str]) -> Trigger | None:
    """None for a table that has not all columns yet: each of its writes would be refused."""
    return trigger if trigger.columns <= columns else None


def found(cursor: Any) -> dict[str, Found]:
    cursor.execute(
        "SELECT name, tbl_name, sql FROM sqlite_master "
        "WHERE type = 'trigger' AND instr(name, %s) = 1",
        [PREFIX],
    )
    return {row[0]: Found(*row) for row in cursor.fetchall()}


def put(cursor: Any, trigger: Trigger) -> None:
    cursor.execute(f"DROP TRIGGER IF EXISTS {quote_name(trigger.name)}")
    cursor.execute(trigger.create)


def remove(cursor: Any, there: Found) -> None:
    cursor.execute(f"DROP TRIGGER IF EXISTS {quote_name(there.name)}")


def works(cursor: Any, table: str) -> bool:
    """Whether every write to the table compiles with its triggers; nothing is executed."""
    name = quote_name(table)
    cursor.execute(f"SELECT name FROM pragma_table_info({literal(table)})")
    column = quote_name(cursor.fetchone()[0])
    try:
        cursor.execute(f"EXPLAIN INSERT INTO {name} DEFAULT VALUES")
        cursor.execute(f"EXPLAIN UPDATE {name} SET {column} = {column}")
        cursor.execute(f"EXPLAIN DELETE FROM {name}")
    except DatabaseError:
        return False
    return True


def begin_anew(cursor: Any, namespace: str) -> None:
    """A new epoch for the namespace; its log and heads go."""
    epoch = get_random_string(8, string.ascii_letters)
    for statement in sql.statements("sqlite", "reset"):
        cursor.execute(sql.fill(statement, namespace=literal(namespace), epoch=literal(epoch)))


def revoke_all(cursor: Any) -> None:
    topic, event = f"SELECT {literal(RIGHTS)} AS topic", literal('{"kind": "everybody"}')
    for statement in publish(RIGHTS, topic, "'c'", "NULL", event).split(";\n"):
        cursor.execute(statement)


def exclude_writers(cursor: Any, sources: Iterable[Source]) -> None:
    """Nothing to do: the transaction holds the write lock."""


def backfill(cursor: Any, sources: Iterable[Source], _: str) -> None:
    """Number each row of a namespace that has just begun anew."""
    for source in sources:
        row, table, pk = Sqlite("m"), quote_name(source.table), quote_name(str(source.pk.column))
        key, body = source.key(row), source.body(row)
        rows = " UNION ".join(
            f"SELECT {name} AS topic, {key} AS key, {body} AS body, m.{pk} AS pk FROM {table} AS m"
            for name in source.topics(row)
        )
        for statement in sql.statements("sqlite", "backfill"):
            cursor.execute(
                sql.fill(
                    statement,
                    rows=rows,
                    namespace=literal(source.namespace),
                    bound=str(settings.BODY_BYTES),
                )
            )
