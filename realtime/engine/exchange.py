"""One HTTP request and its answer, as ASGI tells them; what is written is written at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime.engine.conf import settings
from realtime.engine.handshake import Handshake
from realtime.engine.outlet import at_once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from typing import Any

    Headers = Iterable[tuple[bytes, bytes]]
    Scope = Mapping[str, Any]
    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[dict[str, Any]], Any]

ALWAYS = (
    (b"cache-control", b"private, no-cache, no-store, must-revalidate, max-age=0"),
    (b"x-content-type-options", b"nosniff"),
)
PREFLIGHT_S = b"300"
TEXTS = {
    400: b"bad request",
    403: b"forbidden",
    404: b"no such session",
    405: b"method not allowed",
    413: b"too large",
    503: b"try again",
}


class Refused(Exception):  # noqa: N818  (what became of the request)
    """The request gets a status and no more."""

    def __init__(self, status: int, headers: Headers = ()) -> None:
        super().__init__(status)
        self.status, self.headers = status, headers


class Gone(Exception):  # noqa: N818  (what became of the client)
    """The client has not waited for the end of its own request."""


class Exchange:
    """`unsent`: the bytes that the kernel has not taken yet; `abort`: cut the line, now."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.handshake = Handshake(scope)
        self.method = str(scope["method"])
        self.unsent: Callable[[], int] = scope.get("tocsin.unsent", lambda: 0)
        self.abort: Callable[[], None] = scope.get("tocsin.abort", lambda: None)
        self._ended = False

    def header(self, name: bytes) -> str:
        values = [value for header, value in self.scope["headers"] if header.lower() == name]
        return values[0].decode("latin1").strip().lower() if values else ""

    def judge(self, methods: tuple[str, ...]) -> None:
        """Raises Refused."""
        if not self.handshake.acceptable:
            raise Refused(403)
        if self.method not in {*methods, "OPTIONS"}:
            raise Refused(405, [(b"allow", _allowed(methods))])

    async def body(self) -> bytes:
        """All of it. Raises Refused where it is larger than a frame may be, or Gone."""
        size, parts, more = 0, [], True
        while more and size <= settings.FRAME_BYTES:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            size, more = sum(map(len, parts)), message.get("more_body", False)
        if size > settings.FRAME_BYTES:
            raise Refused(413)
        return b"".join(parts)

    async def gone(self) -> None:
        """Wait until the client is gone, or has been given the end."""
        while not self._ended and (await self._receive())["type"] != "http.disconnect":
            pass

    # --- The answer

    def allow(self, methods: tuple[str, ...]) -> None:
        """What a browser asks before a page of another origin may ask more."""
        allow, kinds = b"access-control-allow-methods", b"access-control-allow-headers"
        lasts = (b"access-control-max-age", PREFLIGHT_S)
        self.answer(204, [(allow, _allowed(methods)), (kinds, b"content-type"), lasts])

    def answer(self, status: int, headers: Headers = ()) -> None:
        text = TEXTS.get(status, b"")
        about = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))]
        self._start(status, [*headers, *(about if text else ())])
        self.end(text)

    def begin(self, content_type: bytes, preamble: bytes) -> None:
        """What is written from now on leaves as it comes."""
        headers = [(b"content-type", content_type), (b"x-accel-buffering", b"no")]
        if self.scope.get("http_version") == "1.1" and self.header(b"connection") != "close":
            headers.append((b"connection", b"keep-alive"))
        self._start(200, headers)
        self.write(preamble)

    def write(self, chunk: bytes) -> None:
        self._put({"type": "http.response.body", "body": chunk, "more_body": True})

    def end(self, chunk: bytes = b"") -> None:
        self._put({"type": "http.response.body", "body": chunk})
        self._ended = True

    def _start(self, status: int, headers: Headers) -> None:
        found = [*ALWAYS, *self._shared(), *headers]
        self._put({"type": "http.response.start", "status": status, "headers": found})

    def _shared(self) -> Headers:
        """A page of another origin may read the answer if the site trusts it."""
        origin = self.header(b"origin").encode("latin1")
        if not origin or not self.handshake.acceptable:
            return []
        return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]

    def _put(self, message: dict[str, Any]) -> None:
        if not self._ended and not at_once(self._send(message)):
            self._ended = True  # what followed would hide that something is missing


def _allowed(methods: tuple[str, ...]) -> bytes:
    return ", ".join((*methods, "OPTIONS")).encode()
