"""An event loop whose clock jumps: a test of timeouts takes no time and is the same each time."""

import asyncio
import selectors


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
        self._loop = loop

    def select(self, timeout=None):
        if timeout:
            # a step too small for a float would stand still
            self._loop.now += max(timeout, 1e-6)
        assert timeout is not None, "nothing will ever happen again"
        return super().select(0)
