"""What no log keeps comes behind the revocations that were committed before it.

Its publisher looks where they stand, and sends that along as the mark; the hubs hand nothing out
before they have handled what the mark names (correctness.md, section 7).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from realtime.engine import history, pool
from realtime.engine.conf import settings

FIRST_LOOK_S, LOOK_MAX_S = 0.002, 0.1


@dataclass(frozen=True, slots=True)
class Seen:
    """The offset of the last revocation; `unnumbered`: entries the relay has not brought there."""

    offset: int
    unnumbered: frozenset[int] = frozenset()


def look() -> Seen:
    """All revocations that are committed, at one instant."""
    rows = history.query("revocations")
    return Seen(rows[0][0], frozenset(entry for _, entry in rows if entry is not None))


alook = pool.awaitable(look, "API_THREADS")


async def mark(seen: Seen) -> int | None:
    """The mark that covers all that was seen.

    None: the relay did not number it within PENDING_WAIT_S, so nothing may be passed on.
    """
    loop = asyncio.get_running_loop()
    deadline, pause_s, now = loop.time() + settings.PENDING_WAIT_S, FIRST_LOOK_S, seen
    while seen.unnumbered & now.unnumbered:
        if loop.time() >= deadline:
            return None
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LOOK_MAX_S)
        now = await alook()
    return now.offset
