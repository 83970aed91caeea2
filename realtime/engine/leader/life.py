"""Notices that the database begins another life, and renews every epoch when it does.

A copy, a restore or a promoted standby continues numbers that clients have seen continued
otherwise. What a database cannot know of itself a witness outside may (correctness.md, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from realtime.engine import outbox

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
