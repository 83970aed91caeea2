"""What is said, as frozen values: commands, replies, pushes, and the publications of the log.

Whatever the wire carries as raw JSON (a publication's data, a client's data) is JSON text here and
is embedded unread. A topic is a topic here; it becomes a channel in codec.
"""

from dataclasses import dataclass

from realtime.protocol import codes


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log of one topic: in which life of the log, after how many publications."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Who acts on a topic; `info` is of the connection, `topic_info` of the subscription (JSON)."""

    client: str
    user: str
    info: str | None = None
    topic_info: str | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """One row of the log.

    `data` is the JSON text that goes over the wire; `entry` the id of the outbox row it came from;
    `mark` the offset of the revocation log below which all is older than this publication; `about`
    the text of a JSON object with its `info` and `tags` as the wire has them, where it has any.
    """

    offset: int
    data: str
    key: str | None
    op: str
    entry: int
    mark: int
    about: str | None = None


# --- Commands: what a client asks -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a tags filter, as the client wrote it; `filters` says what it must hold."""

    op: str = ""
    key: str = ""
    cmp: str = ""
    val: str = ""
    vals: tuple[str, ...] = ()
    nodes: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class Connect:
    id: int
    token: str = ""
    data: str | None = None
    name: str = ""
    version: str = ""


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
    filtered: bool = False
    kind: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    id: int
    topic: str


@dataclass(frozen=True, slots=True)
class Publish:
    id: int
    topic: str
    data: str | None = None
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
    id: int
    method: str = ""
    data: str | None = None


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


Request = (
    Connect
    | Subscribe
    | Unsubscribe
    | Publish
    | Presence
    | PresenceStats
    | History
    | Rpc
    | Refresh
    | SubRefresh
    | Ping
)
Command = Request | Send | Pong
OnTopic = Subscribe | Unsubscribe | Publish | Presence | PresenceStats | History | SubRefresh


# --- Replies: one for each command with an id -------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connected:
    """`ping_s` is in whole seconds: clients count with it."""

    client: str
    version: str
    data: str | None = None
    ping_s: int = 25
    pong: bool = True


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The result of a subscribe.

    `position` is None on a topic without history. It is the top, or, when `recovered`, the position
    the client asked from, which its `publications` then move on. `publications` only if recovered.
    """

    position: Position | None = None
    recovered: bool = False
    was_recovering: bool = False
    publications: tuple[Publication, ...] = ()
    data: str | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    pass


Result = Connected | Subscribed | Unsubscribed | codes.Error


@dataclass(frozen=True, slots=True)
class Reply:
    id: int
    result: Result


# --- Pushes: what the server says unasked -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublicationPush:
    topic: str
    publication: Publication


@dataclass(frozen=True, slots=True)
class UnsubscribePush:
    topic: str
    reason: codes.Unsubscribe


@dataclass(frozen=True, slots=True)
class DisconnectPush:
    reason: codes.Disconnect


@dataclass(frozen=True, slots=True)
class PingPush:
    """The server's ping: an empty reply, whatever else is being sent."""


Push = PublicationPush | UnsubscribePush | DisconnectPush | PingPush
Message = Reply | Push
