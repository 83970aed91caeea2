"""What the data of a topic looks like, as JSON Schemas made from its declaration.

Guarantee: whatever a row's publication or a snapshot says is valid against them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtime.engine import canon, topics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import Field, Model

    from realtime.engine.topics import Topic

Schema = dict[str, Any]

DATETIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"
KINDS: Mapping[str, Schema] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "big": {"type": "string", "pattern": r"^-?\d+$"},
    "float": {"type": "number"},
    "decimal": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time", "pattern": DATETIME},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "pattern": r"^\d\d:\d\d:\d\d\.\d{6}$"},
    "duration": {"type": "integer", "description": "microseconds"},
    "uuid": {"type": "string", "format": "uuid"},
    "json": {},
    "text": {"type": "string"},
    "address": {"type": "string", "description": "an IP address"},
}
# what the triggers for an operation may say of a row: one that moves leaves a topic for another
OPS = {"insert": "i", "update": "iud", "delete": "d"}
WITH_BODY = ("i", "u")
TOO_LARGE = "o"
MILLISECONDS = {"type": "integer", "description": "unix milliseconds"}


def of_field(field: Field[Any, Any]) -> Schema:
    """A value of the field, as `canon` writes it."""
    kind = canon.kind_of(field)
    schema = dict(KINDS[kind])
    if kind == "decimal":
        places = getattr(canon.base_of(field), "decimal_places", 0)
        schema["pattern"] = rf"^(-?\d+\.\d{{{places}}}|NaN|-?Infinity)$" if places else r"^-?\w+$"
    # NaN and the infinities are null; what is computed of a NULL is, whatever its field says
    if "type" in schema and (field.null or kind == "float" or field.generated):
        schema["type"] = [schema["type"], "null"]
    if field.help_text:
        schema["description"] = str(field.help_text)
    return schema


def of_body(declaration: Topic, model: type[Model]) -> Schema:
    fields = [canon.field_of(model, name) for name in topics.fields_of(declaration, model)]
    return closed({field.attname: of_field(field) for field in fields})


def of_key(declaration: Topic, model: type[Model]) -> Schema:
    """A primary key as text, behind the name of a model that is not the first."""
    prefix = topics.key_prefix(declaration, model)
    number = canon.kind_of(canon.field_of(model, "pk")) in {"integer", "big"}
    pattern = f"^{prefix}" + (r"-?\d+$" if number else "")
    return {"type": "string", **({} if pattern == "^" else {"pattern": pattern})}


def of_publication(declaration: Topic, model: type[Model], body: Schema) -> Schema:
    """What one change of a row says; `body` is that of the row."""
    operations = topics.operations_of(declaration, model)
    ops = dict.fromkeys("".join(OPS[operation] for operation in operations))
    if not ops.keys().isdisjoint(WITH_BODY):
        ops[TOO_LARGE] = None
    schema = closed(
        {
            "op": {"type": "string", "enum": [*ops]},
            "key": of_key(declaration, model),
            "body": body,
            "counts": _counts(declaration, model),
            "at": {**MILLISECONDS, "description": "when the row was written, unix milliseconds"},
        },
        optional=("body", "counts"),
    )
    if not schema["properties"]["counts"]["properties"]:
        del schema["properties"]["counts"]
    with_body = {"properties": {"op": {"enum": list(WITH_BODY)}}}
    without = {"not": {"required": ["body"]}}
    return {**schema, "if": with_body, "then": {"required": ["body"]}, "else": without}


def of_snapshot(declaration: Topic, bodies: list[Schema], publications: list[Schema]) -> Schema:
    """What a subscription begins with that was not recovered."""
    # of a row that was too large to be logged, the log has no body
    missing = [{"type": "null"}] if topics.is_latest(declaration) else []
    row = closed({"key": {"type": "string"}, "body": {"anyOf": [*bodies, *missing]}})
    integer = {"type": "integer", "minimum": 0}
    return closed(
        {
            "rows": {"type": "array", "items": row},
            "counts": closed(dict.fromkeys(declaration.counts, integer)),
            "publications": {"type": "array", "items": {"anyOf": publications}},
            "now": {**MILLISECONDS, "description": "the server's clock, unix milliseconds"},
        }
    )


def closed(properties: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object of these and no others."""
    schema: Schema = {"type": "object", "properties": dict(properties)}
    if required := [name for name in properties if name not in optional]:
        schema["required"] = required
    return {**schema, "additionalProperties": False}


def _counts(declaration: Topic, model: type[Model]) -> Schema:
    first = model is topics.models_of(declaration)[0]
    named = {key: {"type": "integer"} for key in (declaration.counts if first else ())}
    described = {"description": "how much each count changes; only those that do"}
    return {**closed(named, optional=tuple(named)), **described}
