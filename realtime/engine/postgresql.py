"""The triggers of PostgreSQL: a generated function for each declaration and model, row level.

They write entries into the outbox in the writer's own transaction; the relay numbers them. Each
function has a tolerant form that survives any DDL and is in place while migrations run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from realtime.engine import canon, sql
from realtime.engine.capture import PREFIX, Found, Function, Source, Trigger, fingerprint, label
from realtime.engine.columns import Postgresql, Row, Tolerant, literal, quote_name
from realtime.engine.conf import settings
from realtime.engine.names import UNRESERVED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

INSTALLER = 7_067_103  # advisory lock
FLOAT_DIGITS = ("extra_float_digits = 1",)
CHANGED = "WHEN (OLD.* OPERATOR(pg_catalog.*<>) NEW.*) "  # bytes, and no dependency on a column


def functions(schema: str) -> str:
    """The script of the functions that the generated ones call."""
    return sql.render("postgresql", "functions", schema=schema, unreserved=UNRESERVED)


def wake(table: str, schema: str) -> Trigger:
    """Wakes the relay, once a statement."""
    name = f"{PREFIX}_wake_{label(table)}"
    create = (
        f"CREATE TRIGGER {quote_name(name)} AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "
        f"{quote_name(table)} FOR EACH STATEMENT EXECUTE FUNCTION {schema}.tocsin_wake()"
    )
    return Trigger(name, table, create, None)


def triggers(source: Source, schema: str) -> Iterator[Trigger]:
    kinds = {type(canon.base_of(f)).__name__ for f in source.columns}
    name = f"tocsin_{source.label}"
    function = Function(
        name,
        _body(source, schema, Postgresql("OLD", schema), Postgresql("NEW", schema)),
        _body(source, schema, Tolerant("row_old", schema), Tolerant("row_new", schema)),
        FLOAT_DIGITS if "FloatField" in kinds else (),
    )
    table, call = quote_name(source.table), f"EXECUTE FUNCTION {schema}.{quote_name(name)}()"
    for operation, when in (("insert", ""), ("update", CHANGED), ("delete", "")):
        if operation != "update" and not source.does(operation):
            continue
        trigger = f"{PREFIX}_{source.label}_{operation[0]}"
        create = (
            f"CREATE TRIGGER {quote_name(trigger)} AFTER {operation.upper()} ON {table} "
            f"FOR EACH ROW {when}{call}"
        )
        yield Trigger(
            trigger, source.table, create, source.namespace, function, source.columns_in_sql
        )
    trigger = f"{PREFIX}_{source.label}_t"
    yield Trigger(
        trigger,
        source.table,
        f"CREATE TRIGGER {quote_name(trigger)} AFTER TRUNCATE ON {table} FOR EACH STATEMENT "
        f"EXECUTE FUNCTION {schema}.tocsin_truncated({literal(source.namespace)})",
        source.namespace,
    )


def _body(source: Source, schema: str, old: Postgresql, new: Postgresql) -> str:
    tolerant = isinstance(old, Tolerant)
    same = (f"ROW({old.same(f)}) IS NOT DISTINCT FROM ROW({new.same(f)})" for f in source.columns)
    return sql.render(
        "postgresql",
        "capture",
        schema=schema,
        rows="row_old jsonb; row_new jsonb;" if tolerant else "",
        load_old="row_old := to_jsonb(OLD);" if tolerant else "",
        load_new="row_new := to_jsonb(NEW);" if tolerant else "",
        prepare=_reread(source, schema) if source.declaration.reread else "",
        topics_old=_array(source.topics(old)),
        topics_new=_array(source.topics(new)),
        key_old=source.key(old),
        key_new=source.key(new),
        unchanged=" AND ".join(same),
        body=source.body(new),
        bound=str(settings.BODY_BYTES),
        deletes=str(source.does("delete")).lower(),
        inserts=str(source.does("insert")).lower(),
        updates=str(source.does("update")).lower(),
        **_counts(source, old, new),
    )


def _counts(source: Source, old: Row, new: Row) -> dict[str, str]:
    numbers = range(len(source.counts))
    loads = [
        f"IF TG_OP <> '{other}' THEN {name}_{i} := {source.matches(row, condition)}; END IF;"
        for i, condition in enumerate(source.counts.values())
        for name, row, other in (("old", old, "INSERT"), ("new", new, "DELETE"))
    ]
    deltas = {
        "gone": "-old_{i}",
        "fresh": "new_{i}",
        "kept": "new_{i} - CASE WHEN moved THEN 0 ELSE old_{i} END",
    }
    return {
        "count_variables": " ".join(f"old_{i} int := 0; new_{i} int := 0;" for i in numbers),
        "count": "\n  ".join(loads),
        **{
            f"counts_{what}": _deltas(source, [delta.format(i=i) for i in numbers])
            for what, delta in deltas.items()
        },
    }


def _deltas(source: Source, deltas: list[str]) -> str:
    if not deltas:
        return "NULL"
    members = ", ".join(
        f"{literal(name)}, nullif({delta}, 0)"
        for name, delta in zip(source.counts, deltas, strict=True)
    )
    return f"nullif(json_strip_nulls(json_build_object({members}))::text, '{{}}')::json"


def _array(names: list[str]) -> str:
    return f"array_remove(ARRAY[{', '.join(names)}]::text[], NULL)"


def _reread(source: Source, schema: str) -> str:
    pk = quote_name(str(source.pk.column))
    return (
        "IF TG_OP <> 'DELETE' THEN "
        f"SELECT * INTO NEW FROM {schema}.{quote_name(source.table)} t WHERE t.{pk} = NEW.{pk}; "
        "IF NOT FOUND THEN RETURN NULL; END IF; END IF;"
    )


# --- What is in the database


def schema_of(cursor: Any) -> str | None:
    """The quoted schema of the engine's tables; None: they are not there."""
    cursor.execute(sql.read("postgresql", "home"))
    row = cursor.fetchone()
    return row[0] if row else None


def existing(cursor: Any, tables: Collection[str]) -> dict[str, set[str]]:
    """Those of these tables that are there, with their columns."""
    quoted = {quote_name(table): table for table in tables}
    cursor.execute(sql.read("postgresql", "columns"), [list(quoted)])
    found: dict[str, set[str]] = {}
    for name, column in cursor.fetchall():
        found.setdefault(quoted[name], set()).add(column)
    return found


def possible(trigger: Trigger, columns: set[str]) -> Trigger:
    """The trigger for a table that may not have all columns yet: then its function is tolerant."""
    function = trigger.function
    if function is None or trigger.columns <= columns:
        return trigger
    return replace(trigger, function=replace(function, source=function.tolerant or ""))


def found(cursor: Any) -> dict[str, Found]:
    cursor.execute(sql.read("postgresql", "installed"), [PREFIX])
    return {row[0]: Found(*row) for row in cursor.fetchall()}


def prepared_transactions(cursor: Any) -> bool:
    """Whether transactions can be prepared: those must not notify."""
    cursor.execute("SHOW max_prepared_transactions")
    return int(cursor.fetchone()[0]) > 0


def lock(cursor: Any) -> None:
    """One installer at a time, until the end of the transaction."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [INSTALLER])


def put_shared(cursor: Any, schema: str) -> None:
    """Create the shared functions unless they are as they should be."""
    script = functions(schema)
    wanted = fingerprint(script)
    cursor.execute("SELECT obj_description(to_regprocedure(%s))", [f"{schema}.tocsin_wake()"])
    if cursor.fetchone()[0] != wanted:
        cursor.execute(script)
        cursor.execute(f"COMMENT ON FUNCTION {schema}.tocsin_wake() IS {literal(wanted)}")


def put_function(cursor: Any, schema: str, function: Function, source: str) -> None:
    name = f"{schema}.{quote_name(function.name)}()"
    options = "".join(f" SET {option}" for option in function.options)
    cursor.execute(
        f"CREATE OR REPLACE FUNCTION {name} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = pg_catalog, pg_temp{options} AS {literal(source)}"
    )
    cursor.execute(f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC")


def put(cursor: Any, trigger: Trigger) -> None:
    name, table = quote_name(trigger.name), quote_name(trigger.table)
    # replacing takes a weaker lock than dropping: writers wait, readers do not
    cursor.execute(trigger.create.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1))
    cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {name}")
    cursor.execute(f"COMMENT ON TRIGGER {name} ON {table} IS {literal(trigger.fingerprint)}")


def remove(cursor: Any, there: Found) -> None:
    cursor.execute(f"DROP TRIGGER IF EXISTS {quote_name(there.name)} ON {there.table}")


def remove_functions(cursor: Any, schema: str, keep: Collection[str] = ()) -> None:
    """Drop our functions but those in `keep`, and the shared ones with the last of them."""
    cursor.execute(sql.read("postgresql", "functions_of"), [schema])
    for name, signature, _ in cursor.fetchall():
        if name not in keep:
            cursor.execute(f"DROP FUNCTION {signature}")


def begin_anew(cursor: Any, namespace: str) -> None:
    """Tell the relay to begin the namespace anew, as after a TRUNCATE."""
    cursor.execute("INSERT INTO tocsin_entry (op, key) VALUES ('T', %s)", [namespace])


def revoke_all(cursor: Any) -> None:
    cursor.execute(
        "INSERT INTO tocsin_entry (topics, op, body, control) "
        """VALUES ('{!control}', 'c', '{"kind": "everybody"}', true)"""
    )


def sources_of(cursor: Any, schema: str) -> dict[str, str]:
    """The bodies of our functions, by name."""
    cursor.execute(sql.read("postgresql", "functions_of"), [schema])
    return {name: source for name, _, source in cursor.fetchall()}


def exclude_writers(cursor: Any, sources: Iterable[Source]) -> None:
    """Nobody writes to these tables until the end of the transaction; readers go on."""
    for source in sources:
        cursor.execute(f"LOCK TABLE {quote_name(source.table)} IN SHARE MODE")


def backfill(cursor: Any, sources: Iterable[Source], schema: str) -> None:
    """Write an entry for each row; nobody else may write meanwhile."""
    for source in sources:
        row = Postgresql("m", schema)
        cursor.execute("SELECT set_config('extra_float_digits', '1', true)")
        cursor.execute(
            sql.render(
                "postgresql",
                "backfill",
                topics=_array(source.topics(row)),
                key=source.key(row),
                body=source.body(row),
                bound=str(settings.BODY_BYTES),
                table=quote_name(source.table),
                pk=quote_name(str(source.pk.column)),
            )
        )
