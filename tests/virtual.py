"""An event loop whose clock jumps: a test of timeouts takes no time and is the same each time."""

import asyncio
import selectors

LEAST_S = 1e-6
# so many rounds in which no time passes: on a real clock it would have
BUSY = 10_000


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.now = 0.0
        super().__init__(_Jumping(self))

    def time(self):
        return self.now

    def pass_time(self, seconds):
        """Let everything happen that happens within these seconds."""
        self.run_until_complete(asyncio.sleep(seconds))


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop, self._rounds = loop, 0

    def select(self, timeout=None):
        assert timeout is not None, "nothing will ever happen again"
        self._rounds = 0 if timeout else self._rounds + 1
        # a step too small for a float would stand still, and who waits for it would ask for ever
        if timeout or self._rounds > BUSY:
            self._loop.now += max(timeout, LEAST_S)
        return super().select(0)
