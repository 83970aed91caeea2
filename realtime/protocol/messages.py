"""What the server says, as frozen values: replies, pushes, and the publications of the log.

Whatever the wire carries as raw JSON (a publication's data, a client's data) is JSON text here and
is embedded unread. A topic is a topic here; it becomes a channel in codec.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from realtime.protocol import codes

_CLOSE_CODES, _LONGEST_REASON = (3000, 4999), 32


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
    Offset 0: of a topic that keeps nothing; there, `blob` instead of data that is no JSON.
    """

    offset: int
    data: str
    key: str | None
    op: str
    entry: int
    mark: int
    about: str | None = None
    blob: bytes | None = None


# --- Replies: one for each command with an id -------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The result of a subscribe.

    `position` is None on a topic without history. It is the top, or, when `recovered`, the position
    the client asked from, which its `publications` then move on. `publications` only if recovered.
    `delta`: what follows may be said as the difference to the publication before. `ttl_s`: whole
    seconds until the subscription's token is to be renewed.
    """

    position: Position | None = None
    recovered: bool = False
    was_recovering: bool = False
    publications: tuple[Publication, ...] = ()
    data: str | None = None
    delta: bool = False
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """`ping_s` is in whole seconds: clients count with it; so is `ttl_s`, of the token.

    `subs`: the topics the server has subscribed the client to. `session` and `node` find this
    connection again from another request, where its transport cannot carry commands.
    """

    client: str
    version: str
    data: str | None = None
    ping_s: int = 25
    pong: bool = True
    ttl_s: int | None = None
    subs: Mapping[str, Subscribed] = field(default_factory=dict)
    session: str = field(default="", repr=False)
    node: str = ""


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    pass


@dataclass(frozen=True, slots=True)
class Published:
    pass


@dataclass(frozen=True, slots=True)
class Present:
    """Who is on a topic, by the id of the client."""

    clients: Mapping[str, ClientInfo]


@dataclass(frozen=True, slots=True)
class PresenceCount:
    clients: int
    users: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """A part of a topic's history, and the position of its top."""

    position: Position
    publications: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True)
class Returned:
    """What a remote procedure gave: JSON text."""

    data: str | None = None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """`ttl_s` None: the new token sets no end."""

    client: str = ""
    version: str = ""
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class SubRefreshed:
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An application's own error: `number` is 400 to 1999, `text` is never empty."""

    number: int
    text: str
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class Dismissal:
    """An application's own reason to end a connection. Raises ValueError.

    `number`: 3000 to 4999; up to 3499 and from 4000 to 4499 the client comes back. `text`: 1 to 32
    ASCII characters.
    """

    number: int
    text: str

    def __post_init__(self) -> None:
        if not _CLOSE_CODES[0] <= self.number <= _CLOSE_CODES[1]:
            raise ValueError(f"the code {self.number} is not between 3000 and 4999")
        if not 0 < len(self.text) <= _LONGEST_REASON or not self.text.isascii():
            raise ValueError("the reason of a code has 1 to 32 ASCII characters")


Ending = codes.Disconnect | Dismissal
Refusal = codes.Error | Failure
Answer = (
    Published | Present | PresenceCount | Recorded | Returned | Refreshed | SubRefreshed | Refusal
)
Result = Connected | Subscribed | Unsubscribed | Answer


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
class JoinPush:
    topic: str
    info: ClientInfo


@dataclass(frozen=True, slots=True)
class LeavePush:
    topic: str
    info: ClientInfo


@dataclass(frozen=True, slots=True)
class SubscribePush:
    """The server has subscribed the client to a topic."""

    topic: str
    result: Subscribed


@dataclass(frozen=True, slots=True)
class UnsubscribePush:
    topic: str
    reason: codes.Unsubscribe


@dataclass(frozen=True, slots=True)
class MessagePush:
    """A message of the server to this client, of no topic: JSON text."""

    data: str


@dataclass(frozen=True, slots=True)
class DisconnectPush:
    reason: Ending


@dataclass(frozen=True, slots=True)
class PingPush:
    """The server's ping: an empty reply, whatever else is being sent."""


Push = (
    PublicationPush
    | JoinPush
    | LeavePush
    | SubscribePush
    | UnsubscribePush
    | MessagePush
    | DisconnectPush
    | PingPush
)
Message = Reply | Push
