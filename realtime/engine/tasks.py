"""The hub's tasks: kept by strong references, restarted when they crash, waited for in tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

log = structlog.get_logger(__name__)

RESTART_S = 0.25
AGAIN_S = 0.1


class Tasks:
    """`spawn`: work that ends. `keep`: loops that never should."""

    def __init__(self) -> None:
        # the loop itself holds its tasks weakly: without these the collector silences the hub
        self._working: set[asyncio.Task[None]] = set()
        self._kept: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._working.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task.failed", task=str(task.get_coro()), exc_info=error)

    def keep(self, run: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.get_running_loop().create_task(_again_and_again(run))
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    @property
    def working(self) -> bool:
        return bool(self._working)

    async def idle(self) -> None:
        """Wait until no work is under way."""
        while self._working:
            await asyncio.wait(self._working)

    async def stop(self) -> None:
        # a library may swallow a cancellation that comes as its own wait ends (asyncio.wait_for of
        # Python 3.11 does), and a loop would go on for ever: it is told again
        while tasks := {*self._kept, *self._working}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=AGAIN_S)


async def _again_and_again(run: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await run()
        except Exception:
            log.exception("task.crashed", task=run.__name__)
        await asyncio.sleep(RESTART_S)
