"""JSON frames into commands. Any frame gives commands or raises Malformed, nothing else.

Raw JSON, as clients gave it, passes unread. Here a channel becomes a topic.
Source: protocol.md, sections 1 to 3.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from realtime.protocol import commands, messages
from realtime.protocol.codec.base import REFUSE_UNRECOVERED, Frame, Malformed

_Id = Annotated[int, Meta(ge=0, le=2**32 - 1)]
_Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# The wire allows 2**64 - 1, the databases end at 2**63 - 1, and no log gets near either.
_Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_ABSENT = Raw()
# Half of an escaped character is JSON, yet no parser makes a text of it: one that is typed by
# somebody must not end the connection.
_FIRST, _SECOND = r"u[dD][89abAB][0-9a-fA-F]{2}", r"u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"\\(?:{_FIRST}\\{_SECOND}|({_FIRST}|{_SECOND})|.)")


# Fields that this server never reads are not listed, so they are ignored like unknown ones.


class _Node(Struct):
    op: str = ""
    key: str = ""
    cmp: str = ""
    val: str = ""
    vals: list[str] = []
    nodes: list["_Node"] = []


class _Subscribe(Struct):
    channel: str = ""
    token: str = ""
    recover: bool = False
    epoch: str = ""
    offset: _Offset = 0
    data: Raw = _ABSENT
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: str = ""
    tf: _Node | None = None
    flag: _Int64 = 0
    type: _Int32 = 0


class _Connect(Struct):
    token: str = ""
    data: Raw = _ABSENT
    name: str = ""
    version: str = ""
    subs: dict[str, _Subscribe] = {}


class _Channel(Struct):
    channel: str = ""


class _Publish(Struct):
    channel: str = ""
    data: Raw = _ABSENT
    type: _Int32 = 0


class _Position(Struct):
    offset: _Offset = 0
    epoch: str = ""


class _History(Struct):
    channel: str = ""
    limit: _Int32 = 0
    since: _Position | None = None
    reverse: bool = False


class _Ping(Struct):
    pass


class _Send(Struct):
    data: Raw = _ABSENT


class _Rpc(Struct):
    data: Raw = _ABSENT
    method: str = ""


class _Refresh(Struct):
    token: str = ""


class _SubRefresh(Struct):
    channel: str = ""
    token: str = ""
    type: _Int32 = 0


class _Command(Struct):
    """The first request present decides, in this order."""

    id: _Id = 0
    connect: _Connect | None = None
    subscribe: _Subscribe | None = None
    unsubscribe: _Channel | None = None
    publish: _Publish | None = None
    presence: _Channel | None = None
    presence_stats: _Channel | None = None
    history: _History | None = None
    ping: _Ping | None = None
    send: _Send | None = None
    rpc: _Rpc | None = None
    refresh: _Refresh | None = None
    sub_refresh: _SubRefresh | None = None


_decode = msgspec.json.Decoder(_Command).decode


def decode(frame: Frame, max_commands: int) -> list[commands.Command]:
    """The commands of a frame in their order; raises Malformed for anything that is not one."""
    try:
        # The parser skips over raw values without a look at their encoding, so look here.
        text = frame if isinstance(frame, str) else frame.decode()
        lines = _without_halves(text).removesuffix("\n").encode().split(b"\n", max_commands)
        decoded = [_decode(line) for line in lines[:max_commands]]
    except (ValueError, RecursionError) as error:  # of msgspec, UTF-8, surrogates, deep nesting
        raise Malformed(str(error)) from error
    if len(lines) > max_commands:
        raise Malformed(f"more than {max_commands} commands in a frame")
    return [_command(command) for command in decoded]


def _without_halves(text: str) -> str:
    """As browsers do with halves that are not escaped: U+FFFD stands for each."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda found: r"\ufffd" if found[1] else found[0], text)


def _command(wire: _Command) -> commands.Command:
    if not wire.id:
        return commands.Pong() if wire.send is None else _send(0, wire.send)
    for name, make in _REQUESTS.items():
        request = getattr(wire, name)
        if request is not None:
            return make(wire.id, request)
    raise Malformed("a command without a known request")


def _text(raw: Raw) -> str | None:
    return bytes(raw).decode() or None


def _connect(number: int, wire: _Connect) -> commands.Connect:
    subs = {topic: _subscribe(number, one, topic) for topic, one in wire.subs.items()}
    data = _text(wire.data)
    return commands.Connect(number, wire.token, data, wire.name, wire.version, subs)


def _subscribe(number: int, wire: _Subscribe, topic: str = "") -> commands.Subscribe:
    return commands.Subscribe(
        id=number,
        topic=topic or wire.channel,
        token=wire.token,
        since=messages.Position(wire.epoch, wire.offset) if wire.recover else None,
        strict=bool(wire.flag & REFUSE_UNRECOVERED),
        data=_text(wire.data),
        positioned=wire.positioned,
        recoverable=wire.recoverable,
        join_leave=wire.join_leave,
        delta=wire.delta,
        filter=_node(wire.tf) if wire.tf else None,
        kind=wire.type,
    )


def _node(wire: _Node) -> commands.Node:
    nodes = tuple(_node(node) for node in wire.nodes)
    return commands.Node(wire.op, wire.key, wire.cmp, wire.val, tuple(wire.vals), nodes)


def _send(_: int, wire: _Send) -> commands.Send:
    return commands.Send(_text(wire.data))


def _history(number: int, wire: _History) -> commands.History:
    since = messages.Position(wire.since.epoch, wire.since.offset) if wire.since else None
    return commands.History(number, wire.channel, wire.limit, since, wire.reverse)


_REQUESTS: dict[str, Callable[[int, Any], commands.Request | commands.Send]] = {
    "connect": _connect,
    "subscribe": _subscribe,
    "unsubscribe": lambda number, wire: commands.Unsubscribe(number, wire.channel),
    "publish": lambda number, wire: commands.Publish(
        number, wire.channel, _text(wire.data), wire.type
    ),
    "presence": lambda number, wire: commands.Presence(number, wire.channel),
    "presence_stats": lambda number, wire: commands.PresenceStats(number, wire.channel),
    "history": _history,
    "ping": lambda number, _: commands.Ping(number),
    "send": _send,
    "rpc": lambda number, wire: commands.Rpc(number, wire.method, _text(wire.data)),
    "refresh": lambda number, wire: commands.Refresh(number, wire.token),
    "sub_refresh": lambda number, wire: commands.SubRefresh(
        number, wire.channel, wire.token, wire.type
    ),
}
