"""How much of what was sent a client has not read yet.

The server never waits for a slow reader (daphne/ws_protocol.py:251), so only the reader can tell:
it answers a ping when it has read all that came before it. What has not left this process nobody
has read, whatever is answered. What the reader asked for is not held against it while it reads at
all: it is asked no more while much is unread (limits.Turns).
"""

from __future__ import annotations

from collections import deque

# above the bound by this factor nobody is given time
HARD = 4
# so many times as long may a reader take to read anything of what it asked for
PATIENCE = 10


class Backlog:
    def __init__(self, bound_bytes: int, slow_s: float) -> None:
        self._bound, self._slow_s = bound_bytes, slow_s
        self._sent = self._read = 0
        # of each reply: where it ends, and its size
        self._replies: deque[tuple[int, int]] = deque()
        self._asked = 0
        self._pings: deque[int] = deque()
        self._over_since: float | None = None
        self._idle_since: float | None = None

    @property
    def bytes(self) -> int:
        return self._sent - self._read

    @property
    def _pushed(self) -> int:
        return self.bytes - self._asked

    @property
    def busy(self) -> bool:
        return self.bytes > self._bound // 2

    @property
    def wants_ping(self) -> bool:
        """Much is unread, and no ping is under way that would tell when it is read."""
        return self.busy and not self._pings

    def sent(self, size: int, now: float, *, asked: bool = False) -> None:
        self._sent += size
        if asked:
            self._replies.append((self._sent, size))
            self._asked += size
        if self._pushed > self._bound and self._over_since is None:
            self._over_since = now
        if self.bytes > self._bound and self._idle_since is None:
            self._idle_since = now

    def pinged(self) -> None:
        self._pings.append(self._sent)

    def ponged(self, now: float, unsent: int = 0) -> None:
        """The client has read everything up to its oldest unanswered ping, less what is unsent."""
        before = self._read
        if self._pings:
            self._read = max(self._read, min(self._pings.popleft(), self._sent - unsent))
        while self._replies and self._replies[0][0] <= self._read:
            self._asked -= self._replies.popleft()[1]
        if self.bytes <= self._bound:
            self._idle_since = None
        elif self._read > before:
            self._idle_since = now
        if self._pushed <= self._bound:
            self._over_since = None
        elif self._read > before:
            self._over_since = now  # slow, but it reads: it has its time anew

    def too_slow(self, now: float) -> bool:
        """It is time to give the reader up; it comes back and recovers."""
        if self._pushed > HARD * self._bound:
            return True
        if self._idle_since is not None and now >= self._idle_since + PATIENCE * self._slow_s:
            return True
        return self._over_since is not None and now >= self._over_since + self._slow_s

    @property
    def due(self) -> float | None:
        """When a reader above the bound has had its time."""
        return None if self._over_since is None else self._over_since + self._slow_s
