"""The JSON form of the protocol: replies and pushes into text frames.

What is encoded never holds null for an absent field, nor a raw newline inside an object: clients
cut frames at newlines. Raw JSON, as applications gave it, passes unread. Here a topic becomes a
channel. Source: protocol.md, sections 1 to 3 and 10.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from realtime.protocol import codes, messages
from realtime.protocol.codec.base import Frame, Inappropriate
from realtime.protocol.codec.text_commands import decode

__all__ = [
    "NAME", "batch", "client_info", "decode", "encode", "publication_push", "quote", "result",
    "row_data",
]  # fmt: skip
NAME = "centrifuge-json"
_quote = msgspec.json.Encoder().encode


def encode(message: messages.Message) -> str:
    """One object, which is also a whole frame."""
    match message:
        case messages.Reply(number, result):
            name, write = _RESULTS[type(result)]
            return f'{{"id":{number},"{name}":{write(result)}}}'
        case messages.PingPush():
            return "{}"
        case messages.PublicationPush(topic, publication):
            return publication_push(topic, publication)
        case messages.MessagePush(data):
            return f'{{"push":{{"message":{{"data":{_line(data)}}}}}}}'
        case messages.DisconnectPush(reason):
            return f'{{"push":{{"disconnect":{_reason(reason)}}}}}'
    return _push(message.topic, _of_topic(message))


def result(answer: messages.Result) -> str:
    """The object of a reply alone."""
    return _RESULTS[type(answer)][1](answer)


def batch(frames: Iterable[Frame]) -> str:
    """Several encoded objects as one frame."""
    return "\n".join(frames)  # type: ignore[arg-type]  # they are this codec's own


def publication_push(
    topic: str,
    publication: messages.Publication,
    *,
    quoted: bool = False,
    delta: bytes | None = None,
) -> str:
    """The frame that every connection of the topic gets."""
    return _push(topic, f'"pub":{_publication(publication, quoted=quoted, delta=delta)}')


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


def _push(topic: str, what: str) -> str:
    return f'{{"push":{{"channel":{quote(topic)},{what}}}}}'


def _of_topic(
    message: messages.JoinPush
    | messages.LeavePush
    | messages.SubscribePush
    | messages.UnsubscribePush,
) -> str:
    match message:
        case messages.JoinPush(_, info):
            return f'"join":{{"info":{client_info(info)}}}'
        case messages.LeavePush(_, info):
            return f'"leave":{{"info":{client_info(info)}}}'
        case messages.SubscribePush(_, result):
            return f'"subscribe":{_subscribed(result)}'
    return f'"unsubscribe":{_reason(message.reason)}'


def _publication(
    publication: messages.Publication, *, quoted: bool = False, delta: bytes | None = None
) -> str:
    if publication.blob is not None:
        raise Inappropriate("bytes cannot be said in JSON")
    data = _line(publication.data)
    if quoted or delta is not None:
        data = quote(data if delta is None else delta.decode())
    about = f",{publication.about[1:-1]}" if publication.about else ""
    offset = f',"offset":{publication.offset}' if publication.offset else ""
    ending = "" if delta is None else ',"delta":true'
    return f'{{"data":{data}{about}{offset}{ending}}}'


def _reason(reason: messages.Ending | codes.Unsubscribe) -> str:
    return f'{{"code":{reason.number},"reason":{quote(reason.text)}}}'


def _object(fields: Iterable[str]) -> str:
    return f"{{{','.join(fields)}}}"


def _fields(**raw: str | None) -> Iterable[str]:
    """Those that there are: an absent field is left out, never null."""
    return (f'"{name}":{_line(text)}' for name, text in raw.items() if text is not None)


def _texts(**texts: str) -> Iterable[str]:
    return (f'"{name}":{quote(text)}' for name, text in texts.items() if text)


def _expiry(ttl_s: int | None) -> Iterable[str]:
    if ttl_s is not None:
        yield f'"expires":true,"ttl":{ttl_s}'


def _connected(result: messages.Connected) -> Iterable[str]:
    yield from _texts(client=result.client, version=result.version)
    yield from _expiry(result.ttl_s)
    yield from _fields(data=result.data)
    if result.subs:
        subs = (f"{quote(topic)}:{_subscribed(sub)}" for topic, sub in result.subs.items())
        yield f'"subs":{_object(subs)}'
    if result.ping_s:
        yield f'"ping":{result.ping_s}'
    if result.pong:
        yield '"pong":true'
    yield from _texts(session=result.session, node=result.node)


def _refreshed(result: messages.Refreshed) -> Iterable[str]:
    yield from _texts(client=result.client, version=result.version)
    yield from _expiry(result.ttl_s)


def _recorded(result: messages.Recorded) -> Iterable[str]:
    yield f'"publications":[{",".join(map(_publication, result.publications))}]'
    yield from _texts(epoch=result.position.epoch)
    yield f'"offset":{result.position.offset}'


def _subscribed(result: messages.Subscribed) -> str:
    return _object(_of_subscription(result))


def _of_subscription(result: messages.Subscribed) -> Iterable[str]:
    yield from _expiry(result.ttl_s)
    if result.position is not None:
        yield f'"recoverable":true,"epoch":{quote(result.position.epoch)}'
        if result.publications:
            said = (_publication(one, quoted=result.delta) for one in result.publications)
            yield f'"publications":[{",".join(said)}]'
        if result.recovered:
            yield '"recovered":true'
        if result.position.offset:
            yield f'"offset":{result.position.offset}'
        yield '"positioned":true'
    yield from _fields(data=result.data)
    if result.was_recovering:
        yield '"was_recovering":true'
    if result.delta:
        yield '"delta":true'


def _presence(result: messages.Present) -> str:
    people = (f"{quote(name)}:{client_info(info)}" for name, info in result.clients.items())
    return f'{{"presence":{_object(people)}}}'


def _count(result: messages.PresenceCount) -> str:
    return f'{{"num_clients":{result.clients},"num_users":{result.users}}}'


def _error(result: messages.Refusal) -> str:
    temporary = ',"temporary":true' if result.temporary else ""
    return f'{{"code":{result.number},"message":{quote(result.text)}{temporary}}}'


_RESULTS: dict[type[Any], tuple[str, Callable[[Any], str]]] = {
    messages.Connected: ("connect", lambda result: _object(_connected(result))),
    messages.Subscribed: ("subscribe", _subscribed),
    messages.Unsubscribed: ("unsubscribe", lambda _: "{}"),
    messages.Published: ("publish", lambda _: "{}"),
    messages.Present: ("presence", _presence),
    messages.PresenceCount: ("presence_stats", _count),
    messages.Recorded: ("history", lambda result: _object(_recorded(result))),
    messages.Returned: ("rpc", lambda result: _object(_fields(data=result.data))),
    messages.Refreshed: ("refresh", lambda result: _object(_refreshed(result))),
    messages.SubRefreshed: ("sub_refresh", lambda result: _object(_expiry(result.ttl_s))),
    codes.Error: ("error", _error),
    messages.Failure: ("error", _error),
}
