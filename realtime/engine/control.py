"""The triggers that watch rights: users, groups, permissions, sessions, and what `allows` reads.

Each change becomes a publication of `!control`, so that a revocation has a place in the order of
all changes, whichever program wrote it (correctness.md, section 7).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist

from realtime.engine import canon, sql, topics
from realtime.engine.capture import PREFIX, RIGHTS, Function, Trigger, label
from realtime.engine.columns import Postgresql, Row, Sqlite, Tolerant, literal, quote_name
from realtime.engine.postgresql import CHANGED
from realtime.engine.sqlite import publish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Field, Model

WATCHED = ("is_active", "password", "is_staff", "is_superuser")
ALL = ("insert", "update", "delete")


@dataclass(frozen=True)
class Watch:
    """Rows that rights hang on. `kind`: whom a change concerns; `subject`: the column that says it.

    An update counts when one of `columns` changed.
    """

    model: type[Model]
    kind: str
    operations: tuple[str, ...] = ALL
    subject: str = ""
    columns: tuple[str, ...] = ()
    namespace: str = ""

    @property
    def table(self) -> str:
        return str(self.model._meta.db_table)  # noqa: SLF001

    @property
    def label(self) -> str:
        return label("control", self.table, self.namespace)

    @property
    def event(self) -> str:
        """The body for a kind that is not about one subject."""
        about = {"namespace": self.namespace} if self.kind == "namespace" else {}
        return json.dumps({"kind": self.kind} | about)

    @property
    def columns_in_sql(self) -> frozenset[str]:
        names = (*self.columns, self.subject) if self.subject else self.columns
        return frozenset(str(self.field(name).column) for name in names)

    def field(self, name: str) -> Field[Any, Any]:
        return canon.field_of(self.model, name)


def watches() -> list[Watch]:
    """All that is watched; a namespace's `depends_on` on top of people, sessions and tokens."""
    found = [*_people(), *_sessions(), *_tokens()]
    for namespace, declaration in topics.registry().items():
        for model in declaration.depends_on:
            columns = tuple(field.attname for field in model._meta.concrete_fields)  # noqa: SLF001
            found.append(Watch(model, "namespace", columns=columns, namespace=namespace))
    return found


def _people() -> Iterator[Watch]:
    user = get_user_model()
    names = {field.name for field in user._meta.concrete_fields}  # noqa: SLF001
    columns = ("pk", *(name for name in WATCHED if name in names))
    yield Watch(user, "user", ("update", "delete"), "pk", columns)
    for name in ("groups", "user_permissions"):
        try:
            relation: Any = user._meta.get_field(name)  # noqa: SLF001
        except FieldDoesNotExist:
            continue
        through, column = relation.remote_field.through, relation.m2m_field_name()
        columns = tuple(field.attname for field in through._meta.concrete_fields)  # noqa: SLF001
        yield Watch(through, "user", ALL, column, columns)
        if name == "groups":
            group: Any = relation.related_model
            permissions = group._meta.get_field("permissions").remote_field.through  # noqa: SLF001
            yield Watch(permissions, "everybody", columns=("group_id", "permission_id"))
            yield Watch(group, "everybody", ("delete",))


def _sessions() -> Iterator[Watch]:
    if settings.SESSION_ENGINE == "django.contrib.sessions.backends.db":
        session = apps.get_model("sessions", "Session")
        columns = ("session_key", "expire_date")
        yield Watch(session, "session", ("update", "delete"), "session_key", columns)


def _tokens() -> Iterator[Watch]:
    revoked = apps.get_model("engine", "RevokedToken")
    columns = ("user", "token_id", "revoked_at")
    yield Watch(revoked, "user", ("insert", "update"), "user", columns)


def triggers(vendor: str, schema: str) -> Iterator[Trigger]:
    for watch in watches():
        if vendor == "sqlite":
            yield from _sqlite(watch)
        elif watch.subject:
            yield from _rows(watch, schema)
        else:
            yield from _statements(watch, schema)


# --- PostgreSQL


def _statements(watch: Watch, schema: str) -> Iterator[Trigger]:
    """One event a statement that changed at least one row, however many."""
    tables = {"insert": "NEW", "update": "NEW", "delete": "OLD"}
    for operation in watch.operations:
        reference = f"REFERENCING {tables[operation]} TABLE AS changed "
        yield _statement(watch, schema, operation, watch.event, reference)
    yield _statement(watch, schema, "truncate", watch.event)


def _statement(
    watch: Watch, schema: str, operation: str, event: str, reference: str = ""
) -> Trigger:
    name = f"{PREFIX}_{watch.label}_{operation[0]}"
    create = (
        f"CREATE TRIGGER {quote_name(name)} AFTER {operation.upper()} ON {quote_name(watch.table)} "
        f"{reference}FOR EACH STATEMENT EXECUTE FUNCTION {schema}.tocsin_revoked({literal(event)})"
    )
    return Trigger(name, watch.table, create, RIGHTS)


def _rows(watch: Watch, schema: str) -> Iterator[Trigger]:
    function = Function(
        f"tocsin_{watch.label}",
        _body(watch, schema, Postgresql("OLD", schema), Postgresql("NEW", schema)),
        _body(watch, schema, Tolerant("row_old", schema), Tolerant("row_new", schema)),
    )
    for operation in watch.operations:
        name = f"{PREFIX}_{watch.label}_{operation[0]}"
        create = (
            f"CREATE TRIGGER {quote_name(name)} AFTER {operation.upper()} ON "
            f"{quote_name(watch.table)} FOR EACH ROW {CHANGED if operation == 'update' else ''}"
            f"EXECUTE FUNCTION {schema}.{quote_name(function.name)}()"
        )
        yield Trigger(name, watch.table, create, RIGHTS, function, watch.columns_in_sql)
    yield _statement(watch, schema, "truncate", json.dumps({"kind": "everybody"}))


def _body(watch: Watch, schema: str, old: Postgresql, new: Postgresql) -> str:
    tolerant = isinstance(old, Tolerant)
    return sql.render(
        "postgresql",
        "control",
        schema=schema,
        rows="row_old jsonb; row_new jsonb;" if tolerant else "",
        load_old="row_old := to_jsonb(OLD);" if tolerant else "",
        load_new="row_new := to_jsonb(NEW);" if tolerant else "",
        subject_old=_subject(watch, old),
        # a session's new key is no loss of a right
        subject_new="NULL" if watch.kind == "session" else _subject(watch, new),
        unchanged=f"NOT ({_changed(watch, old, new, 'IS DISTINCT FROM')})",
        kind=literal(watch.kind),
    )


def _subject(watch: Watch, row: Row) -> str:
    subject = row.text(watch.field(watch.subject))
    if watch.kind != "session":
        return subject
    # the key is a credential: only its hash is written down; an expired session has no rights left
    hashed = f"encode(sha256(convert_to({subject}, 'UTF8')), 'hex')"
    expires = row.value(watch.field("expire_date"))
    return f"CASE WHEN {expires} > clock_timestamp() THEN {hashed} END"


def _changed(watch: Watch, old: Row, new: Row, differs: str) -> str:
    fields = [watch.field(name) for name in watch.columns]
    if watch.kind != "session":
        return " OR ".join(f"{old.same(f)} {differs} {new.same(f)}" for f in fields)
    # every save of a session moves its end further away: only an earlier end takes something
    key, expires = fields
    return (
        f"{old.same(key)} {differs} {new.same(key)} OR {new.value(expires)} < {old.value(expires)}"
    )


# --- SQLite


def _sqlite(watch: Watch) -> Iterator[Trigger]:
    old, new = Sqlite("OLD"), Sqlite("NEW")
    for operation in watch.operations:
        conditions = [_changed(watch, old, new, "IS NOT")] if operation == "update" else []
        if watch.kind == "session":
            expires = old.value(watch.field("expire_date"))
            conditions.append(f"{expires} > strftime('%Y-%m-%d %H:%M:%f', 'now')")
        when = " AND ".join(f"({condition})" for condition in conditions)
        rows = {"insert": [new], "update": [old, new], "delete": [old]}[operation]
        name = f"{PREFIX}_{watch.label}_{operation[0]}"
        steps = "\n".join(_steps(watch, rows))
        create = (
            f"CREATE TRIGGER {quote_name(name)} AFTER {operation.upper()} ON "
            f"{quote_name(watch.table)} {f'WHEN {when} ' if when else ''}BEGIN\n{steps}\nEND"
        )
        yield Trigger(name, watch.table, create, RIGHTS, columns=watch.columns_in_sql)


def _steps(watch: Watch, rows: list[Sqlite]) -> Iterator[str]:
    """One event, and one more where the row has become another person's."""
    topic = f"SELECT {literal(RIGHTS)} AS topic"
    yield publish(RIGHTS, topic, "'c'", "NULL", _event(watch, rows[0]))
    if watch.kind == "user" and len(rows) > 1:
        subject = watch.field(watch.subject)
        other = f"{topic} WHERE {rows[0].same(subject)} IS NOT {rows[1].same(subject)}"
        yield publish(RIGHTS, other, "'c'", "NULL", _event(watch, rows[1]))


def _event(watch: Watch, row: Row) -> str:
    if watch.kind == "user":
        return f"json_object('kind', 'user', 'user', {row.text(watch.field(watch.subject))})"
    # foreign programs have no sha256 in SQLite: the hubs ask for their own keys
    return literal('{"kind": "sessions"}' if watch.kind == "session" else watch.event)
