"""Protobuf frames into commands. Any frame gives commands or raises Malformed, nothing else.

A frame is one or more messages, each behind its length. Here a channel becomes a topic.
Source: protocol.md, sections 1 and 2; client.proto.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import msgspec
from google.protobuf import proto
from google.protobuf.message import DecodeError

from realtime.protocol import client_pb2, commands, messages
from realtime.protocol.codec.base import REFUSE_UNRECOVERED, Frame, Malformed

# above it no log and no database counts
_LAST_OFFSET = 2**63 - 1


def decode(frame: Frame, max_commands: int) -> list[commands.Command]:
    """The commands of a frame in their order; raises Malformed for anything that is not one."""
    if isinstance(frame, str) or not frame:
        raise Malformed("Protobuf comes as bytes")
    stream = BytesIO(frame)
    found: list[commands.Command] = []
    try:
        while (wire := proto.parse_length_prefixed(client_pb2.Command, stream)) is not None:
            if len(found) == max_commands:
                raise Malformed(f"more than {max_commands} commands in a frame")
            found.append(_command(wire))
    # a length that no memory has is an OverflowError
    except (DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise Malformed(str(error)) from error
    return found


def _command(wire: client_pb2.Command) -> commands.Command:
    if not wire.id:
        return _send(0, wire.send) if wire.HasField("send") else commands.Pong()
    for name, make in _REQUESTS.items():
        if wire.HasField(name):
            return make(wire.id, getattr(wire, name))
    raise Malformed("a command without a known request")


def _json(data: bytes) -> str | None:
    if not data:
        return None
    msgspec.json.decode(data)
    return data.decode()


def _position(epoch: str, offset: int) -> messages.Position:
    if offset > _LAST_OFFSET:
        raise Malformed("an offset beyond all")
    return messages.Position(epoch, offset)


def _connect(number: int, wire: client_pb2.ConnectRequest) -> commands.Connect:
    subs = {topic: _subscribe(number, one, topic) for topic, one in wire.subs.items()}
    data = _json(wire.data)
    return commands.Connect(number, wire.token, data, wire.name, wire.version, subs)


def _subscribe(
    number: int, wire: client_pb2.SubscribeRequest, topic: str = ""
) -> commands.Subscribe:
    since = _position(wire.epoch, wire.offset)
    return commands.Subscribe(
        id=number,
        topic=topic or wire.channel,
        token=wire.token,
        since=since if wire.recover else None,
        strict=bool(wire.flag & REFUSE_UNRECOVERED),
        data=_json(wire.data),
        positioned=wire.positioned,
        recoverable=wire.recoverable,
        join_leave=wire.join_leave,
        delta=wire.delta,
        filter=_node(wire.tf) if wire.HasField("tf") else None,
        kind=wire.type,
    )


def _node(wire: client_pb2.FilterNode) -> commands.Node:
    nodes = tuple(_node(node) for node in wire.nodes)
    return commands.Node(wire.op, wire.key, wire.cmp, wire.val, tuple(wire.vals), nodes)


def _publish(number: int, wire: client_pb2.PublishRequest) -> commands.Publish:
    return commands.Publish(number, wire.channel, wire.data or None, wire.type)


def _send(_: int, wire: client_pb2.SendRequest) -> commands.Send:
    return commands.Send(_json(wire.data))


def _history(number: int, wire: client_pb2.HistoryRequest) -> commands.History:
    since = _position(wire.since.epoch, wire.since.offset) if wire.HasField("since") else None
    return commands.History(number, wire.channel, wire.limit, since, wire.reverse)


def _sub_refresh(number: int, wire: client_pb2.SubRefreshRequest) -> commands.SubRefresh:
    return commands.SubRefresh(number, wire.channel, wire.token, wire.type)


_REQUESTS: dict[str, Callable[[int, Any], commands.Request | commands.Send]] = {
    "connect": _connect,
    "subscribe": _subscribe,
    "unsubscribe": lambda number, wire: commands.Unsubscribe(number, wire.channel),
    "publish": _publish,
    "presence": lambda number, wire: commands.Presence(number, wire.channel),
    "presence_stats": lambda number, wire: commands.PresenceStats(number, wire.channel),
    "history": _history,
    "ping": lambda number, _: commands.Ping(number),
    "send": _send,
    "rpc": lambda number, wire: commands.Rpc(number, wire.method, wire.data or None),
    "refresh": lambda number, wire: commands.Refresh(number, wire.token),
    "sub_refresh": _sub_refresh,
}
