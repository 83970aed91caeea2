"""Redis for whoever can do without it: no retries; nothing waits longer than BROKER_TIMEOUT_S."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from realtime.engine.conf import settings
from realtime.engine.exceptions import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable


def connect() -> Any:
    """A client of the site's Redis, for one event loop; it connects when it is first used."""
    return Redis.from_url(
        django_settings.REDIS_URL,
        # redis-py would try again, with pauses, while everybody waits
        retry=Retry(NoBackoff(), 0),
        socket_timeout=settings.BROKER_TIMEOUT_S,
        socket_connect_timeout=settings.BROKER_TIMEOUT_S,
    )


def life_ms() -> int:
    """How long what a process says of itself with each beat is believed; one beat may be lost."""
    return int(1000 * max(settings.PRESENCE_TTL_S, 2 * settings.PRESENCE_BEAT_S))


async def within(call: Awaitable[Any]) -> Any:
    """The answer to `call`; raises Unavailable where none comes in time."""
    try:
        async with asyncio.timeout(settings.BROKER_TIMEOUT_S):
            return await call
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable from error
