"""Frames into commands, replies and pushes into frames: the JSON form of the protocol.

Any frame gives commands or raises Malformed, nothing else. What is encoded never holds null for
an absent field, nor a raw newline inside an object: clients cut frames at newlines. Raw JSON, as
clients and applications gave it, passes unread. Here, and only here, a topic is called a channel.
Source: protocol.md, sections 1 to 3.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from realtime.protocol import codes, messages

_Id = Annotated[int, Meta(ge=0, le=2**32 - 1)]
_Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# The wire allows 2**64 - 1, the databases end at 2**63 - 1, and no log gets near either.
_Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_ABSENT = Raw()
_REFUSE_UNRECOVERED = 2  # a bit of SubscribeRequest.flag
_quote = msgspec.json.Encoder().encode


class Malformed(ValueError):  # noqa: N818 - it names the frame, not the mishap
    """The frame is not what the protocol calls a frame."""


# --- Frame to commands ------------------------------------------------------------------------
# Fields that this server never reads are not listed, so they are ignored like unknown ones.


class _Connect(Struct):
    token: str = ""
    data: Raw = _ABSENT
    name: str = ""
    version: str = ""


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
    tf: dict[str, Raw] | None = None
    flag: _Int64 = 0
    type: _Int32 = 0


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


def decode(frame: str | bytes, max_commands: int) -> list[messages.Command]:
    """The commands of a frame in their order; raises Malformed for anything that is not one."""
    try:
        # The parser skips over raw values without a look at their encoding, so look here.
        text = frame if isinstance(frame, str) else frame.decode()
        lines = text.removesuffix("\n").encode().split(b"\n", max_commands)
        commands = [_decode(line) for line in lines[:max_commands]]
    except (ValueError, RecursionError) as error:  # of msgspec, UTF-8, surrogates, deep nesting
        raise Malformed(str(error)) from error
    if len(lines) > max_commands:
        raise Malformed(f"more than {max_commands} commands in a frame")
    return [_command(command) for command in commands]


def _command(wire: _Command) -> messages.Command:
    if wire.send is not None:
        return messages.Send(_text(wire.send.data))
    if not wire.id:
        return messages.Pong()
    for name, make in _REQUESTS.items():
        request = getattr(wire, name)
        if request is not None:
            return make(wire.id, request)
    raise Malformed("a command without a known request")


def _text(raw: Raw) -> str | None:
    return bytes(raw).decode() or None


def _connect(number: int, wire: _Connect) -> messages.Connect:
    return messages.Connect(number, wire.token, _text(wire.data), wire.name, wire.version)


def _subscribe(number: int, wire: _Subscribe) -> messages.Subscribe:
    return messages.Subscribe(
        id=number,
        topic=wire.channel,
        token=wire.token,
        since=messages.Position(wire.epoch, wire.offset) if wire.recover else None,
        strict=bool(wire.flag & _REFUSE_UNRECOVERED),
        data=_text(wire.data),
        positioned=wire.positioned,
        recoverable=wire.recoverable,
        join_leave=wire.join_leave,
        delta=wire.delta,
        filtered=wire.tf is not None,
        kind=wire.type,
    )


def _history(number: int, wire: _History) -> messages.History:
    since = messages.Position(wire.since.epoch, wire.since.offset) if wire.since else None
    return messages.History(number, wire.channel, wire.limit, since, wire.reverse)


_REQUESTS: dict[str, Callable[[int, Any], messages.Request]] = {
    "connect": _connect,
    "subscribe": _subscribe,
    "unsubscribe": lambda number, wire: messages.Unsubscribe(number, wire.channel),
    "publish": lambda number, wire: messages.Publish(
        number, wire.channel, _text(wire.data), wire.type
    ),
    "presence": lambda number, wire: messages.Presence(number, wire.channel),
    "presence_stats": lambda number, wire: messages.PresenceStats(number, wire.channel),
    "history": _history,
    "ping": lambda number, _: messages.Ping(number),
    "rpc": lambda number, wire: messages.Rpc(number, wire.method, _text(wire.data)),
    "refresh": lambda number, wire: messages.Refresh(number, wire.token),
    "sub_refresh": lambda number, wire: messages.SubRefresh(
        number, wire.channel, wire.token, wire.type
    ),
}


# --- Messages to frames -----------------------------------------------------------------------


def encode(message: messages.Message) -> str:
    """One object, which is also a whole frame."""
    match message:
        case messages.Reply(number, result):
            return f'{{"id":{number},{_result(result)}}}'
        case messages.PingPush():
            return "{}"
        case messages.UnsubscribePush(topic, reason):
            return f'{{"push":{{"channel":{quote(topic)},"unsubscribe":{_reason(reason)}}}}}'
        case messages.DisconnectPush(reason):
            return f'{{"push":{{"disconnect":{_reason(reason)}}}}}'
    return publication_push(message.topic, message.publication)


def batch(frames: Iterable[str]) -> str:
    """Several encoded objects as one frame."""
    return "\n".join(frames)


def publication_push(topic: str, publication: messages.Publication) -> str:
    """The frame that every connection of the topic gets."""
    return f'{{"push":{{"channel":{quote(topic)},"pub":{_publication(publication)}}}}}'


def row_data(op: str, key: str, body: str | None, counts: str | None, at: int) -> str:
    """The data of a row's publication: the same bytes whenever it is built from the log again.

    `body` and `counts` are JSON text; `at` is in unix milliseconds. Op "p" was published without
    a row: its data is its body and nothing around it.
    """
    if op == "p":
        return _line(body or "null")
    parts = [f'{{"op":{quote(op)},"key":{quote(key)}']
    if body is not None:
        parts.append(f',"body":{body}')
    if counts is not None:
        parts.append(f',"counts":{counts}')
    parts.append(f',"at":{at}}}')
    return _line("".join(parts))


def client_info(info: messages.ClientInfo) -> str:
    parts = [f'"user":{quote(info.user)},"client":{quote(info.client)}']
    if info.info is not None:
        parts.append(f'"conn_info":{_line(info.info)}')
    if info.topic_info is not None:
        parts.append(f'"chan_info":{_line(info.topic_info)}')
    return f"{{{','.join(parts)}}}"


def quote(text: str) -> str:
    """`text` as a JSON string."""
    return _quote(text).decode()


def _line(data: str) -> str:
    # In JSON a raw newline only stands between tokens, where a space means the same.
    return data.replace("\n", " ").replace("\r", " ")


def _publication(publication: messages.Publication) -> str:
    about = f",{publication.about[1:-1]}" if publication.about else ""
    offset = f',"offset":{publication.offset}' if publication.offset else ""
    return f'{{"data":{_line(publication.data)}{about}{offset}}}'


def _reason(reason: codes.Disconnect | codes.Unsubscribe) -> str:
    return f'{{"code":{reason.number},"reason":{quote(reason.text)}}}'


def _result(result: messages.Result) -> str:
    match result:
        case messages.Connected():
            fields = [f'"client":{quote(result.client)},"version":{quote(result.version)}']
            if result.data is not None:
                fields.append(f'"data":{_line(result.data)}')
            if result.ping_s:
                fields.append(f'"ping":{result.ping_s}')
            if result.pong:
                fields.append('"pong":true')
            return f'"connect":{{{",".join(fields)}}}'
        case messages.Subscribed():
            return f'"subscribe":{{{",".join(_subscribed(result))}}}'
        case messages.Unsubscribed():
            return '"unsubscribe":{}'
    temporary = ',"temporary":true' if result.temporary else ""
    return f'"error":{{"code":{result.number},"message":{quote(result.text)}{temporary}}}'


def _subscribed(result: messages.Subscribed) -> Iterable[str]:
    if result.position is not None:
        yield f'"recoverable":true,"epoch":{quote(result.position.epoch)}'
        if result.publications:
            yield f'"publications":[{",".join(map(_publication, result.publications))}]'
        if result.recovered:
            yield '"recovered":true'
        if result.position.offset:
            yield f'"offset":{result.position.offset}'
        yield '"positioned":true'
    if result.data is not None:
        yield f'"data":{_line(result.data)}'
    if result.was_recovering:
        yield '"was_recovering":true'
