"""How a column of a row is written in SQL: as JSON text, as a name, for a comparison.

Three ways to reach a row, with the same methods and the same results: `Postgresql` names the
columns, `Tolerant` looks them up in `to_jsonb(row)` and survives any DDL, `Sqlite` names them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from django.db import connection

from realtime.engine import canon, sql
from realtime.engine.names import UNRESERVED

if TYPE_CHECKING:
    from django.db.models import Field

HEX = " ".join(f"{ord(character):02X}" for character in UNRESERVED)
FINITE = "1.7976931348623157e308"
# of these a value can hold any character, so it is percent-encoded in names
ENCODED = frozenset({"text", "address"})
DASH = " || '-' || "


def quote_name(name: str) -> str:
    """An identifier; as Django has it, one that is quoted already stays (`"schema"."table"`)."""
    if name.startswith('"') and name.endswith('"'):
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal, the same in both databases."""
    return "'" + text.replace("'", "''") + "'"


class Row(Protocol):
    """A row within a trigger, or of a table that is read."""

    def value(self, field: Field[Any, Any]) -> str:
        """The value itself, of the column's type."""

    def same(self, field: Field[Any, Any]) -> str:
        """What differs whenever the bytes do: for comparisons."""

    def json(self, field: Field[Any, Any]) -> str:
        """The value as JSON text, never NULL."""

    def text(self, field: Field[Any, Any]) -> str:
        """The value as a key; NULL for NULL."""

    def name(self, field: Field[Any, Any]) -> str:
        """The value as it stands in a topic's name; NULL for NULL."""


class Postgresql:
    """Columns by name: `NEW."x"`. `schema` is where `tocsin_quote` lives."""

    def __init__(self, alias: str, schema: str) -> None:
        self.alias, self.schema = alias, schema

    def value(self, field: Field[Any, Any]) -> str:
        return f"{self.alias}.{quote_name(str(field.column))}"

    def same(self, field: Field[Any, Any]) -> str:
        value = self.value(field)
        match canon.kind_of(field):
            case "text":
                return f'{value} COLLATE "C"'
            case "json" | "float":
                return f"{value}::text"
        return value

    def json(self, field: Field[Any, Any]) -> str:
        value = self.value(field)
        match canon.kind_of(field):
            case "boolean" | "integer" | "json":
                text = f"{value}::text"
            case "text":
                text = f"to_json({value}::text)::text"
            case "float":
                text = f"CASE WHEN abs({value}) <= {FINITE} THEN {value}::text END"
            case "duration":
                text = f"(extract(epoch FROM {value}) * 1000000)::bigint::text"
            case "datetime":
                utc = f"{value} AT TIME ZONE 'UTC'"
                text = f"""'"' || to_char({utc}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"'"""
            case "time":
                text = f"""'"' || to_char({value}, 'HH24:MI:SS.US') || '"'"""
            case _:
                text = f"""'"' || {self.text(field)} || '"'"""
        return f"coalesce({text}, 'null')"

    def text(self, field: Field[Any, Any]) -> str:
        value = self.value(field)
        match canon.kind_of(field):
            case "address":
                return f"host({value})"
            case "date":
                return f"to_char({value}, 'YYYY-MM-DD')"
        return f"{value}::text"

    def name(self, field: Field[Any, Any]) -> str:
        text = self.text(field)
        if canon.nameable(field) not in ENCODED:
            return text
        return (
            f"CASE WHEN translate({text}, {literal(UNRESERVED)}, '') = '' THEN {text} "
            f"ELSE {self.schema}.tocsin_quote({text}) END"
        )


class Tolerant(Postgresql):
    """Columns looked up in a jsonb variable: a missing one is NULL, and its type may change."""

    def value(self, field: Field[Any, Any]) -> str:
        return f"{self._found(field)}::{canon.base_of(field).cast_db_type(connection)}"

    def same(self, field: Field[Any, Any]) -> str:
        return f'{self._found(field)} COLLATE "C"'

    def json(self, field: Field[Any, Any]) -> str:
        value = f"({self.alias} -> {literal(str(field.column))})"
        match canon.kind_of(field):
            case "boolean" | "integer" | "json":
                return f"coalesce({value}::text, 'null')"
            case "float":
                return (
                    f"CASE jsonb_typeof({value}) WHEN 'number' THEN {value}::text ELSE 'null' END"
                )
            case "text" | "big" | "decimal" | "uuid":
                return f"coalesce(to_json({self._found(field)})::text, 'null')"
        return super().json(field)

    def text(self, field: Field[Any, Any]) -> str:
        # to_jsonb writes dates in one form only; of an address it keeps the mask
        return super().text(field) if canon.kind_of(field) == "address" else self._found(field)

    def _found(self, field: Field[Any, Any]) -> str:
        return f"({self.alias} ->> {literal(str(field.column))})"


class Sqlite:
    """Columns by name. Nothing in here can raise, whatever a foreign program has stored."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def value(self, field: Field[Any, Any]) -> str:
        return f"{self.alias}.{quote_name(str(field.column))}"

    def same(self, field: Field[Any, Any]) -> str:
        return f"{self.value(field)} COLLATE BINARY"

    def json(self, field: Field[Any, Any]) -> str:
        value = self.value(field)
        match canon.kind_of(field):
            case "boolean":
                return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END"
            case "integer" | "duration":
                return _if(f"typeof({value}) = 'integer'", f"CAST({value} AS TEXT)")
            case "float":
                number = f"typeof({value}) IN ('integer', 'real')"
                return _if(f"{number} AND abs({value}) <= {FINITE}", f"printf('%!.17g', {value})")
            case "json":
                return _if(f"json_valid({value})", f"json({value})")
        return f"json_quote({self.text(field)})"

    def text(self, field: Field[Any, Any]) -> str:
        value = self.value(field)
        match canon.kind_of(field):
            case "boolean":
                return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"
            case "decimal":
                return self._decimal(field)
            case "datetime":
                date = f"replace(substr({value}, 1, 19), ' ', 'T')"
                return _text(value, f"{date} || '.' || {_fraction(value)} || 'Z'")
            case "time":
                return _text(value, f"substr({value}, 1, 8) || '.' || {_fraction(value)}")
            case "uuid":
                ends = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
                parts = (f"substr({value}, {start}, {size})" for start, size in ends)
                return _text(value, f"lower({DASH.join(parts)})")
        return _text(value, f"CAST({value} AS TEXT)")

    def name(self, field: Field[Any, Any]) -> str:
        text = self.text(field)
        if canon.nameable(field) not in ENCODED:
            return text
        return sql.render(
            "sqlite", "quote", text=text, unreserved=literal(UNRESERVED), hex=literal(HEX)
        )

    def _decimal(self, field: Field[Any, Any]) -> str:
        value, places = self.value(field), getattr(canon.base_of(field), "decimal_places", 0)
        # 15 digits are what SQLite's floats and Django have in common
        return (
            f"CASE WHEN typeof({value}) IN ('integer', 'real') "
            f"THEN printf('%.{places}f', printf('%.15g', {value})) END"
        )


def _fraction(value: str) -> str:
    """Six digits after the point; Django stores none for .000000, the database's now() three."""
    after = f"substr({value}, instr({value}, '.') + 1)"
    digits = f"CASE WHEN instr({value}, '.') > 0 THEN {after} ELSE '' END"
    return f"substr({digits} || '000000', 1, 6)"


def _text(value: str, text: str) -> str:
    # a blob need not be UTF-8, and then nobody could read the log
    return f"CASE WHEN typeof({value}) <> 'blob' THEN {text} END"


def _if(condition: str, then: str) -> str:
    return f"CASE WHEN {condition} THEN {then} ELSE 'null' END"
