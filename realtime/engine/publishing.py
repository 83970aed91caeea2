"""What clients publish: by right of the topic's `allows_publish`, into the log like every change.

A topic that keeps nothing is passed on by Redis alone, after the question about the right.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.db import Error as DatabaseError

from realtime.engine import history, outbox, passing, people, pool, topics
from realtime.engine.conf import settings

if TYPE_CHECKING:
    from realtime.engine.outbox import Unnumbered
    from realtime.engine.passing import Seen
    from realtime.engine.topics import Match

log = structlog.get_logger(__name__)

FIRST_LOOK_S = 0.002


@dataclass(frozen=True, slots=True)
class Put:
    """Whether it is published; `unnumbered`: the relay has not brought it to the log yet."""

    allowed: bool
    unnumbered: Unnumbered | None = None


def may_publish(user_id: str, match: Match) -> bool:
    """Only where the declaration says so, and to a person who is still one of ours."""
    declaration = match.declaration
    if declaration.allows_publish is None or topics.is_latest(declaration):
        return False
    user = people.load_user(user_id)
    return user is not None and topics.permits(declaration.allows_publish, user, match)


def publish_for(user_id: str, match: Match, data: str, about: str | None) -> Put:
    """Publish if the user may. `data` is JSON text; `about`: who publishes it."""
    if not may_publish(user_id, match):
        return Put(allowed=False)
    return Put(allowed=True, unnumbered=outbox.put(match.topic, data, about))


def may_pass(user_id: str, match: Match) -> Seen | None:
    """None if the user may not publish; else the revocations that it comes after."""
    return passing.look() if may_publish(user_id, match) else None


async def numbered(topic: str, put: Unnumbered) -> bool:
    """Wait until the log has it, at most PENDING_WAIT_S; committed it is in any case.

    Who is told that it is published finds it in the history.
    """
    loop = asyncio.get_running_loop()
    deadline, pause_s = loop.time() + settings.PENDING_WAIT_S, FIRST_LOOK_S
    while loop.time() < deadline:
        await asyncio.sleep(pause_s)
        pause_s *= 2
        try:
            count, _ = await history.aarrived(topic, put.after, [put.entry])
        except DatabaseError as error:
            log.warning("publish.unseen", topic=topic, error=repr(error))
            return False
        if count:
            return True
    return False


amay_pass = pool.awaitable(may_pass)
apublish_for = pool.awaitable(publish_for)
