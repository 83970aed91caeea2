"""Which application answers which path: live connections here, all else by the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtime.engine import streams
from realtime.engine.consumers import RealtimeConsumer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Application = Callable[[dict[str, Any], Any, Any], Awaitable[Any]]


def by_path(applications: Mapping[str, Any], otherwise: Any) -> Application:
    """By exact paths; a header can make channels' own router raise (channels/routing.py:100)."""

    async def route(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await applications.get(scope["path"], otherwise)(scope, receive, send)

    return route


async def nowhere(
    scope: dict[str, Any],  # noqa: ARG001
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Refuse the handshake (403)."""
    await receive()
    await send({"type": "websocket.close"})


websocket = by_path({"/connection/websocket": RealtimeConsumer.as_asgi()}, nowhere)


def http(pages: Any) -> Application:
    return by_path(
        {
            "/connection/http_stream": streams.http_stream,
            "/connection/sse": streams.sse,
            "/emulation": streams.emulated,
        },
        pages,
    )
