"""The ASGI shell of a connection: handshake in, frames in and out; it reads none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from django.conf import settings
from django.http import parse_cookie

from realtime.engine import hub, origins
from realtime.engine.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

SUBPROTOCOL = "centrifuge-json"


class RealtimeConsumer(AsyncConsumer):
    """Every handler hands over and returns: the next frame waits for none of them."""

    # a mailbox of its own would cost each socket two tasks; only the hub has one
    channel_layer_alias = None

    async def dispatch(self, message: Mapping[str, Any]) -> None:
        # channels' own hops to a thread for each message (channels/consumer.py:67)
        match message["type"]:
            case "websocket.connect":
                self._connect()
            case "websocket.receive":
                self._receive(message)
            case "websocket.disconnect":
                self.connection.lost(message.get("code") or 1006)
                raise StopConsumer

    def _connect(self) -> None:
        handshake = Handshake(self.scope)
        if not handshake.acceptable:
            self._put({"type": "websocket.close"})
            raise StopConsumer
        self._put({"type": "websocket.accept", "subprotocol": handshake.subprotocol})
        self.connection = Connection(
            hub.current(),
            send=lambda text: self._put({"type": "websocket.send", "text": text}),
            close=lambda code: self._put({"type": "websocket.close", "code": code}),
            session_key=handshake.session_key,
            address=handshake.address,
            unsent=self.scope.get("tocsin.unsent", lambda: 0),
        )

    def _receive(self, message: Mapping[str, Any]) -> None:
        text = message.get("text")
        try:
            self.connection.receive(message["bytes"] if text is None else text)
        except Exception:
            self.connection.lost(1011)  # what ends like this hears of no disconnect
            raise

    def _put(self, message: dict[str, Any]) -> None:
        """Send without waiting: Daphne takes everything at once (daphne/server.py:288)."""
        sending = self.base_send(message)
        try:
            sending.send(None)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001  (it is closing; its disconnect is on its way)
            log.debug("frame.unsent", error=repr(error))
            return
        sending.close()
        raise RuntimeError("this server makes its applications wait; the backlog counts on Daphne")


class Handshake:
    """What an upgrade request says about who asks, and from which page."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._scope = scope
        self._headers = [(name.lower(), value.decode("latin1")) for name, value in scope["headers"]]
        self.offered = [name for name in scope.get("subprotocols", ()) if name]
        client = scope.get("client")
        self.address = str(client[0]) if client else ""

    def _all(self, name: bytes) -> list[str]:
        return [value for header, value in self._headers if header == name]

    @property
    def subprotocol(self) -> str | None:
        return SUBPROTOCOL if SUBPROTOCOL in self.offered else None

    @property
    def scheme(self) -> str:
        name, value = settings.SECURE_PROXY_SSL_HEADER or ("", "")
        header = name.removeprefix("HTTP_").replace("_", "-").lower().encode()
        forwarded = bool(name) and self._all(header) == [value]
        return "https" if forwarded or self._scope.get("scheme") == "wss" else "http"

    @property
    def acceptable(self) -> bool:
        if self.offered and self.subprotocol is None:
            return False
        hosts, found = self._all(b"host"), self._all(b"origin")
        if len(hosts) != 1 or not origins.known_host(hosts[0], settings.ALLOWED_HOSTS):
            return False
        return not found or origins.allowed(
            found, scheme=self.scheme, host=hosts[0], trusted=settings.CSRF_TRUSTED_ORIGINS
        )

    @property
    def session_key(self) -> str:
        """Of the cookie; without an Origin it is nobody's word, and is not read."""
        if not self._all(b"origin"):
            return ""
        cookies = parse_cookie("; ".join(self._all(b"cookie")))
        key = str(cookies.get(settings.SESSION_COOKIE_NAME, ""))
        return key if key.isascii() and key.isprintable() else ""
