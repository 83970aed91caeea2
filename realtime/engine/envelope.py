"""What goes over Redis or is kept there: bytes that no key of this project signed are refused."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from django.conf import settings
from msgspec import Struct

from realtime.protocol.messages import ClientInfo, Publication

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

SIGNATURE_BYTES = 16
MESSAGE_BYTES = 512 * 1024
MESSAGE_PUBLICATIONS = 500

_Row = tuple[int, str, str | None, str, int, int, str | None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Publications of a topic in the order of their offsets."""

    topic: str
    epoch: str
    publications: tuple[Publication, ...]


class Reset(Struct, frozen=True, array_like=True, tag=1):
    """The log of a topic was begun anew."""

    topic: str
    epoch: str


class Echo(Struct, frozen=True, array_like=True, tag=2):
    """A message of a process to itself: what it sends does come back."""

    nonce: str


class Passing(Struct, frozen=True, array_like=True, tag=3):
    """A publication that no log keeps: JSON text, or `blob`, bytes that are none.

    `mark`: the revocations that it comes after.
    """

    topic: str
    data: str
    about: str | None = None
    blob: bytes | None = None
    mark: int = 0


class Movement(Struct, frozen=True, array_like=True, tag=4):
    """Somebody came to a topic, or has left it."""

    topic: str
    came: bool
    info: ClientInfo


class Errand(Struct, frozen=True, array_like=True, tag=6):
    """A frame for a connection of another process, by the digest of its session.

    `topic` is that process's, `asker` the node of the one that wants to know what became of it.
    """

    topic: str
    asker: str
    number: str
    session: str
    data: bytes
    is_text: bool


class Receipt(Struct, frozen=True, array_like=True, tag=7):
    """Whether the connection that an errand was for is there, and has heard it."""

    topic: str
    number: str
    taken: bool


class _Batch(Struct, frozen=True, array_like=True, tag=0):
    topic: str
    epoch: str
    rows: list[_Row]


Rumour = Batch | Reset | Passing | Movement | Errand | Receipt
Message = Rumour | Echo
_Wire = _Batch | Reset | Echo | Passing | Movement | Errand | Receipt
_decoder = msgspec.msgpack.Decoder(_Wire)


class Refused(Exception):  # noqa: N818  (what became of the message)
    """Nobody of us wrote this."""


def seal(message: Message) -> bytes:
    wire: Any = message
    if isinstance(message, Batch):
        rows = [
            (p.offset, p.data, p.key, p.op, p.entry, p.mark, p.about) for p in message.publications
        ]
        wire = _Batch(message.topic, message.epoch, rows)
    payload = msgspec.msgpack.encode(wire)
    return _signature(payload, _keys(b"tocsin broker")[0]) + payload


def unseal(sealed: object) -> Message:
    """Raises Refused, whatever the bytes are."""
    payload = _opened(sealed, _keys(b"tocsin broker"))
    try:
        wire: _Wire = _decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise Refused from error
    if isinstance(wire, _Batch):
        return Batch(wire.topic, wire.epoch, tuple(Publication(*row) for row in wire.rows))
    return wire


def batches(topic: str, epoch: str, publications: Sequence[Publication]) -> Iterator[Batch]:
    """The publications in messages of a bounded size; a larger one goes alone."""
    part: list[Publication] = []
    size = 0
    for publication in publications:
        size += len(publication.data)
        if part and (size > MESSAGE_BYTES or len(part) >= MESSAGE_PUBLICATIONS):
            yield Batch(topic, epoch, tuple(part))
            part, size = [], len(publication.data)
        part.append(publication)
    if part:
        yield Batch(topic, epoch, tuple(part))


class Seal:
    """Signs what is kept in Redis at one place; carried to another place it is refused."""

    def __init__(self, *place: str) -> None:
        where = msgspec.msgpack.encode(place)
        keys = _keys(b"tocsin kept")
        self._keys = [hashlib.blake2b(where, key=key).digest() for key in keys]

    def close(self, payload: bytes) -> bytes:
        return _signature(payload, self._keys[0]) + payload

    def open(self, sealed: object) -> bytes:
        """The payload; raises Refused, whatever the bytes are."""
        return _opened(sealed, self._keys)


def _keys(person: bytes) -> list[bytes]:
    """The project's keys for one purpose; the first one signs."""
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [hashlib.blake2b(secret.encode(), person=person).digest() for secret in secrets]


def _signature(payload: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(payload, key=key, digest_size=SIGNATURE_BYTES).digest()


def _opened(sealed: object, keys: list[bytes]) -> bytes:
    if not isinstance(sealed, bytes) or len(sealed) < SIGNATURE_BYTES:
        raise Refused
    signature, payload = sealed[:SIGNATURE_BYTES], sealed[SIGNATURE_BYTES:]
    if not any(hmac.compare_digest(signature, _signature(payload, key)) for key in keys):
        raise Refused
    return payload
