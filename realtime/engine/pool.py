"""The threads in which the event loop asks the database: bounded, so its connections are, too."""

from __future__ import annotations

import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from channels.db import database_sync_to_async
from django.db import connections, reset_queries

from realtime.engine.conf import settings
from realtime.engine.silence import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

P = ParamSpec("P")
R = TypeVar("R")


_executors: dict[str, tuple[ThreadPoolExecutor, int]] = {}
_watch = Watch()


def _executor(threads: str) -> ThreadPoolExecutor:
    if threads not in _executors:
        count = getattr(settings, threads)
        _executors[threads] = ThreadPoolExecutor(count, thread_name_prefix="tocsin"), count
    return _executors[threads][0]


def _patience_s() -> float:
    return float(settings.DATABASE_ANSWER_S)


def awaitable(
    function: Callable[P, R],
    threads: str = "DATABASE_THREADS",
    patience_s: Callable[[], float] = _patience_s,
) -> Callable[P, Awaitable[R]]:
    """The awaitable twin of a function that asks the database.

    It runs in one of the `threads`, as a setting numbers them, with a connection that is checked
    first: one that died with the database heals at the next call. No statement of it is waited for
    longer than `patience_s` says.
    """

    def asked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with _watch.over(patience_s()):
                return function(*args, **kwargs)
        finally:
            # where DEBUG is on, Django keeps every query until the next request: here is none
            reset_queries()

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        ask = database_sync_to_async(asked, thread_sensitive=False, executor=_executor(threads))
        answer: R = await ask(*args, **kwargs)
        return answer

    return call


def close() -> None:
    """End the threads and their connections; the next call begins new ones."""
    while _executors:
        _, (executor, count) = _executors.popitem()
        _close(executor, threading.Barrier(count))
        executor.shutdown()
    _watch.close()


def _close(executor: ThreadPoolExecutor, together: threading.Barrier) -> None:
    def leave() -> None:
        together.wait(timeout=10)  # so that every thread takes exactly one
        connections.close_all()

    for done in [executor.submit(leave) for _ in range(together.parties)]:
        done.result()
