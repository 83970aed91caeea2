"""One web process: Daphne on a listening socket it inherits, with an orderly end.

Guarantee: no client makes it grow without bound, or learns of a bad frame by a cut line only.

At TERM it accepts nothing more, sends its live connections elsewhere (3001, spread over
TOCSIN_DRAIN_S), lets the requests in flight finish, and is gone. `manage.py serve` starts it, and
it ends as orderly when `serve` is gone.
"""

from __future__ import annotations

# first: it installs Twisted's asyncio reactor (daphne/server.py:20)
from daphne.server import Server as Daphne  # isort:skip

import argparse
import asyncio
import contextlib
import functools
import os
import time
from typing import TYPE_CHECKING, Any

from autobahn.websocket.types import ConnectionDeny
from daphne.http_protocol import HTTPFactory
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from django.utils.module_loading import import_string
from twisted.internet import defer, reactor
from twisted.internet.task import LoopingCall
from twisted.web.http import HTTPChannel

from realtime.engine.conf import settings
from realtime.engine.limits import Bucket
from realtime.protocol.codes import Disconnect
from realtime.protocol.messages import DisconnectPush

if TYPE_CHECKING:
    from realtime.protocol.codec.base import Codec

REQUESTS_S = 5.0
# for what the others are told of those who left, and for being counted no more
LAST_WORDS_S, END_S = 1.0, 2.0
ORPHAN_CHECK_S = 1.0
FOREVER = -1
UNANSWERED_BYTES = 64 * 1024
REASON_BYTES = 123  # of a close frame
LINGER_S = 1.0  # as long as autobahn waits for the answer to a close
REQUEST_BYTES = 4 * 1024 * 1024  # more than Django takes (DATA_UPLOAD_MAX_MEMORY_SIZE)
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Channel(HTTPChannel):
    """Twisted's, but a request has a time (a minute) and a size, however it drips or pours in."""

    _arrived = 0  # bytes of the request that is coming in

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  (twisted's names)
        if not self._arrived:
            super().resetTimeout()  # type: ignore[no-untyped-call]
        self._arrived += len(data)
        if self._arrived > REQUEST_BYTES:
            wire: Any = self.transport
            wire.write(TOO_LARGE)
            wire.loseConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def resetTimeout(self) -> None:  # noqa: N802
        """Not by each piece, else a handshake of one byte a second would never end."""

    def allContentReceived(self) -> None:  # noqa: N802
        self._arrived = 0
        super().allContentReceived()  # type: ignore[no-untyped-call]


class Socket(WebSocketProtocol):
    """Daphne's, but what the peer gets wrong ends in the codes of RFC 6455, and not by a cut line.

    Where the application has said what is spoken here, the end is told in these words, too: else
    a client takes it for a lost network and comes again. A handshake that is no text is a bad
    request, and not an error of the server.
    """

    codec: Codec | None = None
    echoCloseCodeReason = True  # noqa: N815  (autobahn's name)
    maxMessagePayloadSize: int  # noqa: N815

    def onOpen(self) -> None:  # noqa: N802
        now = time.monotonic()
        self._frames = Bucket(settings.FRAMES_PER_S, settings.FRAMES_BURST, now)
        super().onOpen()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        # behind an error nothing is heard, the answer to the close neither (RFC 6455, 7.1.7)
        if not self.failedByMe:
            self._dataReceived(data)  # autobahn's own way there only spells a line for a log

    def onFrameBegin(self) -> None:  # noqa: N802
        """Of fragments, pings and pongs, too, of which the connection never hears."""
        super().onFrameBegin()
        if not self._frames.take(1, time.monotonic()):
            why = Disconnect.TOO_MANY_REQUESTS
            self._end(why, why.number, why.text)

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        # who does not read the answers gets no more of them
        if unsent(self.transport) <= UNANSWERED_BYTES:
            super().onPing(payload)

    def handle_reply(self, message: dict[str, Any]) -> None:
        if message["type"] != "websocket.send" or self.state == self.STATE_CONNECTING:
            super().handle_reply(message)
        # nothing follows a close frame: what comes late is dropped, and no error that cuts it off
        elif self.state == self.STATE_OPEN:
            # Daphne's own way drops what is empty (daphne/ws_protocol.py:206)
            if (text := message.get("text")) is None:
                self.sendMessage(message["bytes"], isBinary=True)
            else:
                self.sendMessage(text.encode(), isBinary=False)

    def sendMessage(self, *values: Any, **named: Any) -> None:  # noqa: N802
        # the bound is for what clients send; autobahn holds our own messages to it as well
        bound, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
        try:
            super().sendMessage(*values, **named)
        finally:
            self.maxMessagePayloadSize = bound

    def _fail_connection(self, code: int = 0, reason: str = "") -> None:
        """Too large, no UTF-8, no WebSocket: autobahn's way out of all of them."""
        why = Disconnect.BAD_REQUEST
        # a bound of ours is no error of the WebSocket, and has our code
        if code == self.CLOSE_STATUS_CODE_MESSAGE_TOO_BIG:
            code, reason = why.number, why.text
        self._end(why, code, reason)

    def _end(self, why: Disconnect, code: int, reason: str) -> None:
        self.failedByMe = True
        if self.state != self.STATE_OPEN:
            return
        if self.codec is not None:
            said = self.codec.encode(DisconnectPush(why))
            spelt = said.encode() if isinstance(said, str) else said
            self.sendMessage(spelt, isBinary=isinstance(said, bytes))
        self.sendCloseFrame(code=code, reasonUtf8=reason.encode()[:REASON_BYTES], isReply=False)
        self.wasClean, self.remoteCloseCode = True, code  # what the application will be told
        # a peer that still sends would lose all that was said last if the line were cut at once
        self.transport.loseWriteConnection()

    def _closeConnection(self, abort: bool = False) -> None:  # noqa: FBT001, FBT002, N802
        super()._closeConnection(abort and not self.wasClean)
        # who does not read what is left does not hold it for ever
        reactor.callLater(LINGER_S, self.transport.abortConnection)  # type: ignore[arg-type]

    def onConnect(self, request: Any) -> Any:  # noqa: N802
        if not request.headers.get("sec-websocket-protocol", "").isascii():
            code = ConnectionDeny.BAD_REQUEST
            raise ConnectionDeny(code, "subprotocols are ASCII")  # type: ignore[no-untyped-call]
        return super().onConnect(request)


class Server(Daphne):
    """Daphne, but it drains before it stops, and tells a connection how much of it has not left."""

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.ports: list[Any] = []

    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        # Daphne's own list gives None for it (daphne/server.py:157)
        self.ports.append(port)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] == "websocket":
            scope["tocsin.speak"] = functools.partial(setattr, protocol, "codec")
        scope["tocsin.unsent"] = functools.partial(unsent, protocol.transport)
        scope["tocsin.abort"] = protocol.transport.abortConnection
        return super().create_application(protocol, scope)

    def kill_all_applications(self) -> defer.Deferred[None]:
        """What the reactor waits for before it stops (a trigger before `shutdown`)."""
        return defer.Deferred.fromFuture(asyncio.ensure_future(self.drain()))

    async def drain(self) -> None:
        for port in self.ports:
            port.stopListening()
        from realtime.engine import hub  # noqa: PLC0415  (needs the applications, which load later)

        if one := hub.running():
            await one.drain(settings.DRAIN_S)
        if requests := self.in_flight():
            await asyncio.wait(requests, timeout=REQUESTS_S)
        for task in self.in_flight():
            task.cancel()
        await asyncio.gather(*self.in_flight(), return_exceptions=True)
        if one:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await one.stop(LAST_WORDS_S)

    def in_flight(self) -> list[asyncio.Future[Any]]:
        # a finished request loses its key while its connection is kept (daphne/server.py:277)
        running = (details.get("application_instance") for details in self.connections.values())
        return [task for task in running if task is not None and not task.done()]


def end_without(parent: int) -> None:
    """A killed `serve` cannot end its processes, and they would hold its port for ever."""
    if os.getppid() != parent:
        reactor.stop()  # type: ignore[misc]


def unsent(transport: Any) -> int:
    """The bytes that the kernel has not taken yet (twisted/internet/abstract.py)."""
    return len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)  # noqa: SLF001


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the inherited listening socket")
    # told, not looked up: it may be gone before this process can look
    parser.add_argument("--parent", type=int, required=True, help="ends when this process is gone")
    parser.add_argument("--proxy-headers", action="store_true", help="believe X-Forwarded-For")
    parser.add_argument("application", help="module:name of the ASGI application")
    options = parser.parse_args()
    HTTPFactory.protocol, WebSocketFactory.protocol = Channel, Socket
    watch = LoopingCall(end_without, options.parent)
    watch.start(ORPHAN_CHECK_S, now=False)
    Server(
        import_string(options.application.replace(":", ".")),
        endpoints=[f"fd:fileno={options.fd}"],
        # ours to end, not the server's clock's (daphne/server.py:55)
        websocket_timeout=FOREVER,
        websocket_max_message_size=settings.FRAME_BYTES,
        websocket_max_frame_size=settings.FRAME_BYTES,
        proxy_forwarded_address_header="X-Forwarded-For" if options.proxy_headers else None,
        proxy_forwarded_proto_header="X-Forwarded-Proto" if options.proxy_headers else None,
    ).run()


if __name__ == "__main__":
    main()
