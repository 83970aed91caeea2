"""The body of an emulation request: commands, and whose they are, in either form.

Source: protocol.md, section 11; client.proto.
"""

from dataclasses import dataclass, field

import msgspec
from google.protobuf.message import DecodeError

from realtime.protocol import client_pb2
from realtime.protocol.codec.base import Frame, Malformed


@dataclass(frozen=True, slots=True)
class Posted:
    """A frame for the connection that `node` holds; `session` is its secret."""

    node: str
    session: str = field(repr=False)
    frame: Frame


class _Body(msgspec.Struct):
    node: str
    session: str
    data: str


_body = msgspec.json.Decoder(_Body).decode


def in_text(body: bytes) -> Posted:
    """Raises Malformed."""
    try:
        found = _body(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Malformed(str(error)) from error
    return Posted(found.node, found.session, found.data)


def in_binary(body: bytes) -> Posted:
    """Raises Malformed."""
    try:
        found = client_pb2.EmulationRequest.FromString(body)
    except DecodeError as error:
        raise Malformed(str(error)) from error
    return Posted(found.node, found.session, found.data)
