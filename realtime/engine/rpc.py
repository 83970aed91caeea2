"""What clients may call: methods, messages and a word at connecting, as applications declare them.

An app's `rpc.py` holds functions under `@rpc`, `@on_message` and `@on_connect`. A plain function
runs in a thread and may use the database; an `async` one runs in the event loop.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from realtime.engine import metrics, people, pool
from realtime.engine.conf import settings
from realtime.engine.exceptions import TocsinError
from realtime.engine.limits import Shares
from realtime.protocol.codes import Error
from realtime.protocol.messages import Failure, Returned

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtime.protocol.messages import Refusal

log = structlog.get_logger(__name__)

FIRST, LAST = 400, 1999


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, from which connection, and with what: `data` is any JSON value or None."""

    user: Any
    client: str
    data: Any


class RpcError(TocsinError):
    """An error that the caller is told: `code` is 400 to 1999, `temporary` says "try again"."""

    def __init__(self, code: int, message: str, *, temporary: bool = False) -> None:
        if not FIRST <= code <= LAST or not message:
            raise ValueError(f"code {code}: it must be {FIRST} to {LAST}, with a message")
        super().__init__(message)
        self.failure = Failure(code, message, temporary)


class Gone(TocsinError):  # noqa: N818  (says what became of the caller)
    """The user who calls is none any more; their connection is about to end."""


Handler = "Callable[[Call], Any]"
_methods: dict[str, Callable[[Call], Any]] = {}
_listeners: list[Callable[[Call], Any]] = []
_doormen: list[Callable[[Call], Any]] = []
# threads are few: one person's calls take half of them and no more
_shares = Shares(max(1, settings.RPC_THREADS // 2))


def rpc(name: str) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
    """Let clients call this function: `@rpc("orders.cancel")`. Its result must be JSON-able."""

    def register(function: Callable[[Call], Any]) -> Callable[[Call], Any]:
        if name in _methods:
            raise ValueError(f'two functions answer the method "{name}"')
        _methods[name] = function
        return function

    return register


def on_message(function: Callable[[Call], Any]) -> Callable[[Call], Any]:
    """Hear what clients `send`, which nobody answers."""
    _listeners.append(function)
    return function


def on_connect(function: Callable[[Call], Any]) -> Callable[[Call], Any]:
    """Add to what a client is told when it has connected: give a dict, or None for nothing."""
    _doormen.append(function)
    return function


async def answer(user: str, client: str, method: str, data: str | None) -> Returned | Refusal:
    """Call a method for a client, within RPC_S."""
    if not _methods:
        return Error.NOT_AVAILABLE
    function = _methods.get(method)
    if function is None:
        return Error.METHOD_NOT_FOUND
    try:
        found = await _call(function, user, client, data)
        return Returned(msgspec.json.encode(found).decode())
    except RpcError as error:
        return error.failure
    except Gone:
        return Error.PERMISSION_DENIED
    except TimeoutError:
        log.warning("rpc.slow", method=method)
    except Exception:
        log.exception("rpc.failed", method=method)
    metrics.RPC_FAILED.inc()
    return Error.INTERNAL


def is_listening() -> bool:
    return bool(_listeners)


async def hear(user: str, client: str, data: str | None) -> None:
    """Hand a message to everybody who listens; a listener that fails disturbs no other."""
    for function in _listeners:
        try:
            await _call(function, user, client, data)
        except Gone:
            return
        except Exception:
            log.exception("message.failed", listener=function.__qualname__)


async def greet(user: str, client: str, data: str | None) -> dict[str, Any]:
    """What the applications tell a client that connects. Raises what they raise."""
    said: dict[str, Any] = {}
    for function in _doormen:
        said |= await _call(function, user, client, data) or {}
    return said


async def _call(function: Callable[[Call], Any], user: str, client: str, data: str | None) -> Any:
    value = None if data is None else msgspec.json.decode(data)
    async with asyncio.timeout(settings.RPC_S):
        if inspect.iscoroutinefunction(function):
            return await function(Call(_known(await _load_user(user)), client, value))
        return await _shares.run(user or client, lambda: _run(function, user, client, value))


def _in_thread(function: Callable[[Call], Any], user: str, client: str, value: Any) -> Any:
    return function(Call(_known(people.load_user(user)), client, value))


def _known(user: Any) -> Any:
    if user is None:
        raise Gone
    return user


_load_user = pool.awaitable(people.load_user)
# what an application asks has as long as its method
_run = pool.awaitable(_in_thread, "RPC_THREADS", lambda: float(settings.RPC_S))
