"""Remembers outside the database how far it had got: a key in Redis, one for each life.

A database brought back from an older copy stands behind its witness. A witness that is missing, or
a Redis that does not answer, proves nothing.
"""

from __future__ import annotations

import structlog

from realtime.engine import redis_client
from realtime.engine.exceptions import Unavailable
from realtime.engine.redis_client import within

log = structlog.get_logger(__name__)

KEPT_S = 90 * 86_400


class Witness:
    """Never raises, never waits longer than BROKER_TIMEOUT_S."""

    def __init__(self) -> None:
        self._redis = redis_client.connect()

    async def highest(self, life: str) -> int:
        """The highest id that was seen in this life; 0 where nobody knows."""
        try:
            return int(await within(self._redis.get(_key(life))) or 0)
        except (Unavailable, ValueError) as error:
            log.debug("witness.silent", error=repr(error.__cause__ or error))
            return 0

    async def testify(self, life: str, highest: int) -> bool:
        try:
            await within(self._redis.set(_key(life), highest, ex=KEPT_S))
        except Unavailable as error:
            log.debug("witness.silent", error=repr(error.__cause__))
            return False
        return True

    async def close(self) -> None:
        await self._redis.aclose()


def _key(life: str) -> str:
    return f"tocsin:witness:{life}"
