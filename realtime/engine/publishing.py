"""What clients publish: by right of the topic's `allows_publish`, into the log like every change.

A topic that keeps nothing is passed on without the database, after the question about the right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime.engine import outbox, people, pool, topics

if TYPE_CHECKING:
    from realtime.engine.topics import Match


def may_publish(user_id: str, match: Match) -> bool:
    """Only where the declaration says so, and to a person who is still one of ours."""
    declaration = match.declaration
    if declaration.allows_publish is None or topics.is_latest(declaration):
        return False
    user = people.load_user(user_id)
    return user is not None and bool(declaration.allows_publish(user, **match.params))


def publish_for(user_id: str, match: Match, data: str, about: str | None) -> bool:
    """Publish if the user may. `data` is JSON text; `about`: who publishes it."""
    allowed = may_publish(user_id, match)
    if allowed:
        outbox.put(match.topic, data, about)
    return allowed


amay_publish = pool.awaitable(may_publish)
apublish_for = pool.awaitable(publish_for)
