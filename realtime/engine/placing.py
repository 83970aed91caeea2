"""What programs publish through the server API: committed when it is answered, and only once.

Guarantee: by one idempotency key a topic gets one publication, however often and by however many
at once it is asked for, whatever is killed meanwhile: key and publication are committed together.
What no log keeps is sent at most once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db import Error as DatabaseError

from realtime.engine import history, outbox, pool, sql
from realtime.engine.conf import settings
from realtime.protocol.messages import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

log = structlog.get_logger(__name__)

NOWHERE = Position("", 0)
LOOK_S, LOOK_MAX_S = 0.002, 0.02


@dataclass(frozen=True, slots=True)
class Word:
    """An idempotency key, as one API key uses it."""

    key: int
    text: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A publication at `position`, or NOWHERE; with an `entry`, behind it as soon as numbered."""

    topic: str
    entry: int = 0
    position: Position = NOWHERE


def place(names: Sequence[str], data: str, about: str | None, word: Word | None) -> list[Placed]:
    """Publish to all these topics or, if it fails, to none. Each is answered, in their order."""
    with transaction.atomic():
        # in one order: two that say the same word never wait for each other
        fresh = {name: word is None or _claim(word, name) for name in sorted(set(names))}
        placed = []
        for name in names:
            if not fresh[name] and word is not None:
                placed.append(_earlier(word, name))
                continue
            placed.append(_put(name, data, about))
            if word is not None:
                _conclude(word, placed[-1])
                fresh[name] = False
        return placed


def _put(name: str, data: str, about: str | None) -> Placed:
    if (waits := outbox.put(name, data, about)) is not None:
        return Placed(name, waits.entry, Position("", waits.after))
    # it has its number, and while this transaction lasts nobody else's is higher
    return Placed(name, 0, history.heads([name])[name])


def claim(names: Iterable[str], word: Word) -> frozenset[str]:
    """Those of these topics that the word has not been said for; from now on it has."""
    with transaction.atomic():
        return frozenset(name for name in sorted(set(names)) if _claim(word, name))


def disclaim(name: str, word: Word) -> None:
    """It came to nothing after all."""
    _run("disclaim", word, name)


def _claim(word: Word, topic: str) -> bool:
    return _run("claim", word, topic)[0] == 1


def _conclude(word: Word, placed: Placed) -> None:
    position = placed.position
    _run(
        "conclude",
        word,
        placed.topic,
        entry=placed.entry,
        epoch=position.epoch,
        offset=position.offset,
    )


def _earlier(word: Word, topic: str) -> Placed:
    [(entry, epoch, offset)] = _run("outcome", word, topic)[1]
    return Placed(topic, entry, Position(epoch, offset))


def _run(name: str, word: Word, topic: str, **more: int | str) -> tuple[int, list[tuple[Any, ...]]]:
    connection = connections[DEFAULT_DB_ALIAS]
    params = {"key": word.key, "word": word.text, "topic": topic, **more}
    with connection.cursor() as cursor:
        cursor.execute(sql.read(connection.vendor, name), params)
        return cursor.rowcount, cursor.fetchall() if cursor.description else []


# --- Where it stands


async def positions(placed: Iterable[Placed]) -> Mapping[Placed, Position]:
    """Where the log has these; those it has not numbered within PENDING_WAIT_S are left out.

    Whoever reads the history after that finds them.
    """
    found = {one: one.position for one in placed if not one.entry and one.position != NOWHERE}
    waiting = {one.entry: one for one in placed if one.entry}
    loop = asyncio.get_running_loop()
    deadline, pause_s = loop.time() + settings.PENDING_WAIT_S, LOOK_S
    while waiting:
        try:
            known = await _anumbered(list(waiting.values()))
        except DatabaseError as error:
            log.warning("publish.unseen", error=repr(error))
            break
        for entry, epoch, offset in known:
            found[waiting.pop(entry)] = Position(epoch, offset)
        if loop.time() >= deadline:
            break
        if waiting:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LOOK_MAX_S)
    return found


def _numbered(placed: Sequence[Placed]) -> list[tuple[int, str, int]]:
    return history.query(
        "numbered",
        topics=[one.topic for one in placed],
        entries=[one.entry for one in placed],
        after=[one.position.offset for one in placed],
    )


_anumbered = pool.awaitable(_numbered, "API_THREADS")
aplace = pool.awaitable(place, "API_THREADS")
aclaim = pool.awaitable(claim, "API_THREADS")
adisclaim = pool.awaitable(disclaim, "API_THREADS")
