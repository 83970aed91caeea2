"""What leaves a connection: in order, in the client's form, counted, and never without a bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from realtime.engine.backlog import Backlog
from realtime.engine.conf import settings
from realtime.engine.frames import Form, Style
from realtime.engine.limits import Turns, size_of
from realtime.protocol.messages import PingPush

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from realtime.engine.frames import Pushes, Saying
    from realtime.protocol.codec.base import Codec, Frame
    from realtime.protocol.messages import Message

log = structlog.get_logger(__name__)

# questions of one connection to the database
AT_ONCE = 2


class Outlet:
    """`send` puts a frame on the wire at once; `unsent`: bytes that the wire has not taken yet.

    `slow`: the client is to be given up; `changed`: `due` is another; `closing`: what is said now
    is the last.
    """

    def __init__(
        self,
        codec: Codec,
        send: Callable[[Frame], None],
        unsent: Callable[[], int],
        *,
        slow: Callable[[], None],
        changed: Callable[[], None],
        closing: Callable[[], bool],
    ) -> None:
        self._codec, self._send, self._unsent = codec, send, unsent
        self._slow, self._changed, self._closing = slow, changed, closing
        self._forms = tuple(Form(codec, style) for style in Style)
        self._loop = asyncio.get_running_loop()
        self._backlog = Backlog(settings.UNSENT_BYTES, settings.SLOW_S)
        self._out: list[Frame] = []
        self.turns = Turns(AT_ONCE)
        self.pushes = self.sent_bytes = 0

    @property
    def busy(self) -> bool:
        return self._backlog.busy

    @property
    def due(self) -> float | None:
        return self._backlog.due

    def is_too_slow(self, now: float) -> bool:
        return self._backlog.too_slow(now)

    def say(self, message: Message) -> None:
        """With the next flush, behind everything said before."""
        self._out.append(self._codec.encode(message))
        if isinstance(message, PingPush):
            self.flush()
            self._backlog.pinged()

    def push(self, pushes: Pushes | Saying, style: Style) -> None:
        """At once. Raises Inappropriate."""
        self.flush()
        frame = pushes.frame(self._forms[style])
        self.pushes += len(pushes)
        self._write(frame)

    def flush(self) -> None:
        """Several replies of one moment in one frame."""
        if self._out:
            out, self._out = self._out, []
            self._write(self._codec.batch(out), asked=True)

    def ponged(self, now: float) -> bool:
        """The client has read what came before a ping; True if it is not busy any more."""
        was_busy = self._backlog.busy
        self._backlog.ponged(now, self._unsent())
        self._measure()
        return was_busy and not self._backlog.busy

    def _write(self, frame: Frame, *, asked: bool = False) -> None:
        now = self._loop.time()
        if self._backlog.too_slow(now) and not self._closing():
            return self._slow()
        late, size = self._backlog.due, size_of(frame)
        self._backlog.sent(size, now, asked=asked)
        if self._backlog.due != late:
            self._changed()
        self.sent_bytes += size
        self._send(frame)
        self._measure()
        return None

    def _measure(self) -> None:
        """Do no more for a reader that has much to read, and ask how far it has come."""
        self.turns.pause(busy=self._backlog.busy)
        if self._backlog.wants_ping and not self._closing():
            self._backlog.pinged()
            self._send(self._codec.encode(PingPush()))
            self._changed()


def at_once(sending: Coroutine[Any, Any, None]) -> bool:
    """Send without waiting: Daphne takes everything at once (daphne/server.py:288).

    False: it was not sent, and nothing may follow it. Mostly the peer is going just now.
    """
    try:
        sending.send(None)
    except StopIteration:
        return True
    except Exception as error:  # noqa: BLE001  (a server may raise anything)
        log.info("frame.unsent", error=repr(error))
        return False
    sending.close()
    raise RuntimeError("this server makes its applications wait; the backlog counts on Daphne")
