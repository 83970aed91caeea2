"""What programs ask of the server API: a value for each method, read from JSON.

Unknown fields are ignored, absent and null are the same. What is JSON of the application's own
stays the text that it was. Names of fields are those of Centrifugo's HTTP API.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from realtime.engine.exceptions import BadRequest

LONGEST = 255

# no U+0000, which PostgreSQL keeps in no text
Word = Annotated[str, Meta(max_length=LONGEST, pattern=r"^[^\x00]*$")]
Text = Annotated[str, Meta(max_length=LONGEST)]
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Seconds = Annotated[int, Meta(ge=0, le=2**53)]


class Where(Struct):
    """A place in a topic's log."""

    offset: Offset = 0
    epoch: str = ""


class Said(Struct):
    """What is published: `data`, or `b64data`, bytes in base64, which then wins."""

    data: Raw = Raw()
    b64data: str | None = None
    skip_history: bool | None = None
    tags: dict[str, str] | None = None
    idempotency_key: Word | None = None
    delta: bool | None = None
    version: int | None = None

    @property
    def names(self) -> list[str]:
        """The topics that it is for."""
        raise NotImplementedError


class Publish(Said, kw_only=True):
    channel: str

    @property
    def names(self) -> list[str]:
        return [self.channel]


class Broadcast(Said, kw_only=True):
    channels: list[str]

    @property
    def names(self) -> list[str]:
        return self.channels


class OfConnections(Struct, kw_only=True):
    """A user's connections: all, or the one of this client or session."""

    user: Name
    client: Text | None = None
    session: Text | None = None


class Subscribe(OfConnections, kw_only=True):
    channel: str
    info: Raw = Raw()
    b64info: str | None = None
    data: Raw = Raw()
    b64data: str | None = None
    recover_since: Where | None = None
    override: dict[str, Any] | None = None


class Unsubscribe(OfConnections, kw_only=True):
    channel: str


class Reason(Struct):
    code: int = 0
    reason: str = ""


class Disconnect(OfConnections, kw_only=True):
    whitelist: list[str] | None = None
    disconnect: Reason | None = None


class Refresh(OfConnections, kw_only=True):
    expired: bool | None = None
    expire_at: Seconds | None = None


class OnTopic(Struct):
    channel: str


class History(Struct):
    channel: str
    limit: int | None = None
    since: Where | None = None
    reverse: bool | None = None


class Channels(Struct):
    pattern: Text | None = None


class Info(Struct):
    pass


class Batch(Struct):
    commands: list[dict[str, Raw]]
    parallel: bool | None = None


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    method: msgspec.json.Decoder(kind)
    for method, kind in {
        "publish": Publish,
        "broadcast": Broadcast,
        "subscribe": Subscribe,
        "unsubscribe": Unsubscribe,
        "disconnect": Disconnect,
        "refresh": Refresh,
        "presence": OnTopic,
        "presence_stats": OnTopic,
        "history": History,
        "history_remove": OnTopic,
        "channels": Channels,
        "info": Info,
        "batch": Batch,
    }.items()
}
METHODS = frozenset(_DECODERS)


def read(method: str, body: bytes | Raw) -> Any:
    """The request in a body; an empty one is `{}`. Raises BadRequest, saying what is wrong."""
    if method not in METHODS:
        raise BadRequest("a command is one method with its request")
    try:
        return _DECODERS[method].decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(str(error)) from error


def json_of(raw: Raw, b64: str | None, field: str) -> str | None:
    """The JSON text that a field holds, plain or in base64; None: it is absent."""
    text, blob = payload(raw, b64, field)
    if blob is not None:
        raise BadRequest(f"`b64{field}` holds no JSON")
    return text


def payload(raw: Raw, b64: str | None, field: str) -> tuple[str | None, bytes | None]:
    """The JSON text that a field holds, or bytes that are none; of both None: it is absent."""
    if b64:
        try:
            data = base64.b64decode(b64, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequest(f"`b64{field}` is no base64") from error
        text = _json(data)
        return (text, None) if text is not None else (None, data)
    if not bytes(raw):
        return None, None
    if (text := _json(bytes(raw))) is None:
        raise BadRequest(f"`{field}` is no JSON that every client can read")
    return text, None


def _json(data: bytes) -> str | None:
    try:
        msgspec.json.decode(data)
        return data.decode()
    except (ValueError, RecursionError):
        return None
