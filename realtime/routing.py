"""Which consumer answers which path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from channels.routing import URLRouter
from django.urls import path, re_path

from realtime.engine.consumers import RealtimeConsumer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def nowhere(
    scope: dict[str, Any],  # noqa: ARG001
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Refuse the handshake (403); without this a wrong path is a traceback in the log."""
    await receive()
    await send({"type": "websocket.close"})


websocket = URLRouter(
    [
        path("connection/websocket", RealtimeConsumer.as_asgi()),
        re_path("", nowhere),  # type: ignore[arg-type]  # channels' router takes applications
    ]
)
