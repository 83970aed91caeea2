"""What the hub asks of the world: the log, the broker, and who may do what; and its measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from realtime.engine import broker, census, history, openings, outbox, presence, revocation, topics
from realtime.engine.conf import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from realtime.engine.census import Census
    from realtime.engine.envelope import Rumour
    from realtime.engine.history import Page
    from realtime.engine.members import Credential
    from realtime.engine.openings import Excerpt, Opening
    from realtime.engine.revocation import Identities
    from realtime.engine.topics import Authorisation
    from realtime.protocol.messages import ClientInfo, Position


class Broker(Protocol):
    """Nothing here raises; whatever fails is made good by the log."""

    @property
    def healthy(self) -> bool: ...

    @property
    def reachable(self) -> bool: ...

    async def start(self) -> None: ...

    def listen(self) -> AsyncIterator[Rumour]: ...

    async def join(self, topic: str) -> None: ...

    async def leave(self, topic: str) -> None: ...

    async def send(self, topic: str, message: Rumour) -> bool: ...


class Presence(Protocol):
    """Who is on a topic, in all processes. Asking raises Unavailable, and TooMany."""

    def add(self, topic: str, info: ClientInfo) -> None: ...

    def remove(self, topic: str, client: str) -> None: ...

    async def everybody(self, topic: str, asker: str = "") -> dict[str, ClientInfo]: ...

    async def count(self, topic: str, asker: str = "") -> tuple[int, int]: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True)
class Doors:
    """Each of them asks the database anew; any may raise what a database raises."""

    broker: Broker
    presence: Presence
    since: Callable[[str, Position, int], Awaitable[Page]]
    heads: Callable[[Iterable[str]], Awaitable[dict[str, Position]]]
    control_since: Callable[[int], Awaitable[Page]]
    # these two: user, match, position, limit; and as words `vouched` (and `voucher`, `reverse`)
    open_topic: Callable[..., Awaitable[Opening]]
    excerpt: Callable[..., Awaitable[Excerpt]]
    authorise: Callable[[str, str], Awaitable[Authorisation]]
    identify: Callable[[Iterable[Credential]], Awaitable[Identities]]
    ask_renewal: Callable[[str, str], Awaitable[None]]
    # not where a hub is all alone
    census: Census | None = None


@dataclass(frozen=True)
class Tuning:
    """The hub's measures; `again_s`: the pause before a database that failed is asked again."""

    ring_size: int = 1000
    ring_bytes: int = 1 << 20
    missed_bytes: int = 1 << 26
    page: int = 1000
    hold_s: float = 1.0
    pending_wait_s: float = 1.0
    pending_max: int = 1000
    poll_s: float = 1.0
    poll_degraded_s: float = 0.25
    recheck_s: float = 60.0
    linger_s: float = 5.0
    again_s: float = 0.25


def real() -> Doors:
    return Doors(
        broker=broker.Broker(),
        presence=presence.Presence(),
        since=history.asince,
        heads=history.aheads,
        control_since=history.acontrol_since,
        open_topic=openings.aopen_topic,
        excerpt=openings.aexcerpt,
        authorise=topics.authorise,
        identify=revocation.aidentify,
        census=census.Census(),
        ask_renewal=outbox.aask_renewal,
    )


def tuning() -> Tuning:
    return Tuning(
        ring_size=settings.RING_SIZE,
        ring_bytes=settings.RING_BYTES,
        missed_bytes=settings.MISSED_BYTES,
        hold_s=settings.HOLD_S,
        pending_wait_s=settings.PENDING_WAIT_S,
        pending_max=settings.PENDING_MAX,
        poll_s=settings.HEAD_POLL_S,
        poll_degraded_s=settings.HEAD_POLL_DEGRADED_S,
        recheck_s=settings.RECHECK_S,
        linger_s=settings.LINGER_S,
    )
