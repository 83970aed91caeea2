"""Looks whether the triggers are there while the relay leads, and puts lost ones back.

A program may drop them, a table rebuilt by hand loses them: what is written then is captured by
nobody, so it is an error that a person must hear of, although it heals here.
"""

from __future__ import annotations

import asyncio

import structlog
from django.db import connection, transaction

from realtime.engine import metrics, pool, triggers
from realtime.engine.conf import settings

log = structlog.get_logger(__name__)

# a new log of many rows takes a while
REPAIR_S = 600.0
# behind DDL that waits for a long transaction every other writer of its table waits, too
LOCK_S = 2
LOST = ("is missing", "is disabled")


def look() -> None:
    """One look, and the repair. In a thread of the pool."""
    missing = triggers.missing()
    metrics.TRIGGERS_MISSING.set(len(missing))
    if not missing or triggers.migrating():
        return
    log.error("triggers.missing", count=len(missing), first=missing[0])
    if not all(fault.endswith(LOST) for fault in missing):
        # they are of another release, which is being installed; whose turn it is we cannot know
        return
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_S}s"])
        triggers.install()
    left = triggers.missing()
    metrics.TRIGGERS_MISSING.set(len(left))
    if not left:
        log.warning("triggers.repaired", count=len(missing))


async def watch() -> None:
    """Look every TRIGGER_CHECK_S until cancelled; a look that fails is only logged."""
    ask = pool.awaitable(look, patience_s=lambda: REPAIR_S)
    while True:
        await asyncio.sleep(settings.TRIGGER_CHECK_S)
        try:
            await ask()
        except Exception as error:  # noqa: BLE001  (the next look comes)
            log.warning("triggers.unchecked", error=repr(error))
