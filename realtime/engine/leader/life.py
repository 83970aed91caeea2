"""Notices that the database begins another life, and renews every epoch when it does.

A copy, a restore or a promoted standby continues numbers that clients have seen continued
otherwise. What a database cannot know of itself a witness outside may (correctness.md, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from realtime.engine import outbox
from realtime.engine.leader.desk import as_json

if TYPE_CHECKING:
    from realtime.engine.leader.desk import Desk

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Life:
    """`name`: the same for all of one life; `highest`: the last id its outbox (log) has given."""

    name: str
    highest: int


def check(desk: Desk) -> tuple[Life, bool]:
    """This life, and whether it is another than the one written down; begins new epochs then."""
    *found, highest = desk.ask("life", own=outbox.new_epoch())[0]
    now, before = tuple(found[:3]), tuple(found[3:])
    if now == before:
        return Life(":".join(now), highest), False
    with desk.together():
        if before[0] is not None:
            renew(desk)
        keys = ("system_identifier", "timeline", "database_oid")
        desk.ask("live", **dict(zip(keys, now, strict=True)))
    if before[0] is not None:
        log.warning("life.changed", before=":".join(map(str, before)), now=":".join(now))
    return Life(":".join(now), highest), before[0] is not None


def renew(desk: Desk) -> None:
    """A new epoch for every namespace and topic: clients reload once."""
    epoch = outbox.new_epoch()
    with desk.together():
        desk.ask("renew_all", epoch=epoch)
        if desk.vendor == "sqlite":
            desk.ask("renew_heads", epoch=epoch)
    log.warning("epochs.renewed")


def renew_if_asked(desk: Desk) -> bool:
    """A hub has seen a topic's log behind what it had delivered: is that epoch still in force?

    A database restored into the same life looks like this. Between two moves, so no topic keeps the
    old epoch; the same question from another hub, answered already, changes nothing.
    """
    if not desk.ask("asked"):
        return False
    with desk.together():
        asked = desk.ask("asked")
        names = sorted({topic for _, topic, _ in asked})
        heads = desk.ask("heads", topics=as_json(names) if desk.vendor == "sqlite" else names)
        epochs = {topic: epoch for topic, epoch, _ in heads}
        due = any(epochs[topic] == epoch for _, topic, epoch in asked)
        if due:
            renew(desk)
        desk.ask("answered", id=asked[-1][0])
    return due
