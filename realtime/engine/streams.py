"""Live connections for those who cannot have a WebSocket: the server speaks over a response without
end (HTTP streaming or Server-Sent Events), the client by requests of their own (emulation).

Source: protocol.md, section 11.
"""

from __future__ import annotations

import functools
import re
from json import dumps
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

import structlog

from realtime.engine import hub
from realtime.engine.connection import Connection
from realtime.engine.emulation import Outcome
from realtime.engine.exchange import Exchange, Gone, Refused
from realtime.protocol.codec import binary, emulation, text
from realtime.protocol.codec.base import Malformed
from realtime.protocol.codes import Disconnect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from realtime.engine.exchange import Receive, Scope, Send
    from realtime.engine.hub import Hub
    from realtime.protocol.codec.base import Codec, Frame

    Serve = Callable[[Exchange], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

log = structlog.get_logger(__name__)

BINARY = b"application/octet-stream"
STATUS = {Outcome.TAKEN: 204, Outcome.UNKNOWN: 404, Outcome.AWAY: 503}
# who is given up for one of these does not read what waits for it
UNREADING = {Disconnect.SLOW.number, Disconnect.NO_PONG.number}
FOREIGN = re.compile(r"[^\x00-\x7f]+")


class Manner(NamedTuple):
    """How a stream speaks. `chunk`: a frame as it is written, each reply in one piece."""

    codec: Codec
    content_type: bytes
    chunk: Callable[[Frame], bytes]
    preamble: bytes = b""


def _ascii(frame: str) -> str:
    """The same JSON; some clients cannot put together a character that came in two chunks."""
    return frame if frame.isascii() else FOREIGN.sub(lambda found: dumps(found[0])[1:-1], frame)


def _lines(frame: Frame) -> bytes:
    return f"{_ascii(str(frame))}\n".encode()


def _events(frame: Frame) -> bytes:
    return "".join(f"data: {reply}\n\n" for reply in _ascii(str(frame)).split("\n")).encode()


LINES = Manner(text, b"application/json", _lines)
MESSAGES = Manner(binary, BINARY, lambda frame: frame)  # type: ignore[arg-type,return-value]
EVENTS = Manner(text, b"text/event-stream", _events, b"\r\n")


class Stream:
    """One connection over one response. Nothing is raised: Daphne could not bear it by then
    (daphne/http_protocol.py:290).
    """

    def __init__(self, here: Hub, exchange: Exchange, manner: Manner) -> None:
        self._exchange, self._manner = exchange, manner
        self.secret = here.emulation.secret()
        exchange.begin(manner.content_type, manner.preamble)
        self.connection = Connection(
            here,
            send=lambda frame: exchange.write(manner.chunk(frame)),
            close=self._close,
            codec=manner.codec,
            session_key=exchange.handshake.session_key,
            address=exchange.handshake.address,
            unsent=exchange.unsent,
            secret=self.secret,
        )

    def receive(self, frame: Frame) -> None:
        try:
            self.connection.receive(frame)
        except Exception:
            log.exception("stream.failed")
            self.connection.lost(1011)
            self._exchange.end()

    def disconnect(self, code: Disconnect) -> None:
        self.connection.disconnect(code)

    def _close(self, code: int) -> None:
        self._exchange.end()
        if code in UNREADING and self._exchange.unsent():
            self._exchange.abort()


async def _stream(exchange: Exchange, manner: Manner, first: Frame) -> None:
    here = hub.current()
    if not here.emulation.open:
        raise Refused(503)
    await here.emulation.ready()
    stream = Stream(here, exchange, manner)
    try:
        with here.emulation.holding(stream.secret, stream):
            stream.receive(first)
            await exchange.gone()
    finally:
        stream.connection.lost(1006)


def _served(*methods: str) -> Callable[[Serve], Application]:
    """An ASGI application for these methods, which judges the request first."""

    def decorate(serve: Serve) -> Application:
        @functools.wraps(serve)
        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            exchange = Exchange(scope, receive, send)
            try:
                exchange.judge(methods)
                if exchange.method == "OPTIONS":
                    exchange.allow(methods)
                else:
                    await serve(exchange)
            except Refused as refused:
                exchange.answer(refused.status, refused.headers)
            except Gone:
                return

        return application

    return decorate


@_served("POST")
async def http_stream(exchange: Exchange) -> None:
    """The body is the first frame."""
    body = await exchange.body()
    if _is_binary(exchange):
        await _stream(exchange, MESSAGES, body)
    else:
        await _stream(exchange, LINES, _text(body))


@_served("GET", "POST")
async def sse(exchange: Exchange) -> None:
    """The first frame is in the query, for browsers can do no better; or with POST in the body."""
    if exchange.method == "POST":
        first = _text(await exchange.body())
    else:
        query = exchange.scope.get("query_string", b"").decode("latin1")
        first = parse_qs(query).get("cf_connect", [""])[0]
    if not first:
        raise Refused(400)
    await _stream(exchange, EVENTS, first)


@_served("POST")
async def emulated(exchange: Exchange) -> None:
    """A frame from a client whose stream this process holds, or another one."""
    body = await exchange.body()
    try:
        posted = (emulation.in_binary if _is_binary(exchange) else emulation.in_text)(body)
    except Malformed:
        raise Refused(400) from None
    deliver = hub.current().emulation.deliver
    outcome = await deliver(posted.node, posted.session, posted.frame)
    exchange.answer(STATUS[outcome])


def _is_binary(exchange: Exchange) -> bool:
    return exchange.header(b"content-type").partition(";")[0].strip() == BINARY.decode()


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Refused(400) from None
