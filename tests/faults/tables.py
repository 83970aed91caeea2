"""What is done to tables, triggers, roles and the log of a site at work, by hand and by programs.

Everything runs in a thread: the lines of the web processes go through the loop of the battery, and
what waits for a lock of theirs there would wait for ever.
"""

import asyncio
import contextlib
import time

from django.db import OperationalError, connection

from realtime.engine import triggers
from realtime.engine.leader.desk import PostgresqlDesk, SqliteDesk
from realtime.engine.leader.retention import Retention
from realtime.engine.leader.sqlite import PatientRetention
from tests.faults import site as sites
from tests.faults.battery import DEADLINE_S
from tests.faults.checker import Began
from tests.faults.site import COURIER
from tests.live import _raw, ask, eventually
from tests.processes import manage, running

INBOX, TICKERS, TRADES = "notifications_notification", "markets_ticker", "markets_trade"
FEW = 30  # publications that are heard while a table is away
INSTALLS, DAY_S = 2, 86_400.0


async def say(*statements):
    """By one connection, each statement by itself."""

    def run():
        program = _raw()
        if connection.vendor == "postgresql":
            program.execute("SET lock_timeout = '20s'")
        for statement in statements:
            program.execute(statement)
        program.close()

    await asyncio.to_thread(run)


async def program(*words, **environment):
    """`manage.py` on the site's database, to its end."""

    def run():
        with running(*manage(*words), **environment) as started:
            assert started.process.wait(DEADLINE_S) == 0, started.said

    await asyncio.to_thread(run)


def epochs(namespaces):
    rows = dict(ask("SELECT name, epoch FROM tocsin_namespace"))
    return [rows[name] for name in namespaces]


async def begin_anew(battery, namespaces, doing):
    """What is done begins these namespaces anew; the judge expects it of them, and of no other."""
    before = epochs(namespaces)
    battery.renewed.update(namespaces)
    await doing
    await eventually(
        lambda: all(a != b for a, b in zip(before, epochs(namespaces), strict=True)), DEADLINE_S
    )


# --- Tables


async def rebuild_tables(battery):
    """All of a table's rows are written again, by hand, and nobody hears of it."""
    if connection.vendor == "postgresql":
        await say(
            f"VACUUM FULL {INBOX}",
            f"CLUSTER {INBOX} USING {INBOX}_pkey",
            f"ALTER TABLE {INBOX} ADD extra float DEFAULT random()",
            f"ALTER TABLE {INBOX} DROP extra",
        )
    else:
        await say(
            f"ALTER TABLE {INBOX} ADD extra int DEFAULT 5",
            f"ALTER TABLE {INBOX} DROP extra",
            "VACUUM",
        )
    await battery.heard_by_all("a table rebuilt, a column added and dropped")


async def rename_tables(battery):
    """What is written meanwhile fails, or is written under the other name and heard."""
    for table in (INBOX, TICKERS):
        await say(f"ALTER TABLE {table} RENAME TO away")
        try:
            await battery.goes_on(FEW)
        finally:
            await say(f"ALTER TABLE away RENAME TO {table}")
    await battery.heard_by_all("tables renamed, and back")


async def empty_tables(battery):
    if connection.vendor == "postgresql":
        doing = say(f"TRUNCATE {INBOX}", f"TRUNCATE {TRADES} CASCADE")
        await begin_anew(battery, ("inbox", "trades"), doing)
        await battery.heard_by_all("TRUNCATE")
    else:
        await say(f"DELETE FROM {INBOX}")
        await battery.heard_by_all("every row deleted at once")


# --- Triggers


def some_of(*tables):
    """Of each table the name of a trigger of ours that captures changes."""
    found = [
        next(t for t in triggers.wanted() if t.table == table and t.what is not None)
        for table in tables
    ]
    return [(trigger.table, trigger.name) for trigger in found]


async def drop_triggers(battery):
    """What is written until the relay's next look nobody captures."""
    lost = await asyncio.to_thread(some_of, INBOX, TICKERS)
    on = {table: f' ON "{table}"' if connection.vendor == "postgresql" else "" for table, _ in lost}
    drops = [f'DROP TRIGGER "{name}"{on[table]}' for table, name in lost]
    await begin_anew(battery, ("inbox", "tickers"), say(*drops))
    await battery.heard_by_all("triggers dropped by hand")


async def install_triggers(battery):
    """As each deploy does it; nothing is to be done."""
    for _ in range(INSTALLS):
        await program("triggers", "install", **battery.site.environment)
    await program("migrate", **battery.site.environment)
    await battery.heard_by_all("triggers installed again, migrate")


# --- Rights

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"


async def refuse_relays(battery):
    """Applications go on to write; what they wrote is delivered when the relays may come again."""
    if connection.vendor != "postgresql":
        return
    await say(f"ALTER ROLE {COURIER} NOLOGIN", f"{CUT} AND usename = '{COURIER}'")
    try:
        await battery.site.unready()
        [[before]] = ask("SELECT last_value FROM tocsin_entry_id_seq")
        await eventually(
            lambda: ask("SELECT last_value FROM tocsin_entry_id_seq") > [(before + FEW,)],
            DEADLINE_S,
        )
    finally:
        await say(f"ALTER ROLE {COURIER} LOGIN")
    await battery.heard_by_all("relays refused by PostgreSQL")


async def make_read_only(battery):
    """Writers are told; so is whoever asks for the site's health."""
    if connection.vendor != "postgresql":
        return
    [[name]] = ask("SELECT current_database()")
    always = f'ALTER DATABASE "{name}" '
    # the connections in between belong to the test: they keep what they were opened with
    await say(f"{always} SET default_transaction_read_only = on", CUT)
    try:
        await battery.site.unready()
    finally:
        writable = "SET default_transaction_read_only = off"
        await say(writable, f"{always} RESET default_transaction_read_only", CUT)
    await battery.heard_by_all("PostgreSQL read-only")


# --- The log


def trim():
    """As the relay trims, and as if nobody had asked for more than the last publication."""
    sqlite = connection.vendor == "sqlite"
    desk = SqliteDesk() if sqlite else PostgresqlDesk()
    keeper = (PatientRetention if sqlite else Retention)(desk)
    kept = ("inbox:", "trades:", "announcements:")
    topics = [topic for topic in sites.heads() if topic.startswith(kept)]
    policies = [{"topic": topic, "size": 1, "age_s": DAY_S} for topic in topics]
    try:
        with contextlib.suppress(OperationalError):  # locked: writers come first
            while keeper._remove("trim", policies):
                pass
    finally:
        desk.close()


async def until_told(battery, do):
    """Again and again, until somebody who came back was told that it missed something."""
    before, end = told(battery), time.monotonic() + DEADLINE_S
    while told(battery) == before:
        assert time.monotonic() < end, "nobody was told"
        await do()


async def trim_log(battery):
    """Whoever comes back below what was removed is told, and starts from the rows."""
    await until_told(battery, lambda: asyncio.to_thread(trim))
    await battery.heard_by_all("log trimmed to the last publication")


async def damage_log(battery):
    """By hand, without a word to whoever reads it: a hole is never passed over in silence.

    Not of a `Latest` topic, whose log is its rows.
    """
    kept = "topic LIKE 'inbox:%' OR topic LIKE 'trades:%' OR topic LIKE 'announcements:%'"
    holes = f'DELETE FROM tocsin_log WHERE ({kept}) AND "offset" % 7 = 3'
    await until_told(battery, lambda: say(holes))
    await battery.heard_by_all("holes torn into the log")
    await until_told(battery, lambda: say(f"DELETE FROM tocsin_log WHERE {kept}"))
    await battery.heard_by_all("the log deleted")


def told(battery):
    """How often clients that asked to go on were told that they cannot."""
    events = [event for client in battery.clients for event in client.log]
    return sum(isinstance(event, Began) and event.told for event in events)


TABLES = (
    rebuild_tables,
    rename_tables,
    empty_tables,
    drop_triggers,
    install_triggers,
    refuse_relays,
    make_read_only,
    trim_log,
    damage_log,
)
