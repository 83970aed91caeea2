"""The ASGI shell of a connection: handshake in, frames in and out; it reads none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from realtime.engine import hub
from realtime.engine.connection import Connection
from realtime.engine.handshake import Handshake
from realtime.engine.outlet import at_once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime.protocol.codec.base import Frame


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
        # before the client can be heard
        self.scope.get("tocsin.speak", lambda _: None)(handshake.codec)
        self._put({"type": "websocket.accept", "subprotocol": handshake.subprotocol})
        self.connection = Connection(
            hub.current(),
            send=self._send_frame,
            codec=handshake.codec,
            close=self._close,
            session_key=handshake.session_key,
            address=handshake.address,
            unsent=self.scope.get("tocsin.unsent", lambda: 0),
        )

    def _send_frame(self, frame: Frame) -> None:
        kind = "bytes" if isinstance(frame, bytes) else "text"
        if not self._put({"type": "websocket.send", kind: frame}):
            # what followed would hide that something is missing: it comes back and recovers
            if (connection := getattr(self, "connection", None)) is not None:
                connection.lost(1006)
            self.scope.get("tocsin.abort", lambda: None)()

    def _close(self, code: int) -> None:
        self._put({"type": "websocket.close", "code": code})

    def _receive(self, message: Mapping[str, Any]) -> None:
        said = message.get("text")
        try:
            self.connection.receive(message["bytes"] if said is None else said)
        except Exception:
            self.connection.lost(1011)  # what ends like this hears of no disconnect
            raise

    def _put(self, message: dict[str, Any]) -> bool:
        return at_once(self.base_send(message))
