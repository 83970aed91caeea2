"""The hub's tasks do not get lost."""

import asyncio
import contextlib

from structlog.testing import capture_logs

from realtime.engine import tasks
from realtime.engine.tasks import Tasks


async def test_a_crashed_loop_is_logged_and_begins_again(monkeypatch):
    monkeypatch.setattr(tasks, "RESTART_S", 0)
    runs, again = [], asyncio.Event()

    async def run():
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("crash")
        again.set()
        await asyncio.Event().wait()

    kept = Tasks()
    with capture_logs() as logs:
        kept.keep(run)
        await asyncio.wait_for(again.wait(), 5)
    assert [line["event"] for line in logs] == ["task.crashed"]
    await kept.stop()


async def test_a_loop_ends_also_where_a_library_has_swallowed_its_cancellation():
    waits = asyncio.Event()

    async def deaf_at_first():
        with contextlib.suppress(asyncio.CancelledError):
            waits.set()
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    kept = Tasks()
    kept.keep(deaf_at_first)
    await waits.wait()
    await asyncio.wait_for(kept.stop(), 15)
    assert len(asyncio.all_tasks()) == 1


async def test_work_that_fails_is_logged_and_waited_for():
    async def fail():
        await asyncio.sleep(0)
        raise ValueError("crash")

    work = Tasks()
    with capture_logs() as logs:
        work.spawn(fail())
        assert work.working
        await work.idle()
        await asyncio.sleep(0)
    assert [line["event"] for line in logs] == ["task.failed"]
    assert not work.working
