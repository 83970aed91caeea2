"""The Protobuf form of the protocol: replies and pushes into messages, each behind its length.

JSON text, as applications gave it, passes unread. Here a topic becomes a channel.
Source: protocol.md, sections 1, 2 and 10; client.proto.
"""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import msgspec
from google.protobuf import proto
from msgspec import Raw, Struct

from realtime.protocol import client_pb2, codes, messages
from realtime.protocol.codec.base import Frame
from realtime.protocol.codec.binary_commands import decode

__all__ = ["NAME", "batch", "decode", "encode", "publication_push"]
NAME = "centrifuge-protobuf"


def encode(message: messages.Message) -> bytes:
    """One message, which is also a whole frame."""
    reply = client_pb2.Reply()
    match message:
        case messages.Reply(number, result):
            reply.id = number
            name, fill = _RESULTS[type(result)]
            part = getattr(reply, name)
            part.SetInParent()  # also where nothing is in it
            fill(part, result)
        case messages.PingPush():
            pass
        case _:
            _fill_push(reply.push, message)
    return _frame(reply)


def batch(frames: Iterable[Frame]) -> bytes:
    """Several encoded messages as one frame."""
    return b"".join(frames)  # type: ignore[arg-type]  # they are this codec's own


def publication_push(
    topic: str,
    publication: messages.Publication,
    *,
    quoted: bool = False,  # noqa: ARG001  (bytes are bytes)
    delta: bytes | None = None,
) -> bytes:
    """The frame that every connection of the topic gets."""
    reply = client_pb2.Reply()
    reply.push.channel = topic
    _fill_publication(reply.push.pub, publication, delta)
    return _frame(reply)


def _frame(reply: client_pb2.Reply) -> bytes:
    stream = BytesIO()
    proto.serialize_length_prefixed(reply, stream)
    return stream.getvalue()


# --- Pushes


def _fill_push(push: client_pb2.Push, message: messages.Push) -> None:
    match message:
        case messages.PublicationPush(topic, publication):
            push.channel = topic
            _fill_publication(push.pub, publication)
        case messages.JoinPush(topic, info):
            push.channel = topic
            _fill_info(push.join.info, info)
        case messages.LeavePush(topic, info):
            push.channel = topic
            _fill_info(push.leave.info, info)
        case messages.SubscribePush(topic, result):
            push.channel = topic
            push.subscribe.SetInParent()
            _fill_position(push.subscribe, result)
        case messages.UnsubscribePush(topic, reason):
            push.channel = topic
            push.unsubscribe.code, push.unsubscribe.reason = reason.number, reason.text
        case messages.MessagePush(data):
            push.message.data = data.encode()
        case messages.DisconnectPush(reason):
            push.disconnect.code, push.disconnect.reason = reason.number, reason.text


class _Info(Struct):
    user: str
    client: str
    conn_info: Raw = Raw()
    chan_info: Raw = Raw()


class _About(Struct):
    info: _Info | None = None
    tags: dict[str, str] = {}


_about = msgspec.json.Decoder(_About).decode


def _fill_publication(
    wire: client_pb2.Publication, publication: messages.Publication, delta: bytes | None = None
) -> None:
    data = publication.data.encode() if publication.blob is None else publication.blob
    wire.data = data if delta is None else delta
    wire.delta = delta is not None
    wire.offset = publication.offset
    if publication.about is None:
        return
    about = _about(publication.about)
    wire.tags.update(about.tags)
    if about.info is not None:
        wire.info.user, wire.info.client = about.info.user, about.info.client
        wire.info.conn_info = bytes(about.info.conn_info)
        wire.info.chan_info = bytes(about.info.chan_info)


def _fill_info(wire: client_pb2.ClientInfo, info: messages.ClientInfo) -> None:
    wire.SetInParent()
    wire.user, wire.client = info.user, info.client
    wire.conn_info, wire.chan_info = _bytes(info.info), _bytes(info.topic_info)


def _bytes(text: str | None) -> bytes:
    return (text or "").encode()


# --- Results


def _fill_expiry(wire: Any, ttl_s: int | None) -> None:
    if ttl_s is not None:
        wire.expires, wire.ttl = True, ttl_s


def _fill_connected(wire: client_pb2.ConnectResult, result: messages.Connected) -> None:
    wire.client, wire.version = result.client, result.version
    wire.data = _bytes(result.data)
    wire.ping, wire.pong = result.ping_s, result.pong
    wire.session, wire.node = result.session, result.node
    _fill_expiry(wire, result.ttl_s)
    for topic, sub in result.subs.items():
        _fill_subscribed(wire.subs[topic], sub)


def _fill_position(
    wire: client_pb2.SubscribeResult | client_pb2.Subscribe, result: messages.Subscribed
) -> None:
    wire.data = _bytes(result.data)
    if result.position is not None:
        wire.recoverable = wire.positioned = True
        wire.epoch, wire.offset = result.position.epoch, result.position.offset


def _fill_subscribed(wire: client_pb2.SubscribeResult, result: messages.Subscribed) -> None:
    _fill_expiry(wire, result.ttl_s)
    _fill_position(wire, result)
    wire.recovered, wire.was_recovering = result.recovered, result.was_recovering
    wire.delta = result.delta
    for publication in result.publications:
        _fill_publication(wire.publications.add(), publication)


def _fill_present(wire: client_pb2.PresenceResult, result: messages.Present) -> None:
    for name, info in result.clients.items():
        _fill_info(wire.presence[name], info)


def _fill_count(wire: client_pb2.PresenceStatsResult, result: messages.PresenceCount) -> None:
    wire.num_clients, wire.num_users = result.clients, result.users


def _fill_recorded(wire: client_pb2.HistoryResult, result: messages.Recorded) -> None:
    wire.epoch, wire.offset = result.position.epoch, result.position.offset
    for publication in result.publications:
        _fill_publication(wire.publications.add(), publication)


def _fill_returned(wire: client_pb2.RPCResult, result: messages.Returned) -> None:
    wire.data = _bytes(result.data)


def _fill_refreshed(wire: client_pb2.RefreshResult, result: messages.Refreshed) -> None:
    wire.client, wire.version = result.client, result.version
    _fill_expiry(wire, result.ttl_s)


def _fill_error(wire: client_pb2.Error, result: messages.Refusal) -> None:
    wire.code, wire.message, wire.temporary = result.number, result.text, result.temporary


def _nothing(wire: Any, result: Any) -> None:
    """There is nothing in it."""


_RESULTS: dict[type[Any], tuple[str, Callable[[Any, Any], None]]] = {
    messages.Connected: ("connect", _fill_connected),
    messages.Subscribed: ("subscribe", _fill_subscribed),
    messages.Unsubscribed: ("unsubscribe", _nothing),
    messages.Published: ("publish", _nothing),
    messages.Present: ("presence", _fill_present),
    messages.PresenceCount: ("presence_stats", _fill_count),
    messages.Recorded: ("history", _fill_recorded),
    messages.Returned: ("rpc", _fill_returned),
    messages.Refreshed: ("refresh", _fill_refreshed),
    messages.SubRefreshed: ("sub_refresh", lambda wire, result: _fill_expiry(wire, result.ttl_s)),
    codes.Error: ("error", _fill_error),
    messages.Failure: ("error", _fill_error),
}
