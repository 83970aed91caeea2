"""A WebSocket client small enough that a thousand of them fit in one process beside the server.

It speaks just what the measurements need: the handshake, masked frames out, unmasked frames in.
The product's own client is the `centrifuge` package; this one only counts.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket as kernel
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Socket(asyncio.Protocol):
    """One connection; `on_text(socket, text, arrived)` is called for each text frame."""

    def __init__(self, request: bytes, on_text: Callable[[Socket, bytes, float], None]) -> None:
        self.request = request
        self.on_text = on_text
        self.buffer = bytearray()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self.request)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"handshake failed: {exc}"))

    def data_received(self, data: bytes) -> None:
        arrived = time.time()
        self.buffer += data
        if not self.opened.done():
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            status = bytes(self.buffer[: self.buffer.find(b"\r\n")])
            del self.buffer[: end + 4]
            if b" 101 " not in status:
                self.opened.set_exception(ConnectionError(status.decode()))
                return
            self.opened.set_result(None)
        while (frame := self._frame()) is not None:
            opcode, payload = frame
            if opcode == TEXT:
                self.on_text(self, payload, arrived)
            elif opcode == PING:
                self.send(payload, PONG)
            elif opcode == CLOSE:
                self.transport.close()

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self.buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 0x7F, 2
        if length == 126:
            if len(buffer) < 4:
                return None
            length, start = struct.unpack_from("!H", buffer, 2)[0], 4
        elif length == 127:
            if len(buffer) < 10:
                return None
            length, start = struct.unpack_from("!Q", buffer, 2)[0], 10
        if len(buffer) < start + length:
            return None
        opcode, payload = buffer[0] & 0x0F, bytes(buffer[start : start + length])
        del buffer[: start + length]
        return opcode, payload

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        head = bytes([0x80 | opcode])
        size = len(payload)
        if size < 126:
            head += bytes([0x80 | size])
        else:
            head += bytes([0x80 | 126]) + struct.pack("!H", size)
        # a mask of zeros is a valid mask, and costs the client nothing
        self.transport.write(head + b"\0\0\0\0" + payload)  # type: ignore[attr-defined]


async def connect(
    port: int,
    path: str,
    on_text: Callable[[Socket, bytes, float], None],
    *,
    cookie: str = "",
    receive_bytes: int = 0,
) -> Socket:
    """`receive_bytes`: what the kernel keeps for it unread, about; 0: what it likes."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        f"Origin: http://127.0.0.1:{port}",
        *([f"Cookie: {cookie}"] if cookie else []),
    ]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    loop = asyncio.get_running_loop()
    plain = kernel.socket()
    plain.setblocking(False)  # noqa: FBT003  (the kernel's own word)
    if receive_bytes:
        plain.setsockopt(kernel.SOL_SOCKET, kernel.SO_RCVBUF, receive_bytes)
    await loop.sock_connect(plain, ("127.0.0.1", port))
    _, socket = await loop.create_connection(lambda: Socket(request, on_text), sock=plain)
    await socket.opened
    return socket
