"""What a client asks, as frozen values; its data, raw JSON, is text that nobody looks into."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from realtime.protocol.messages import Position


@dataclass(frozen=True, slots=True)
class Connect:
    """`subs`: where the client stands in topics that the server subscribes it to by itself."""

    id: int
    token: str = ""
    data: str | None = None
    name: str = ""
    version: str = ""
    subs: Mapping[str, "Subscribe"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a tags filter, not yet looked at: `op` "" is a comparison, else it has `nodes`."""

    op: str = ""
    key: str = ""
    cmp: str = ""
    val: str = ""
    vals: tuple[str, ...] = ()
    nodes: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class Subscribe:
    """`since` is set when the client asks to recover; `strict` when it would rather be refused
    (112) than subscribed unrecovered; `kind` is 0 for the streams this server has.
    """

    id: int
    topic: str
    token: str = ""
    since: Position | None = None
    strict: bool = False
    data: str | None = None
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: str = ""
    filter: Node | None = None
    kind: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    id: int
    topic: str


@dataclass(frozen=True, slots=True)
class Publish:
    """`data` is JSON text, or bytes where the client speaks Protobuf and they are no JSON."""

    id: int
    topic: str
    data: str | bytes | None = None
    kind: int = 0


@dataclass(frozen=True, slots=True)
class Presence:
    id: int
    topic: str


@dataclass(frozen=True, slots=True)
class PresenceStats:
    id: int
    topic: str


@dataclass(frozen=True, slots=True)
class History:
    """`limit` 0 asks for the position alone, below 0 for as many as there may be."""

    id: int
    topic: str
    limit: int = 0
    since: Position | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Rpc:
    """`data` as of a Publish."""

    id: int
    method: str = ""
    data: str | bytes | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """A message to the server; the only command that has neither id nor reply."""

    data: str | None = None


@dataclass(frozen=True, slots=True)
class Refresh:
    id: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class SubRefresh:
    id: int
    topic: str
    token: str = ""
    kind: int = 0


@dataclass(frozen=True, slots=True)
class Ping:
    id: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The client's answer to our ping: a command without an id."""


# What the world outside of the session has to answer.
Question = Publish | Presence | PresenceStats | History | Rpc | Refresh | SubRefresh
Request = Connect | Subscribe | Unsubscribe | Question | Ping
Command = Request | Send | Pong
OnTopic = Subscribe | Unsubscribe | Publish | Presence | PresenceStats | History | SubRefresh
