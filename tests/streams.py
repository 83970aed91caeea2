"""A client of the HTTP transports: a response that is read as it comes, commands by POST."""

import asyncio
import contextlib
import json
from urllib.parse import quote

PATHS = {"http_stream": "/connection/http_stream", "sse": "/connection/sse"}
JSON, BINARY = "application/json", "application/octet-stream"
HEAD_S = 20.0
_opened = []


class Answer:
    """A response whose head has been read."""

    def __init__(self, status, headers, reader, writer):
        self.status, self.headers, self._reader, self.writer = status, headers, reader, writer

    async def chunk(self):
        """The next chunk; b"" at the end, which may also be a broken line."""
        try:
            size = int(await self._reader.readline() or b"0", 16)
            data = await self._reader.readexactly(size)
            await self._reader.readline()
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        return data

    async def body(self):
        if "content-length" in self.headers:
            return await self._reader.readexactly(int(self.headers["content-length"]))
        return b""

    def cut(self):
        self.writer.transport.abort()


async def ask(port, method, path, body=b"", headers=()):
    """Send a request as it stands, on a line of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    _opened.append(writer)
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{port}", *headers]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    writer.write("\r\n".join(lines).encode("latin1") + b"\r\n\r\n" + body)
    async with asyncio.timeout(HEAD_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
    fields = (line.partition(":") for line in head[1:] if line)
    found = {name.lower(): value.strip() for name, _, value in fields}
    return Answer(int(head[0].split()[1]), found, reader, writer)


async def hang_up():
    """Cut every line that a test has opened."""
    while _opened:
        writer = _opened.pop()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def post(port, body, *, kind=JSON, path="/emulation"):
    """The status of a POST."""
    answer = await ask(port, "POST", path, body, [f"Content-Type: {kind}"])
    await answer.body()
    answer.cut()
    return answer.status


def by_a_page(port, key="", *, cookie="sessionid"):
    """What a browser says of a page of the site."""
    signed = [f"Cookie: {cookie}={key}"] if key else []
    return [f"Origin: http://localhost:{port}", "Sec-Fetch-Site: same-origin", *signed]


class Wire:
    """For tests.realtime.Client: the stream at `port`, its commands by way of `elsewhere`."""

    def __init__(self, port, elsewhere=None, *, transport="http_stream", headers=()):
        self.port, self.elsewhere = port, elsewhere or port
        self.transport, self.headers = transport, headers
        self.answer = None
        self.statuses = []
        self.session = self.node = ""
        self._replies = []
        self._code = 1006

    async def send(self, frame):
        if self.answer is None:
            await self._open(frame)
            return
        posted = {"session": self.session, "node": self.node, "data": frame}
        self.statuses.append(await post(self.elsewhere, json.dumps(posted).encode()))

    async def _open(self, frame):
        path, headers = PATHS[self.transport], list(self.headers)
        if self.transport == "sse":
            headers = [line for line in headers if not line.startswith("Origin")]
            path += f"?cf_connect={quote(frame)}"
            self.answer = await ask(self.port, "GET", path, headers=headers)
            assert await self.answer.chunk() == b"\r\n"
        else:
            headers.append(f"Content-Type: {JSON}")
            self.answer = await ask(self.port, "POST", path, frame.encode(), headers)
        assert self.answer.status == 200, self.answer.status

    async def receive(self, within_s):
        """The next reply, or the code of the last disconnect push at the end."""
        if not self._replies:
            async with asyncio.timeout(within_s):
                chunk = await self.answer.chunk()
            if not chunk:
                return self._code
            assert chunk.isascii()
            self._replies = list(self._in(chunk.decode()))
        reply = self._replies.pop(0)
        self._notice(json.loads(reply))
        return reply

    def _in(self, chunk):
        if self.transport == "sse":
            events = chunk.removesuffix("\n\n").split("\n\n")
            assert all(event.startswith("data: ") for event in events)
            return [event.removeprefix("data: ") for event in events]
        assert chunk.endswith("\n")
        return chunk.removesuffix("\n").split("\n")

    def _notice(self, reply):
        if "connect" in reply:
            self.session, self.node = reply["connect"]["session"], reply["connect"]["node"]
        if "disconnect" in reply.get("push", {}):
            self._code = reply["push"]["disconnect"]["code"]
