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
from realtime.engine.handshake import Handshake
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
    """Daphne's, but what the peer gets wrong is told it in the protocol's own words.

    A handshake that is no text is a bad request, and not an error of the server.
    """

    # else it cuts the line, which a client takes for a lost network and comes again
    failByDrop = False  # noqa: N815  (autobahn's name)
    codec: Codec
    maxMessagePayloadSize: int  # noqa: N815

    def onOpen(self) -> None:  # noqa: N802
        now = time.monotonic()
        self._frames = Bucket(settings.FRAMES_PER_S, settings.FRAMES_BURST, now)
        super().onOpen()

    def onFrameBegin(self) -> None:  # noqa: N802
        """Of fragments, pings and pongs, too, of which the connection never hears."""
        super().onFrameBegin()
        if self.state == self.STATE_OPEN and not self._frames.take(1, time.monotonic()):
            self._end(Disconnect.TOO_MANY_REQUESTS)

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        # who does not read the answers gets no more of them
        if unsent(self.transport) <= UNANSWERED_BYTES:
            super().onPing(payload)

    def sendMessage(self, *values: Any, **named: Any) -> None:  # noqa: N802
        # the bound is for what clients send; autobahn holds our own messages to it as well
        bound, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
        try:
            super().sendMessage(*values, **named)
        finally:
            self.maxMessagePayloadSize = bound

    def _fail_connection(self, code: int = 0, reason: str = "") -> None:
        """Too large, no UTF-8, no WebSocket: autobahn's way out of all of them."""
        if self.state == self.STATE_OPEN:
            self._end(Disconnect.BAD_REQUEST)
        else:
            super()._fail_connection(code, reason)

    def _end(self, why: Disconnect) -> None:
        self.failedByMe = True  # autobahn reads on, for the answer to the close, and keeps nothing
        said = self.codec.encode(DisconnectPush(why))
        spelt = said.encode() if isinstance(said, str) else said
        self.sendMessage(spelt, isBinary=isinstance(said, bytes))
        self.sendCloseFrame(code=why.number, reasonUtf8=why.text.encode(), isReply=False)

    def onConnect(self, request: Any) -> Any:  # noqa: N802  (autobahn's name)
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
            protocol.codec = Handshake(scope).codec
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
