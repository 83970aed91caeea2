"""Publish and broadcast of the server API: the same data to any topics.

A topic with history takes it into the log, like every change; to one without it goes straight to
the hubs. What a topic does not take fails for this topic alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime.engine import passing, placing, requests, topics, wire
from realtime.engine.conf import settings
from realtime.engine.envelope import Passing
from realtime.engine.exceptions import BadRequest, NotAvailable, TocsinError, Unavailable
from realtime.engine.placing import Placed, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtime.engine.doors import Broker
    from realtime.engine.topics import Match

    Allowed = Callable[[str], Match]


class Said:
    """What a request publishes, and how. Raises BadRequest."""

    def __init__(self, request: requests.Said) -> None:
        self.text, self.blob = requests.payload(request.data, request.b64data, "data")
        if self.text is None and self.blob is None:
            raise BadRequest("`data` is missing")
        size = len(self.blob if self.text is None else self.text.encode())  # type: ignore[arg-type]  # one of them
        if size > settings.PUBLISH_BYTES:
            raise BadRequest(f"`data` has {size} bytes; at most {settings.PUBLISH_BYTES}")
        if request.version:
            raise NotAvailable("`version` is not kept here")
        self.about = wire.about(None, request.tags)
        self._skips = bool(request.skip_history)

    def is_kept(self, match: Match) -> bool:
        """Whether it goes into the log of this topic. Raises what the topic does not take."""
        kept = bool(match.declaration.history) and not self._skips
        if topics.is_latest(match.declaration):
            raise NotAvailable(f'"{match.topic}" keeps the latest row of each key: write the row')
        if self.text is None and (kept or not match.declaration.binary):
            raise BadRequest(f'"{match.topic}" takes JSON alone')
        return kept

    def passing(self, topic: str, mark: int) -> Passing:
        return Passing(topic, self.text or "", self.about, self.blob, mark)


async def broadcast(
    broker: Broker, request: requests.Said, allowed: Allowed, key: int
) -> list[Placed | TocsinError]:
    """For each of its topics what was done, or why not.

    `allowed` gives what a name means, or raises. Raises BadRequest where no topic can take it.
    """
    said, names = Said(request), request.names
    word = Word(key, request.idempotency_key) if request.idempotency_key else None
    kept, passed, refused = _sorted(said, names, allowed)
    placed = iter(await placing.aplace(kept, said.text or "", said.about, word) if kept else [])
    if passed:
        refused |= await _pass_on(broker, said, passed, word)
    return [refused.get(n) or (next(placed) if n in kept else Placed(n)) for n in names]


async def _pass_on(
    broker: Broker, said: Said, names: Sequence[str], word: Word | None
) -> dict[str, TocsinError]:
    """Send what no log keeps; gives those for which it came to nothing."""
    # before the word is claimed: what fails here would else count as said when it is said again
    mark = await passing.mark(await passing.alook())
    if mark is None:
        why = Unavailable("the relay does not number the revocations before it")
        return dict.fromkeys(names, why)
    fresh = await placing.aclaim(names, word) if word else names
    failed: dict[str, TocsinError] = {}
    for name in fresh:
        if not await broker.send(name, said.passing(name, mark)):
            failed[name] = Unavailable("nobody was reached")
            if word is not None:
                await placing.adisclaim(name, word)
    return failed


def _sorted(
    said: Said, names: Sequence[str], allowed: Allowed
) -> tuple[list[str], list[str], dict[str, TocsinError]]:
    """The names that keep it, those that do not, and those that do not take it, with the reason."""
    kept: list[str] = []
    passed: list[str] = []
    refused: dict[str, TocsinError] = {}
    for name in names:
        try:
            (kept if said.is_kept(allowed(name)) else passed).append(name)
        except TocsinError as why:
            refused[name] = why
    return kept, passed, refused
