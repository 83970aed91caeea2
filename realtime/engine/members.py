"""Who listens: a connection as the hub sees it, and its membership of one topic.

Rights are one number (correctness.md, section 7): an answer `covers` the revocations up to an
offset of `!control`; a member or a connection `needs` an answer that covers at least the last
revocation that concerns it. Below that it is held: nothing is pushed, nothing is lost.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from realtime.engine.frames import Pushes, Saying, Slot, Style
from realtime.protocol.messages import ClientInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtime.engine.limits import Turns
    from realtime.engine.orders import Subscribe
    from realtime.protocol.codes import Unsubscribe
    from realtime.protocol.filters import Filter
    from realtime.protocol.messages import Ending

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")
UNANSWERED = -1
NEVER_ASKED = sys.maxsize


@dataclass(slots=True)
class Grant:
    """Whether the last word on a right is young enough to be believed."""

    needs: int = 0
    covers: int = UNANSWERED

    @property
    def clear(self) -> bool:
        return self.covers >= self.needs

    def raise_to(self, offset: int) -> None:
        self.needs = max(self.needs, offset)

    def answered(self, covers: int) -> bool:
        """Take a yes that covers `covers`; True if that is enough."""
        self.covers = max(self.covers, covers)
        return self.clear


@dataclass(frozen=True, slots=True)
class Credential:
    """What says who a connection speaks for: the key of a session, or a token of a user.

    `issued_at`: unix seconds; None: the token does not say.
    """

    session_key: str = field(default="", repr=False)
    token_user: str = ""
    token_id: str = ""
    issued_at: float | None = None


@dataclass(eq=False, slots=True)
class Person:
    """Who a connection speaks for. `session` is the digest of its key, "" without a session."""

    user: str = ""
    credential: Credential | None = None
    session: str = ""
    grant: Grant = field(default_factory=Grant)
    # messages that wait for the answer who it is now
    held: list[str] = field(default_factory=list)


class Reader(Protocol):
    """A connection, as far as the hub is concerned. None of these waits."""

    person: Person
    turns: Turns
    # of the connection: its id, and what its token says of it (JSON text)
    client: str
    info: str | None
    # the digest of what its client says whenever it speaks by requests of their own
    session: str
    # it counts among its user's connections
    seated: bool

    def trust(self, credential: Credential | None, info: str | None) -> None:
        """A token says who the connection speaks for; a session has no say then."""

    @property
    def busy(self) -> bool:
        """It has much to read still: what can be conflated should wait until it is not."""

    def push(self, pushes: Pushes | Saying, style: Style = Style.PLAIN) -> None: ...

    def end(self, topic: str, code: Unsubscribe) -> None:
        """The server has ended the subscription: tell the client."""

    def disconnect(self, code: Ending) -> None: ...

    def subscribe(self, order: Subscribe) -> None:
        """The server subscribes the client to a topic, in a while."""

    def unsubscribe(self, topic: str) -> None:
        """As `end`, for a topic that it holds or is being given."""

    def expire(self, at: float | None) -> None:
        """The connection ends at this moment (unix seconds), unless its token is renewed."""

    def say(self, data: str) -> None:
        """A message of no topic: JSON text."""


@dataclass(eq=False, slots=True)
class Member:
    """One connection's subscription of one topic.

    `offset`: all up to it has been pushed or was in the reply. `skip`: entries that its rows
    contain already (correctness.md, section 1). `live`: it gets each publication as it comes; else
    it is joining, held or catching up, and continues from its offset. `joined`: its subscribe
    reply has been sent. `ended`: it gets nothing any more; `refused`: for want of a right.

    `vouched`: a token or the server has said yes, and no rule is asked. `voucher`: the token of the
    subscription, which may be revoked. `info`: what a token says of the subscriber.
    `deltas`: data may be said as the difference to the publication before, once it has got that
    one (`based`). `filter`: what it wants to hear. `join_leave`: it hears who comes and goes;
    `announced`: others hear that of it; `present`: they can see it. `kept`: what no log keeps and
    came while it was held.
    """

    reader: Reader
    topic: str
    grant: Grant = field(default_factory=Grant)
    offset: int = 0
    skip: set[int] = field(default_factory=set)
    live: bool = False
    joined: bool = False
    ended: bool = False
    refused: bool = False
    catching_up: bool = False
    vouched: bool = False
    voucher: Credential | None = None
    deltas: bool = False
    based: bool = False
    filter: Filter | None = None
    join_leave: bool = False
    info: str | None = None
    present: bool = False
    announced: bool = False
    kept: list[Pushes | Saying] = field(default_factory=list)
    # The instant by which a held member has its answer or is told; 0: nobody asked in vain yet
    deadline: float = 0.0

    @property
    def clear(self) -> bool:
        return self.grant.clear and self.reader.person.grant.clear

    @property
    def client_info(self) -> ClientInfo:
        return ClientInfo(self.reader.client, self.reader.person.user, self.reader.info, self.info)

    def wanted(self, slots: list[Slot]) -> list[Slot]:
        """Without what its rows contain already, and what it does not want to hear."""
        if not self.skip and self.filter is None:
            return slots
        passed = self.skip.intersection(slot.publication.entry for slot in slots)
        self.skip -= passed
        wants = self.filter
        return [
            slot
            for slot in slots
            if slot.publication.entry not in passed and (wants is None or wants.matches(slot.tags))
        ]

    def hand(self, pushes: Pushes) -> None:
        """Push these, which follow one another and what it got last."""
        if not self.deltas:
            self.reader.push(pushes)
        elif self.based:
            self.reader.push(pushes, Style.DELTA)
        else:
            self.based = True
            first, rest = pushes.slots[:1], pushes.slots[1:]
            self.reader.push(Pushes(first), Style.WHOLE)
            if rest:
                self.reader.push(Pushes(rest), Style.DELTA)

    def pass_on(self, what: Pushes | Saying) -> None:
        """Push what no log keeps; no publication that follows is the difference to it."""
        if isinstance(what, Saying):
            self.reader.push(what)
        else:
            self.hand(what)
            self.based = False


def nobody() -> Person:
    """Who comes without a credential: there is nothing to lose."""
    return Person(grant=Grant(covers=NEVER_ASKED))


class Register:
    """Every reader of this process and its members, found by what a revocation names."""

    def __init__(self) -> None:
        self._members: dict[Reader, dict[str, Member]] = {}
        self._by_user: defaultdict[str, set[Reader]] = defaultdict(set)
        self._by_session: defaultdict[str, set[Reader]] = defaultdict(set)
        self._by_right: defaultdict[tuple[str, str], set[Member]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, reader: Reader) -> bool:
        return reader in self._members

    def enter(self, reader: Reader) -> None:
        self._members[reader] = {}
        self._by_user[reader.person.user].add(reader)
        self._by_session[reader.person.session].add(reader)

    def leave(self, reader: Reader) -> list[Member]:
        """Forget the reader; its members, who are to be dropped everywhere else."""
        members = list(self._members.get(reader, {}).values())
        for member in members:
            self.remove(member)
        self._members.pop(reader, None)
        _discard(self._by_user, reader.person.user, reader)
        _discard(self._by_session, reader.person.session, reader)
        return members

    def add(self, member: Member) -> None:
        self._members[member.reader][member.topic] = member
        self._by_right[member.reader.person.user, member.topic].add(member)

    def remove(self, member: Member) -> None:
        topics = self._members.get(member.reader, {})
        if topics.get(member.topic) is member:
            del topics[member.topic]
        _discard(self._by_right, (member.reader.person.user, member.topic), member)

    def readers(self, *, user: str | None = None, session: str | None = None) -> list[Reader]:
        if user is not None:
            return list(self._by_user.get(user, ()))
        if session is not None:
            return list(self._by_session.get(session, ()))
        return list(self._members)

    def members(self, reader: Reader) -> list[Member]:
        return list(self._members.get(reader, {}).values())

    def member(self, reader: Reader, topic: str) -> Member | None:
        return self._members.get(reader, {}).get(topic)

    def holders(self, user: str, topic: str) -> list[Member]:
        """Those whose right is the same question."""
        return list(self._by_right.get((user, topic), ()))

    def rights(self) -> list[tuple[str, str]]:
        return list(self._by_right)

    def known(self) -> Iterator[Reader]:
        return (reader for reader in self._members if reader.person.credential)


def _discard(index: dict[KeyT, set[ValueT]], key: KeyT, value: ValueT) -> None:
    if key in index:
        index[key].discard(value)
        if not index[key]:
            del index[key]
