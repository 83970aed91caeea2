"""How much a client may ask for: its rate of commands, and its connections.

No clock of its own: the instant is an argument.
"""

from __future__ import annotations

from collections import Counter


class Bucket:
    """A rate that lasts, and a burst above it."""

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._left, self._at = burst, now

    def take(self, count: int, now: float) -> bool:
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < count:
            return False
        self._left -= count
        return True


class Seats:
    """How many connections somebody holds in this process; `name` is a user or an address."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, name: str, most: int) -> bool:
        if not name:
            return True
        if self._taken[name] >= most:
            return False
        self._taken[name] += 1
        return True

    def give_back(self, name: str) -> None:
        if name and name in self._taken:
            self._taken[name] -= 1
            if not self._taken[name]:
                del self._taken[name]
