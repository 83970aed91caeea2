"""A line between two parts that can be cut, swallowed or slowed: a relay of bytes, in this loop."""

import asyncio
import contextlib
import random
import time
import weakref

THERE, BACK = "there", "back"
SLICE, SLICED, PAUSE_S = 7, 70, (0.1, 0.5)
BLOCK, DEPTH = 1 << 16, 64


class Link:
    """From `listen` to `target`, each the path of a unix socket or a port of this machine."""

    def __init__(self, listen, target):
        self.listen, self._target = listen, target
        self._lines = set()
        self._tasks = set()
        self._ways = {way: weakref.WeakSet() for way in (THERE, BACK)}
        self._chance = random.Random(0)
        self._open = asyncio.Event()
        self._open.set()
        self._slow = False

    async def start(self):
        if isinstance(self.listen, int):
            self._server = await asyncio.start_server(self._line, "127.0.0.1", self.listen)
        else:
            self._server = await asyncio.start_unix_server(self._line, self.listen)

    async def stop(self):
        self._server.close()
        self.reset()
        for way in [*self._ways[THERE], *self._ways[BACK]]:
            way.over.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def reset(self):
        """Every line that there is breaks; new ones are let through."""
        for writer in self._lines:
            writer.transport.abort()

    def swallow(self):
        """Nothing arrives any more, in either direction, and nobody is told."""
        self._open.clear()

    def deafen(self, way):
        """Of the lines that there are, one end goes on sending and is heard no more, nor its end.

        `way`: THERE, what the one that dialled says, or BACK. New lines are whole.
        """
        for one in self._ways[way]:
            one.lost = True

    def slow(self):
        """What is said arrives later, and a few bytes at a time."""
        self._slow = True

    def heal(self):
        """As it was; lines on which something was swallowed are beyond help."""
        swallowed = not self._open.is_set()
        self._slow = False
        self._open.set()
        if swallowed:
            self.reset()

    async def _line(self, reader, writer):
        self._lines.add(writer)
        self._tasks.add(task := asyncio.current_task())
        task.add_done_callback(self._tasks.discard)
        try:
            there = await self._dial()
        except OSError:
            there = None
        if there is not None:
            self._lines.add(there[1])
            ways = Way(), Way()
            for way, kept in zip(ways, self._ways.values(), strict=True):
                kept.add(way)
            both = (
                self._copy(reader, there[1], *ways),
                self._copy(there[0], writer, *reversed(ways)),
            )
            await asyncio.gather(*both, return_exceptions=True)
            self._hang_up(there[1])
        self._hang_up(writer)

    async def _dial(self):
        await self._open.wait()
        if isinstance(self._target, int):
            return await asyncio.open_connection("127.0.0.1", self._target)
        return await asyncio.open_unix_connection(self._target)

    def _hang_up(self, writer):
        self._lines.discard(writer)
        if writer.get_extra_info("socket").fileno() >= 0:  # else it is closed already
            writer.transport.abort()

    async def _copy(self, reader, writer, way, other):
        under_way = asyncio.Queue(DEPTH)
        try:
            await asyncio.gather(
                self._take(reader, under_way), self._give(under_way, writer, way, other)
            )
        finally:
            way.over.set()
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()

    async def _take(self, reader, under_way):
        """Later, and not less at a time: what follows is under way meanwhile."""
        with contextlib.suppress(OSError):  # broken: the end of it
            while block := await reader.read(BLOCK):
                late_s = self._chance.uniform(*PAUSE_S) if self._slow else 0
                await under_way.put((time.monotonic() + late_s, block, self._slow))
        await under_way.put((0, b"", False))

    async def _give(self, under_way, writer, way, other):
        while True:
            due, block, slowly = await under_way.get()
            if way.lost:
                if block:
                    continue
                await other.over.wait()
            if not block:
                return
            await asyncio.sleep(max(0, due - time.monotonic()))
            for one in sliced(block) if slowly else [block]:
                await self._open.wait()
                if other.lost and writer.is_closing():
                    continue  # who is not heard is gone, and who speaks to it is not told
                writer.write(one)
                with contextlib.suppress(OSError) if other.lost else contextlib.nullcontext():
                    await writer.drain()


class Way:
    """One direction of a line. `lost`: what is said arrives no more; `over`: its end was told."""

    def __init__(self):
        self.lost, self.over = False, asyncio.Event()


def sliced(block):
    """In pieces at its beginning; more would measure this program alone."""
    return [*(block[n : n + SLICE] for n in range(0, SLICED, SLICE)), block[SLICED:]]
