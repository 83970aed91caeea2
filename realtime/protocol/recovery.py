"""What comes next, what was missed, and where a subscription begins: the arithmetic of offsets.

Guarantee: a Start repeats nothing that its rows contain and leaves nothing out; where that cannot
be, there is no Start, or one whose position no later recovery matches, so that the client is told.
Sources: protocol.md, sections 5 and 6; correctness.md, section 1.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from realtime.protocol.messages import Position, Publication, Subscribed

# Behind an epoch it makes a text that is no epoch: epochs are letters.
_NEVER_AGAIN = "!"


class Verdict(Enum):
    NEXT = auto()
    SEEN = auto()
    GAP = auto()
    OTHER_EPOCH = auto()


def judge(position: Position, epoch: str, offset: int) -> Verdict:
    """How a publication of this epoch and offset stands to who has all up to `position`."""
    if epoch != position.epoch:
        return Verdict.OTHER_EPOCH
    if offset <= position.offset:
        return Verdict.SEEN
    return Verdict.NEXT if offset == position.offset + 1 else Verdict.GAP


@dataclass(frozen=True, slots=True)
class Start:
    """What a subscription begins with.

    The reply says `position`. `publications` are its own when `recovered`; otherwise they belong
    behind the rows in its data, in their order. Pushes go on after `offset`, without those whose
    entry is in `skip`: the rows contain them.
    """

    position: Position
    offset: int
    recovered: bool = False
    was_recovering: bool = False
    publications: tuple[Publication, ...] = ()
    skip: frozenset[int] = frozenset()

    def result(self, data: str | None) -> Subscribed:
        """The reply, with `data` for who was not recovered."""
        if self.recovered:
            return Subscribed(
                self.position, recovered=True, was_recovering=True, publications=self.publications
            )
        return Subscribed(self.position, was_recovering=self.was_recovering, data=data)


def recover(
    since: Position, top: Position, publications: Sequence[Publication], *, compacted: bool = False
) -> Start | None:
    """Take on from `since` who missed `publications`; None if they are not all up to `top`.

    An empty epoch matches any. In a compacted log holes are replaced values and mean nothing; that
    nothing else is missing is for the reader of the log to say.
    """
    if since.epoch not in {"", top.epoch}:
        return None
    if compacted:
        offsets = [since.offset, *(publication.offset for publication in publications)]
        known = offsets == sorted(set(offsets)) and offsets[-1] <= top.offset
    else:
        known = _follow(since.offset, publications) and _last(since, publications) == top.offset
    if not known:
        return None
    begin = Position(top.epoch, since.offset)
    return Start(
        begin, top.offset, recovered=True, was_recovering=True, publications=tuple(publications)
    )


def newest(since: Position, top: Position, publications: Sequence[Publication]) -> Start:
    """Take on with the newest publication alone, where that is all that matters.

    `publications`: the one at the top, or none where it is not kept any more.
    """
    begin = Position(top.epoch, since.offset)
    if since == top:
        return Start(begin, top.offset, recovered=True, was_recovering=True)
    if not publications:
        return Start(top, top.offset, was_recovering=True)
    return Start(
        begin, top.offset, recovered=True, was_recovering=True, publications=tuple(publications)
    )


def merge(
    since: Position | None,
    top: Position,
    pending: Collection[int],
    publications: Iterable[Publication] = (),
) -> Start | None:
    """Begin with rows read at `top`, which contain also the entries `pending`.

    `publications` are those known after `top`. None: some of the pending ones are not among them
    yet; wait and ask again. The position is that of the last pending one, not `top`: who recovered
    from `top` would get the publications in between, which are older than the rows.
    """
    later = [publication for publication in publications if publication.offset > top.offset]
    came = [publication for publication in later if publication.entry in pending]
    end = came[-1].offset if came else top.offset
    contained = [publication for publication in later if publication.offset <= end]
    if len(came) < len(pending) or not _follow(top.offset, contained):
        return None
    behind = tuple(publication for publication in contained if publication.entry not in pending)
    return Start(
        Position(top.epoch, end), end, was_recovering=since is not None, publications=behind
    )


def give_up(since: Position | None, top: Position, pending: Collection[int]) -> Start:
    """Begin with rows read at `top` though the relay has not brought what is pending.

    The client can never recover from this position: what its pushes skip, the log would repeat.
    """
    unmatched = Position(top.epoch + _NEVER_AGAIN, top.offset)
    return Start(unmatched, top.offset, was_recovering=since is not None, skip=frozenset(pending))


def _follow(offset: int, publications: Iterable[Publication]) -> bool:
    """Is each the next one after the one before?"""
    return all(
        publication.offset == expected
        for expected, publication in enumerate(publications, offset + 1)
    )


def _last(since: Position, publications: Sequence[Publication]) -> int:
    return publications[-1].offset if publications else since.offset
