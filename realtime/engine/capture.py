"""What a declaration says about a row, as SQL: its topics, key, body and counts.

`postgresql` and `sqlite` put triggers around it. Names of tables and columns come from the model
alone, and every one is quoted.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models.sql.query import Query

from realtime.engine import canon, topics
from realtime.engine.columns import Row, literal, quote_name
from realtime.engine.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Field, Model, Q

    from realtime.engine.names import Template
    from realtime.engine.topics import Topic

RIGHTS = "!control"
PREFIX = "!tocsin"  # sorts before any other trigger: PostgreSQL fires them by name


@dataclass(frozen=True)
class Function:
    """A trigger function of PostgreSQL; `tolerant` takes its place while migrations run."""

    name: str
    source: str
    tolerant: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trigger:
    """A trigger that should be. `what`: the namespace it guards, RIGHTS, or None: it only wakes."""

    name: str
    table: str
    create: str
    what: str | None
    function: Function | None = None
    columns: frozenset[str] = frozenset()

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.create)


@dataclass(frozen=True)
class Found:
    """A trigger that is there. `text`: its SQL or, on PostgreSQL, the fingerprint of it."""

    name: str
    table: str
    text: str
    enabled: bool = True
    source: str = ""


def fingerprint(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def label(*parts: str) -> str:
    """A short identifier for a thing of these names, whatever characters they have."""
    readable = re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_")[:30]
    return f"{readable}_{hashlib.blake2b(repr(parts).encode(), digest_size=4).hexdigest()}"


def sources() -> list[Source]:
    """All declarations with each of their models."""
    found = topics.registry().values()
    return [Source(topic, model) for topic in found for model in topics.models_of(topic)]


@dataclass(frozen=True)
class Source:
    """A declaration's view of one of its models."""

    declaration: Topic
    model: type[Model]
    alias: str = "default"

    @property
    def namespace(self) -> str:
        return self.declaration.namespace

    @property
    def table(self) -> str:
        return str(self.model._meta.db_table)  # noqa: SLF001

    @cached_property
    def label(self) -> str:
        return label(self.namespace or "default", self.table)

    @cached_property
    def pk(self) -> Field[Any, Any]:
        return canon.field_of(self.model, "pk")

    @cached_property
    def fields(self) -> list[Field[Any, Any]]:
        return self._found(topics.fields_of(self.declaration, self.model))

    @cached_property
    def counts(self) -> dict[str, Q]:
        first = self.model is topics.models_of(self.declaration)[0]
        return dict(self.declaration.counts) if first else {}

    @cached_property
    def counted(self) -> list[Field[Any, Any]]:
        """The columns that the counts read."""
        return self._found(c for q in self.counts.values() for c in canon.columns_of(q))

    @cached_property
    def named(self) -> list[Field[Any, Any]]:
        """The columns in the topics' names."""
        return self._found(self.declaration.columns)

    @cached_property
    def columns(self) -> list[Field[Any, Any]]:
        """All columns that a change must be seen in, each once."""
        return list(dict.fromkeys((self.pk, *self.named, *self.fields, *self.counted)))

    def _found(self, names: Iterable[str]) -> list[Field[Any, Any]]:
        return list(dict.fromkeys(canon.field_of(self.model, name) for name in names))

    @property
    def columns_in_sql(self) -> frozenset[str]:
        return frozenset(str(field.column) for field in self.columns)

    def does(self, operation: str) -> bool:
        return operation in topics.operations_of(self.declaration, self.model)

    def topic(self, row: Row, template: Template) -> str:
        """SQL of a name; NULL where a column is NULL or the name would be too long."""
        parts = [literal(part) if part else "" for part in template.parts]
        parts[1::2] = [row.name(canon.field_of(self.model, c)) for c in template.columns]
        name = " || ".join(f"({part})" for part in parts if part)
        short = all(canon.kind_of(f) != "text" for f in self.named)
        most = settings.TOPIC_BYTES
        return name if short else f"CASE WHEN length({name}) <= {most} THEN {name} END"

    def topics(self, row: Row) -> list[str]:
        return [self.topic(row, template) for template in self.declaration.templates]

    def key(self, row: Row) -> str:
        prefix = topics.key_prefix(self.declaration, self.model)
        key = row.text(self.pk)
        return f"{literal(prefix)} || {key}" if prefix else key

    def body(self, row: Row) -> str:
        """SQL of the body's JSON text: the declared fields, in their order, and nothing else."""
        members = (
            f"{literal(('{' if place == 0 else ',') + _json_key(field))} || {row.json(field)}"
            for place, field in enumerate(self.fields)
        )
        return " || ".join((*members, "'}'"))

    def matches(self, row: Row, condition: Q) -> str:
        """SQL of 1 where the row meets the condition, else 0."""
        query = Query(model=self.model, alias_cols=False)
        connection = connections[self.alias]
        where = query.build_where(condition)
        text, params = where.as_sql(query.get_compiler(connection=connection), connection)
        editor = connection.schema_editor(collect_sql=True)
        values = [str(editor.quote_value(param)) for param in params]
        # not by %: a column's name may hold one
        text = "".join(map("".join, zip_longest(text.split("%s"), values, fillvalue="")))
        fields = self._found(canon.columns_of(condition))
        columns = ", ".join(f"{row.value(f)} AS {quote_name(str(f.column))}" for f in fields)
        return f"(SELECT CASE WHEN {text} THEN 1 ELSE 0 END FROM (SELECT {columns}) AS counted)"


def _json_key(field: Field[Any, Any]) -> str:
    return f'"{field.attname}":'
