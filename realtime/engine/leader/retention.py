"""Keeps the log short: by number, by age, and by key where only the newest value counts.

Runs between two moves, in small batches. A reader below what was removed is told so by the floor.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from realtime.engine import metrics, names, outbox, topics
from realtime.engine.conf import settings
from realtime.engine.leader.desk import as_json
from realtime.engine.topics import History, Latest

if TYPE_CHECKING:
    from realtime.engine.leader.desk import Desk

DAY_S = 86_400.0
TOPICS = 200
ROWS = {"postgresql": 500, "sqlite": 200}
# Nothing kept: it stays for those who are about to read it
UNKEPT_S = GRACE_S = 60.0
CONTROL_S = 3600.0
IDLE_S = 90 * DAY_S
# beyond any offset: no limit by number
UNBOUNDED = 2**53


class Retention:
    """Walks over the topics, a page of them at each call."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._after = ""
        self._rows = ROWS[desk.vendor]

    def bounds(self) -> dict[str, Any]:
        """More parameters of the statements that look for what to remove."""
        return {}

    def trim(self) -> int:
        """Trim one page of topics; the number of things removed."""
        page = [row[0] for row in self._desk.ask("topic_page", after=self._after, topics=TOPICS)]
        self._after = page[-1] if len(page) == TOPICS else ""
        policies = [policy(topic) for topic in page]
        kept = [p for p in policies if "size" in p]
        latest = [p for p in policies if "size" not in p]
        removed = self._remove("trim", kept)
        removed += self._remove("compact", latest, grace_s=GRACE_S)
        removed += self._remove("bury", latest)
        metrics.TRIMMED.inc(removed)
        removed += self._forget("outdated", "forget", settings.IDEMPOTENCY_S)
        if settings.REVOKED_S:
            # clocks: of who signed it, of who takes it until its end, and of the revocation
            age_s = settings.REVOKED_S + 3 * settings.TOKEN_LEEWAY_S
            removed += self._forget("lapsed", "pardon", age_s)
        return removed

    def _remove(self, name: str, policies: list[dict[str, Any]], **params: Any) -> int:
        if not policies:
            return 0
        params |= {"policies": as_json(policies), "rows": self._rows, **self.bounds()}
        if self._desk.vendor == "postgresql":
            return int(self._desk.ask(name, **params)[0][0])
        # look first: a look takes no lock
        if not self._desk.ask(name, **params):
            return 0
        with self._desk.together():
            found = self._desk.ask(name, **params)
            self._desk.ask("remove", ids=as_json([row[0] for row in found]))
            if name != "compact":
                self._raise_floors(found)
        return len(found)

    def _forget(self, which: str, how: str, age_s: float) -> int:
        """What publishes with an idempotency key have done, and revocations of tokens."""
        ids = [row[0] for row in self._desk.ask(which, age_s=age_s, rows=self._rows)]
        if ids:
            with self._desk.together():
                self._desk.ask(how, ids=as_json(ids))
        return len(ids)

    def _raise_floors(self, removed: list[tuple[Any, ...]]) -> None:
        floors: dict[str, int] = defaultdict(int)
        for _, topic, offset in removed:
            floors[topic] = max(floors[topic], offset)
        for topic, floor in floors.items():
            self._desk.ask("raise_floor", topic=topic, floor=floor)

    def collect(self) -> int:
        """Forget topics that have been idle for long and have nothing in the log."""
        params: dict[str, Any] = {"age_s": IDLE_S, "rows": self._rows}
        if self._desk.vendor == "postgresql":
            return int(self._desk.ask("collect", epoch=outbox.new_epoch(), **params)[0][0])
        if not self._desk.ask("idle", **params):
            return 0
        with self._desk.together():
            idle = [row[0] for row in self._desk.ask("idle", **params)]
            for topic in idle:
                self._desk.ask("collect", topic=topic)
            for namespace in {names.namespace_of(topic) for topic in idle}:
                self._desk.ask("renew", namespace=namespace, epoch=outbox.new_epoch())
        return len(idle)


def policy(topic: str) -> dict[str, Any]:
    """How long the publications of a topic stay; without `size`: the newest of each key stays."""
    if topic == names.CONTROL:
        return {"topic": topic, "size": UNBOUNDED, "age_s": CONTROL_S}
    declaration = topics.registry().get(names.namespace_of(topic))
    # undeclared: perhaps by a release that is still to come
    kept = declaration.history if declaration else History()
    if isinstance(kept, Latest):
        return {"topic": topic, "age_s": kept.days * DAY_S}
    if kept is None:
        return {"topic": topic, "size": UNBOUNDED, "age_s": UNKEPT_S}
    return {"topic": topic, "size": kept.size, "age_s": kept.days * DAY_S}
