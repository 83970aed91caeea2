"""What goes over Redis: signed msgpack; bytes that no key of this project signed are refused."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from django.conf import settings

from realtime.protocol.messages import Publication

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIGNATURE_BYTES = 16
MESSAGE_BYTES = 512 * 1024
MESSAGE_PUBLICATIONS = 500
BATCH, RESET, ECHO = 0, 1, 2

_Row = tuple[int, str, str | None, str, int, int, str | None]
_decoder = msgspec.msgpack.Decoder(tuple[int, str, str, list[_Row]])


@dataclass(frozen=True, slots=True)
class Batch:
    """Publications of a topic in the order of their offsets."""

    topic: str
    epoch: str
    publications: tuple[Publication, ...]


@dataclass(frozen=True, slots=True)
class Reset:
    """The log of a topic was begun anew."""

    topic: str
    epoch: str


@dataclass(frozen=True, slots=True)
class Echo:
    """A message of a process to itself: what it sends does come back."""

    nonce: str


Message = Batch | Reset | Echo


class Refused(Exception):  # noqa: N818  (what became of the message)
    """Nobody of us wrote this."""


def seal(message: Message) -> bytes:
    if isinstance(message, Batch):
        rows = [
            (p.offset, p.data, p.key, p.op, p.entry, p.mark, p.about) for p in message.publications
        ]
        parts = (BATCH, message.topic, message.epoch, rows)
    elif isinstance(message, Reset):
        parts = (RESET, message.topic, message.epoch, [])
    else:
        parts = (ECHO, message.nonce, "", [])
    payload = msgspec.msgpack.encode(parts)
    return _signature(payload, settings.SECRET_KEY) + payload


def unseal(sealed: object) -> Message:
    """Raises Refused, whatever the bytes are."""
    if not isinstance(sealed, bytes) or len(sealed) < SIGNATURE_BYTES:
        raise Refused
    signature, payload = sealed[:SIGNATURE_BYTES], sealed[SIGNATURE_BYTES:]
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if not any(hmac.compare_digest(signature, _signature(payload, key)) for key in keys):
        raise Refused
    try:
        kind, name, epoch, rows = _decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise Refused from error
    if kind == BATCH:
        return Batch(name, epoch, tuple(Publication(*row) for row in rows))
    return Reset(name, epoch) if kind == RESET else Echo(name)


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


def _signature(payload: bytes, secret: str) -> bytes:
    key = hashlib.blake2b(secret.encode(), person=b"tocsin broker").digest()
    return hashlib.blake2b(payload, key=key, digest_size=SIGNATURE_BYTES).digest()
