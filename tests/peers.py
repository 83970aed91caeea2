"""A WebSocket client that may say anything, right or wrong, octet by octet."""

import contextlib
import socket
import struct
from urllib.parse import urlsplit

from websockets.utils import apply_mask

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
DEADLINE_S = 20.0
MASK = bytes.fromhex("37fa213d")
HANDSHAKE = """\
GET {path} HTTP/1.1
Host: {host}
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==

"""


def frame(opcode, data=b"", *, fin=True, rsv=0, mask=MASK):
    """`opcode` and `rsv` may be what nobody may send."""
    return bytes([fin << 7 | rsv << 4 | opcode]) + body(data, mask=mask)


def body(data, *, form="", mask=MASK):
    """A frame without its first octet; `form`: the length in so many bits, H or Q of `struct`."""
    size, bit = len(data), (128 if mask else 0)
    form = form or ("B" if size < 126 else "H" if size < 65_536 else "Q")
    length = {
        "B": lambda: bytes([bit | size]),
        "H": lambda: bytes([bit | 126]) + struct.pack("!H", size),
        "Q": lambda: bytes([bit | 127]) + struct.pack("!Q", size),
    }[form]()
    return length + mask + (apply_mask(data, mask) if mask else data)


def close(code, reason=b""):
    return frame(CLOSE, struct.pack("!H", code) + reason)


class Peer:
    """One connection, open. `window`: of how many bytes it lets the server send ahead."""

    def __init__(self, url, *, window=0):
        parts = urlsplit(url)
        self.socket = socket.socket()
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        path = f"{parts.path}?{parts.query}"
        request = HANDSHAKE.format(path=path, host=parts.netloc).replace("\n", "\r\n")
        self.socket.sendall(request.encode())
        self.stream, self.closed = self.socket.makefile("rb"), False
        assert self.stream.readline().startswith(b"HTTP/1.1 101 ")
        while self.stream.readline() != b"\r\n":
            pass

    def say(self, octets, *, chop=0):
        """At once, or in pieces of `chop`."""
        step = chop or len(octets)
        for start in range(0, len(octets), step):
            self.socket.sendall(octets[start : start + step])

    def hear(self):
        """The next frame as (opcode, data); None where the line ends.

        Of a close it is (CLOSE, code), and it has been answered.
        """
        try:
            head = self.stream.read(2)
        except ConnectionResetError:
            # who answers a close too late, on a busy machine, is cut off; all has been said then
            if not self.closed:
                raise
            head = b""
        if not head:
            return None
        assert head[0] & 0xF0 == 0x80, "the server sends whole messages, and no reserved bits"
        opcode, size = head[0] & 0x0F, head[1]
        if size >= 126:
            form = "!H" if size == 126 else "!Q"
            [size] = struct.unpack(form, self.stream.read(struct.calcsize(form)))
        data = self.stream.read(size)
        if opcode != CLOSE:
            return opcode, data
        self.closed = True
        with contextlib.suppress(OSError):
            self.say(frame(CLOSE, data[:2]))
        return CLOSE, struct.unpack("!H", data[:2])[0] if data else None

    def rest(self):
        """All it hears until the line ends."""
        return list(iter(self.hear, None))


@contextlib.contextmanager
def opened(url, **options):
    peer = Peer(url, **options)
    with peer.socket, peer.stream:
        yield peer


def answered(url, octets):
    """What a peer hears that says this, and then waits for the end."""
    with opened(url) as peer:
        peer.say(octets)
        return peer.rest()
