"""Why a connection did not come about, in words that help."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from centrifuge import OperationTimeoutError
from websockets.exceptions import InvalidHandshake, InvalidStatus

PATH = "/connection/websocket"
FORBIDDEN = 403
# the first that fits
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (InvalidHandshake, "{place} speaks no WebSocket: {error}"),
    (EOFError, "{place} speaks no WebSocket: {error}"),
    (OperationTimeoutError, "{place} does not answer in the Centrifuge protocol: {error}"),
    (socket.gaierror, 'no host is named "{host}"'),
    (ssl.SSLError, "{place} has no certificate that is trusted here: {error}"),
    (TimeoutError, "{place} does not answer in time"),
    (OSError, "nothing listens at {place}: is the server running? ({error})"),
)


class Unreachable(Exception):  # noqa: N818  (it says what the server is)
    """No connection came about; the message says why."""


def why_not(url: str, error: Exception) -> str:
    parts = urlsplit(url)
    if isinstance(error, InvalidStatus):
        return _status(parts.path, error.response.status_code)
    said = next((said for kind, said in REASONS if isinstance(error, kind)), "{place}: {error}")
    return said.format(place=parts.netloc, host=parts.hostname, error=error)


def _status(path: str, status: int) -> str:
    if path != PATH:
        return f"no live connections at {path or '/'} (HTTP {status}); Tocsin's are at {PATH}"
    if status == FORBIDDEN:
        return f"refused ({status}): this host is not one of the server's ALLOWED_HOSTS"
    return f"refused with HTTP {status}"
