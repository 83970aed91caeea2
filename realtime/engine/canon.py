"""One canonical form of a row, whoever writes it: PostgreSQL, SQLite, or Python for a snapshot.

A field has an SQL expression for its JSON text in each database and an encoder in Python; all three
give the same JSON value (correctness.md, section 10). A field of an unknown class is refused, never
guessed: a trigger cannot run `from_db_value`.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.db.models.fields import Field

from realtime.engine.exceptions import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MICROSECOND = dt.timedelta(microseconds=1)

# What a field is, by its exact class; a subclass may convert values and is refused.
KINDS: dict[type, str] = {
    models.BooleanField: "boolean",
    models.AutoField: "integer",
    models.BigAutoField: "integer",
    models.SmallAutoField: "integer",
    models.IntegerField: "integer",
    models.SmallIntegerField: "integer",
    models.PositiveIntegerField: "integer",
    models.PositiveSmallIntegerField: "integer",
    models.BigIntegerField: "big",
    models.PositiveBigIntegerField: "big",
    models.FloatField: "float",
    models.DecimalField: "decimal",
    models.DateTimeField: "datetime",
    models.DateField: "date",
    models.TimeField: "time",
    models.DurationField: "duration",
    models.UUIDField: "uuid",
    models.JSONField: "json",
    models.CharField: "text",
    models.TextField: "text",
    models.SlugField: "text",
    models.EmailField: "text",
    models.URLField: "text",
    models.FileField: "text",
    models.ImageField: "text",
    models.FilePathField: "text",
    models.GenericIPAddressField: "address",
}
# these may stand in a topic's name and be a key; all others are refused there
NAMEABLE = frozenset({"boolean", "integer", "big", "uuid", "text", "address", "date"})


def field_of(model: type[models.Model], name: str) -> Field[Any, Any]:
    """The concrete field of a column, asked for by name, attname or `pk`."""
    try:
        found = model._meta.pk if name == "pk" else model._meta.get_field(name)  # noqa: SLF001
    except FieldDoesNotExist:
        found = None
    table = model._meta.concrete_model or model  # noqa: SLF001
    # a column of a parent's table is no column of this one, and no trigger here can see it
    if not isinstance(found, Field) or found not in table._meta.local_concrete_fields:  # noqa: SLF001
        raise DeclarationError(f"{model._meta.label} has no column {name!r}")  # noqa: SLF001
    return found


def base_of(field: Field[Any, Any]) -> Field[Any, Any]:
    """The field whose values these are: a foreign key's target, a generated field's output."""
    while True:
        if isinstance(field, models.ForeignKey):
            field = field.target_field
        elif isinstance(field, models.GeneratedField) and getattr(field, "db_persist", False):
            field = getattr(field, "output_field")  # noqa: B009  (the stubs do not know it)
        else:
            return field


def kind_of(field: Field[Any, Any]) -> str:
    """The canonical kind of a field; raises DeclarationError for one that has none."""
    base = base_of(field)
    kind = KINDS.get(type(base))
    if kind is None or (isinstance(base, models.JSONField) and base.decoder is not None):
        raise DeclarationError(
            f"{field.model._meta.label}.{field.name} is a {type(base).__name__}, "  # noqa: SLF001
            "which has no canonical form"
        )
    return kind


def nameable(field: Field[Any, Any]) -> str:
    """The kind of a field that may stand in a topic's name or be a key."""
    kind = kind_of(field)
    if kind not in NAMEABLE:
        raise DeclarationError(
            f"{field.model._meta.label}.{field.name} is a {type(base_of(field)).__name__}, "  # noqa: SLF001
            "which cannot stand in a topic's name or be a key"
        )
    return kind


def columns_of(condition: models.Q) -> Iterator[str]:
    """The columns a condition reads; relations cannot be followed by a trigger."""
    for child in condition.children:
        if isinstance(child, models.Q):
            yield from columns_of(child)
        elif isinstance(child, tuple):
            yield child[0].partition("__")[0]
        else:
            raise DeclarationError(f"{child!r} cannot be counted by a trigger: write Q(column=…)")


# --- Python


def encode(field: Field[Any, Any], value: Any) -> Any:
    """A value of the field as the JSON value that the triggers write."""
    kind = kind_of(field)
    if value is None:
        return None
    return ENCODERS[kind](base_of(field), value)


def key_text(field: Field[Any, Any], value: Any) -> str | None:
    """A value as a key, and as it stands in a topic's name before percent-encoding."""
    if value is None:
        return None
    encoded = encode(field, value)
    return str(encoded).lower() if isinstance(encoded, bool) else str(encoded)


def decode(field: Field[Any, Any], text: str) -> Any:
    """A value from a topic's name; raises ValueError unless it is written as `key_text` does."""
    base = base_of(field)
    if nameable(field) == "boolean":
        value = {"true": True, "false": False}.get(text)
    else:
        try:
            value = base.to_python(text)
        except ValidationError as error:
            raise ValueError(text) from error
    if value is None or key_text(field, value) != text:
        raise ValueError(f"{text!r} is not how {field.name} is written in a topic's name")
    return value


def _float(_: Field[Any, Any], value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _decimal(field: Any, value: Any) -> str:
    return f"{value:.{field.decimal_places}f}" if value.is_finite() else str(value)


def _datetime(_: Field[Any, Any], value: dt.datetime) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return aware.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


ENCODERS: dict[str, Callable[[Field[Any, Any], Any], Any]] = {
    "boolean": lambda _, value: bool(value),
    "integer": lambda _, value: int(value),
    "big": lambda _, value: str(int(value)),
    "float": _float,
    "decimal": _decimal,
    "datetime": _datetime,
    "date": lambda _, value: value.isoformat(),
    "time": lambda _, value: value.strftime("%H:%M:%S.%f"),
    "duration": lambda _, value: value // MICROSECOND,
    "uuid": lambda _, value: str(value if isinstance(value, uuid.UUID) else uuid.UUID(value)),
    "json": lambda _, value: value,
    "text": lambda _, value: str(value),
    "address": lambda _, value: str(value),
}
