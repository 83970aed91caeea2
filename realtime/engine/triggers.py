"""Which triggers should be, which are, and how the one becomes the other.

Guarantee: after `install` every declared model's changes are captured; what may have been missed
while a trigger was away begins anew (a new epoch; `Latest` topics are filled from the rows).
"""

from __future__ import annotations

import functools
import string
import time
from typing import TYPE_CHECKING, Any

import structlog
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor as SqliteEditor
from django.utils.crypto import get_random_string

from realtime.engine import capture, control, postgresql, sqlite, topics
from realtime.engine.capture import RIGHTS, Found, Function, Trigger
from realtime.engine.conf import settings
from realtime.engine.models import Namespace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

log = structlog.get_logger(__name__)
MIGRATING = "!migrating"  # a namespace that no topic can have
MIGRATION_S = 600.0


def wanted(using: str = DEFAULT_DB_ALIAS) -> list[Trigger]:
    """The triggers that the declarations ask for, as the tables that are there allow them."""
    return [trigger for _, trigger in _asked(using) if trigger is not None]


def _asked(using: str) -> list[tuple[Trigger, Trigger | None]]:
    """Each trigger for a table that is there, as declared and as possible."""
    connection = connections[using]
    backend = _backend(connection)
    with connection.cursor() as cursor:
        schema = backend.schema_of(cursor) or "public"
        found = [t for source in capture.sources() for t in backend.triggers(source, schema)]
        found += control.triggers(connection.vendor, schema)
        if connection.vendor == "postgresql" and not postgresql.prepared_transactions(cursor):
            tables = dict.fromkeys(trigger.table for trigger in found)
            found += [postgresql.wake(table, schema) for table in tables]
        there = backend.existing(cursor, {trigger.table for trigger in found})
    return [(t, backend.possible(t, there[t.table])) for t in found if t.table in there]


def missing(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """What is wrong with the triggers, a sentence each; nothing: every change is captured."""
    connection = connections[using]
    with connection.cursor() as cursor:
        backend = _backend(connection)
        if backend.schema_of(cursor) is None:
            return ["the engine's tables are missing: run `manage.py migrate`"]
        there = backend.found(cursor)
    pairs = _asked(using)
    asked = [trigger for _, trigger in pairs if trigger is not None]
    faults = _faults(asked, there)
    stale = there.keys() - {trigger.name for trigger, _ in pairs}
    waiting = [declared for declared, possible in pairs if possible is None]
    return [
        *(f'trigger "{t.name}" on {t.table} waits for a column: migrate' for t in waiting),
        *(
            f'trigger "{t.name}" on {t.table} is {faults[t.name]}'
            for t in asked
            if t.name in faults
        ),
        *(f'trigger "{name}" on {there[name].table} is left over' for name in sorted(stale)),
    ]


def install(using: str = DEFAULT_DB_ALIAS, backfilled: Collection[str] = ()) -> list[str]:
    """Make the triggers what they should be; returns what was wrong.

    `backfilled`: `Latest` namespaces to begin anew from their rows in any case.
    """
    connection = connections[using]
    backend = _backend(connection)
    with transaction.atomic(using=using), connection.cursor() as cursor:
        schema = backend.schema_of(cursor)
        if schema is None:
            return []
        if connection.vendor == "postgresql":
            postgresql.lock(cursor)
        fresh = _put_namespaces(using)
        asked, there = wanted(using), backend.found(cursor)
        faults = _faults(asked, there)
        names = {trigger.name for trigger in asked}
        if connection.vendor == "postgresql":
            _put_functions(cursor, schema, asked)
        for trigger in asked:
            if trigger.name in faults:
                backend.put(cursor, trigger)
        for stale in there.keys() - names:
            backend.remove(cursor, there[stale])
        if connection.vendor == "postgresql":
            postgresql.remove_functions(cursor, schema, _functions(asked))
        gaps = _gaps(asked, faults, fresh)
        _begin(cursor, backend, gaps)
        for namespace in sorted(_latest() & {*gaps, *fresh, *backfilled}):
            _fill(cursor, backend, schema, namespace, anew=namespace not in fresh)
    if faults:
        log.info("triggers.installed", count=len(faults), database=using)
    return [f'trigger "{name}" was {fault}' for name, fault in faults.items()]


def uninstall(using: str = DEFAULT_DB_ALIAS) -> int:
    """Remove all that captures; one by one, since locks on several tables may be a deadlock."""
    connection = connections[using]
    backend = _backend(connection)
    with connection.cursor() as cursor:
        there = backend.found(cursor)
        for trigger in there.values():
            with transaction.atomic(using=using):
                backend.remove(cursor, trigger)
        if connection.vendor == "postgresql" and (schema := postgresql.schema_of(cursor)):
            postgresql.remove_functions(cursor, schema)
    log.warning("triggers.removed", count=len(there), database=using)
    return len(there)


def backfill(
    namespaces: Iterable[str], using: str = DEFAULT_DB_ALIAS, *, anew: bool = True
) -> None:
    """Fill the log of `Latest` namespaces from their rows; `anew=False`: it is empty already."""
    connection = connections[using]
    backend = _backend(connection)
    with transaction.atomic(using=using), connection.cursor() as cursor:
        schema = backend.schema_of(cursor) or ""
        for namespace in namespaces:
            _fill(cursor, backend, schema, namespace, anew=anew)


def begin_anew(namespace: str, using: str = DEFAULT_DB_ALIAS) -> None:
    """As after a TRUNCATE: the namespace's log goes, its topics get a new epoch."""
    connection = connections[using]
    if namespace in _latest():
        backfill([namespace], using)  # the log is the rows
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        _backend(connection).begin_anew(cursor, namespace)


# --- Around migrations


def before_migrate(using: str, plan: Any) -> None:
    """PostgreSQL: functions that survive any DDL. SQLite: no trigger may name a changing column."""
    connection = connections[using]
    backend = _backend(connection)
    with transaction.atomic(using=using), connection.cursor() as cursor:
        schema = backend.schema_of(cursor)
        if not plan or schema is None:
            return
        there = backend.found(cursor)
        if connection.vendor == "sqlite":
            Namespace.objects.using(using).update_or_create(
                name=MIGRATING, defaults={"epoch": str(int(time.time()))}
            )
            for trigger in there.values():
                sqlite.remove(cursor, trigger)
            return
        for trigger in wanted(using):
            if trigger.name in there and trigger.function and trigger.function.tolerant:
                source = trigger.function.tolerant
                postgresql.put_function(cursor, schema, trigger.function, source)


def after_migrate(using: str) -> None:
    """The fast functions, and the triggers that are missing."""
    connection = connections[using]
    with connection.cursor() as cursor:
        there = _backend(connection).schema_of(cursor) is not None
    if there:
        Namespace.objects.using(using).filter(name=MIGRATING).delete()
        install(using)


def migrating(using: str = DEFAULT_DB_ALIAS) -> bool:
    """SQLite: whether a migrate has taken the triggers away and will bring them back.

    One that died is not waited for longer than MIGRATION_S.
    """
    begun = Namespace.objects.using(using).filter(name=MIGRATING).first()
    return begun is not None and int(begun.epoch) > time.time() - MIGRATION_S


def keep_over_rebuild() -> None:
    """SQLite: put our triggers back after a table was rebuilt, in the same transaction.

    A trigger that names a column which is gone stays away, and `missing` says so.
    """
    rebuild = SqliteEditor._remake_table  # type: ignore[attr-defined]  # noqa: SLF001  (no public hook)
    if hasattr(rebuild, "__wrapped__"):
        return

    @functools.wraps(rebuild)
    def rebuild_and_keep(editor: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        table = model._meta.db_table  # noqa: SLF001
        with editor.connection.cursor() as cursor:
            kept = [t for t in sqlite.found(cursor).values() if t.table == table]
            answer = rebuild(editor, model, *args, **kwargs)
            for trigger in kept:
                cursor.execute(trigger.text)
                if not sqlite.works(cursor, table):
                    sqlite.remove(cursor, trigger)
        return answer

    SqliteEditor._remake_table = rebuild_and_keep  # type: ignore[attr-defined]  # noqa: SLF001


# --- Inside


def _backend(connection: Any) -> Any:
    return sqlite if connection.vendor == "sqlite" else postgresql


def _put_namespaces(using: str) -> set[str]:
    """A row for every namespace, before any trigger writes; returns those that had none."""
    names = {*topics.registry(), "", RIGHTS}
    rows = Namespace.objects.using(using)
    fresh = names - set(rows.values_list("name", flat=True))
    for name in sorted(fresh):
        rows.bulk_create(
            [Namespace(name=name, epoch=get_random_string(8, string.ascii_letters))],
            ignore_conflicts=True,
        )
    return fresh


def _faults(asked: list[Trigger], there: dict[str, Found]) -> dict[str, str]:
    """By name, what is wrong with a trigger: missing, disabled or stale."""
    faults = {}
    for trigger in asked:
        found = there.get(trigger.name)
        if found is None:
            faults[trigger.name] = "missing"
        elif not found.enabled:
            faults[trigger.name] = "disabled"
        elif found.text not in {trigger.create, trigger.fingerprint} or (
            (function := trigger.function)
            and found.source not in {function.source, function.tolerant}
        ):
            faults[trigger.name] = "stale"
    return faults


def _functions(asked: list[Trigger]) -> dict[str, Function]:
    shared = ("tocsin_quote", "tocsin_wake", "tocsin_truncated", "tocsin_revoked")
    own = {t.function.name: t.function for t in asked if t.function}
    return {**{name: Function(name, "") for name in shared}, **own}


def _put_functions(cursor: Any, schema: str, asked: list[Trigger]) -> None:
    postgresql.put_shared(cursor, schema)
    sources = postgresql.sources_of(cursor, schema)
    for function in _functions(asked).values():
        tolerant = settings.TOLERANT_TRIGGERS and function.tolerant
        source = function.tolerant if tolerant else function.source
        if source and sources.get(function.name) != source:
            postgresql.put_function(cursor, schema, function, source)


def _gaps(asked: list[Trigger], faults: dict[str, str], fresh: set[str]) -> set[str]:
    """Namespaces whose changes may have been missed, or whose kept bodies have another form."""
    latest, gaps = _latest(), set()
    for trigger in asked:
        fault, what = faults.get(trigger.name), trigger.what
        if fault is not None and what is not None and (fault != "stale" or what in latest):
            gaps.add(what)
    return gaps - fresh


def _begin(cursor: Any, backend: Any, gaps: set[str]) -> None:
    """Make good what was missed: rights are asked again, topics begin anew."""
    for what in sorted(gaps):
        log.warning("namespace.begun", namespace=what, reason="its triggers were away")
        if what == RIGHTS:
            backend.revoke_all(cursor)
        elif what not in _latest():
            backend.begin_anew(cursor, what)


def _latest() -> set[str]:
    return {name for name, topic in topics.registry().items() if topics.is_latest(topic)}


def _fill(cursor: Any, backend: Any, schema: str, namespace: str, *, anew: bool) -> None:
    sources = [source for source in capture.sources() if source.namespace == namespace]
    there = backend.existing(cursor, {source.table for source in sources})
    sources = [source for source in sources if source.table in there]
    backend.exclude_writers(cursor, sources)
    if anew:
        backend.begin_anew(cursor, namespace)
    backend.backfill(cursor, sources, schema)
