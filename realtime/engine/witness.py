"""Remembers outside the database how far it had got: a key in Redis, one for each life.

A database brought back from an older copy stands behind its witness. A witness that is missing, or
a Redis that does not answer, proves nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from django.conf import settings as django_settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from realtime.engine.conf import settings

log = structlog.get_logger(__name__)

KEPT_S = 90 * 86_400


class Witness:
    """Never raises, never waits longer than BROKER_TIMEOUT_S."""

    def __init__(self) -> None:
        self._redis: Any = Redis.from_url(
            django_settings.REDIS_URL,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=settings.BROKER_TIMEOUT_S,
            socket_connect_timeout=settings.BROKER_TIMEOUT_S,
        )

    async def highest(self, life: str) -> int:
        """The highest id that was seen in this life; 0 where nobody knows."""
        try:
            async with asyncio.timeout(settings.BROKER_TIMEOUT_S):
                return int(await self._redis.get(_key(life)) or 0)
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            log.debug("witness.silent", error=repr(error))
            return 0

    async def testify(self, life: str, highest: int) -> bool:
        try:
            async with asyncio.timeout(settings.BROKER_TIMEOUT_S):
                await self._redis.set(_key(life), highest, ex=KEPT_S)
        except (RedisError, OSError, TimeoutError) as error:
            log.debug("witness.silent", error=repr(error))
            return False
        return True

    async def close(self) -> None:
        await self._redis.aclose()


def _key(life: str) -> str:
    return f"tocsin:witness:{life}"
