"""The cache: in Redis, so that rate limits count for all processes; never in a request's way.

While Redis does not answer each process counts by itself, and asks Redis again after a while.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

AGAIN_S = 5.0
TIMEOUT_S = 0.2


class Cache(BaseCache):
    """Redis, else this process's memory."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        short = {"socket_connect_timeout": TIMEOUT_S, "socket_timeout": TIMEOUT_S}
        options = {**short, **params.get("OPTIONS", {})}
        self._redis = RedisCache(location, {**params, "OPTIONS": options})
        self._memory = LocMemCache("tocsin", {**params, "OPTIONS": {}})
        self._again = 0.0

    def _do(self, work: Callable[[BaseCache], Any]) -> Any:
        if time.monotonic() >= self._again:
            try:
                return work(self._redis)
            except (RedisError, OSError) as error:
                self._again = time.monotonic() + AGAIN_S
                log.warning("cache.degraded", error=type(error).__name__, again_in_s=AGAIN_S)
        return work(self._memory)

    def add(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return bool(self._do(lambda cache: cache.add(key, value, timeout, version)))

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return self._do(lambda cache: cache.get(key, default, version))

    def set(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        self._do(lambda cache: cache.set(key, value, timeout, version))

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._do(lambda cache: cache.touch(key, timeout, version)))

    def delete(self, key: str, version: int | None = None) -> bool:
        return bool(self._do(lambda cache: cache.delete(key, version)))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        return int(self._do(lambda cache: cache.incr(key, delta, version)))

    def clear(self) -> None:
        self._do(lambda cache: cache.clear())
