"""Programs kept alive in one terminal: prefixed output, restart with back-off, one orderly end.

Each program leads a process group of its own: what it leaves behind when it dies goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from project.servers import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
STEADY_S = 20.0  # who lived so long starts again at once
STOP_S = 14.0  # more than a web process takes to drain
LAST_WORDS_S = 1.0
LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Program:
    """What to run; `last` ones stop after all others."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    last: bool = False


class Supervisor:
    """Runs programs until `stop`; a program that ends by itself is started again."""

    def __init__(self, say: Callable[[str, str], None]) -> None:
        self._say = say
        self._tasks: list[tuple[Program, asyncio.Task[None]]] = []
        self._running: dict[str, asyncio.subprocess.Process] = {}

    @property
    def pids(self) -> dict[str, int]:
        """Of the programs running now, by name."""
        return {name: process.pid for name, process in self._running.items()}

    def start(self, program: Program) -> None:
        self._tasks.append((program, asyncio.create_task(self._keep(program))))

    async def once(self, program: Program) -> int:
        """Run to the end; its exit code."""
        process = await self._spawn(program)
        reading = asyncio.create_task(self._read(program, process))
        self._running[program.name] = process
        try:
            return await process.wait()
        except asyncio.CancelledError:
            await self._end(program, process)
            raise
        finally:
            del self._running[program.name]
            _kill_group(process.pid)
            # not wait_for: on 3.11 it may swallow a cancellation that comes as the line ends
            await asyncio.wait([reading], timeout=LAST_WORDS_S)
            reading.cancel()

    async def stop(self) -> None:
        """TERM to all, to the `last` ones when the others are gone; KILL to who stays too long."""
        for last in (False, True):
            tasks = [task for program, task in self._tasks if program.last is last]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- Faults, for who wants to see it hold; a KeyError where no such program runs

    def kill(self, name: str) -> None:
        self._running[name].kill()

    def kill_children(self, name: str) -> None:
        """What the program keeps alive itself; it lives on."""
        process = self._running[name]
        try:
            children = _children(process.pid)
        except (OSError, subprocess.SubprocessError):  # no such `ps` here: then all of it
            _kill_group(process.pid)
            return
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def freeze(self, name: str, seconds: float) -> None:
        """Stop it in the middle of what it does; it goes on by itself."""
        process = self._running[name]
        process.send_signal(signal.SIGSTOP)
        asyncio.get_running_loop().call_later(seconds, _thaw, process)

    async def _keep(self, program: Program) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            began = time.monotonic()
            code = await self.once(program)
            if time.monotonic() - began > STEADY_S:
                wait_s = FIRST_WAIT_S
            self._say(program.name, f"ended ({ending(code)}); starts again in {wait_s:g} s")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *program.command,
            env={**os.environ, **program.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            # Redis may be frozen when we are killed: then it would hear of no TERM, ever
            preexec_fn=functools.partial(
                end_with_parent, signal.SIGKILL if program.last else signal.SIGTERM
            ),
            limit=LINE_BYTES,
        )

    async def _read(self, program: Program, process: asyncio.subprocess.Process) -> None:
        stdout = process.stdout
        while stdout is not None:
            try:
                line = await stdout.readline()
            except ValueError:  # a line beyond LINE_BYTES; the rest of it follows
                continue
            if not line:
                return
            # of a progress bar that returns the carriage, the last state
            text = line.decode(errors="replace").rstrip().rpartition("\r")[2]
            if text:
                self._say(program.name, text)

    async def _end(self, program: Program, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        _thaw(process)  # or it would not hear of it
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            self._say(program.name, f"did not stop within {STOP_S:g} s: killed")
            _kill_group(process.pid)
            await process.wait()


def ending(code: int) -> str:
    """An exit code in words: `exit code 1`, `SIGKILL`."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _thaw(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)


def _children(pid: int) -> list[int]:
    told = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="],  # noqa: S607  (POSIX has it, where is the system's own)
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = [line.split() for line in told.stdout.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
