"""What clients say by requests of their own, because the transport of their connection only hears.

Such a connection is found by its node, the process that holds it, and its session, a secret: who
knows it may speak for the connection. A request may come to any process; it asks the node over the
broker, at most once, and says within EMULATION_S what became of it. Where the node is this process,
nothing is asked. The secret itself never goes over Redis.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import secrets
from collections import OrderedDict
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

import structlog

from realtime.engine.conf import settings
from realtime.engine.envelope import Errand, Receipt, Refused, Seal
from realtime.engine.limits import Seats
from realtime.protocol.codes import Disconnect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from typing import Any

    from realtime.engine.doors import Broker
    from realtime.engine.envelope import Rumour
    from realtime.protocol.codec.base import Frame

log = structlog.get_logger(__name__)

SECRET_BYTES = 16
# of one connection, before another is refused
ERRANDS = 256
# how many done errands are remembered: the broker may repeat one
DONE = 4096
# from the start of a process until it may be expected to hear from Redis
WARM_S, POLL_S = 2.0, 0.02
AGAIN_S = 0.1


class Outcome(Enum):
    TAKEN = auto()
    UNKNOWN = auto()
    # nobody can say: Redis does not answer, or too many wait
    AWAY = auto()


class Speaker(Protocol):
    """A connection, as far as its words come from elsewhere."""

    def receive(self, frame: Frame) -> None: ...

    def disconnect(self, code: Disconnect) -> None: ...


class Emulation:
    """One per hub, which `begin` makes hear. `open`: new streams are welcome."""

    def __init__(
        self,
        broker: Broker,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        begin: Callable[[], Awaitable[None]],
    ) -> None:
        self.node = secrets.token_hex(8)
        self.open = True
        self._broker, self._spawn, self._begin = broker, spawn, begin
        self._speakers: dict[str, Speaker] = {}
        self._answers: dict[str, asyncio.Future[bool]] = {}
        self._waiting = Seats()
        self._done: OrderedDict[str, None] = OrderedDict()
        self._turn = asyncio.Lock()
        self._warm_until = float("-inf")

    # --- The connections of this process

    def secret(self) -> str:
        """For a new connection: nobody guesses it, and each of us sees that one of us gave it."""
        sealed = _seal(self.node).close(secrets.token_bytes(SECRET_BYTES))
        return base64.urlsafe_b64encode(sealed).decode()

    @contextlib.contextmanager
    def holding(self, secret: str, speaker: Speaker) -> Iterator[None]:
        name = _name(secret)
        self._speakers[name] = speaker
        try:
            yield
        finally:
            del self._speakers[name]

    def close(self) -> None:
        self.open = False

    def end(self) -> None:
        """Send away whoever is still here."""
        for speaker in list(self._speakers.values()):
            speaker.disconnect(Disconnect.SHUTDOWN)

    def _give(self, name: str, frame: Frame) -> bool:
        speaker = self._speakers.get(name)
        if speaker is not None:
            speaker.receive(frame)
        return speaker is not None

    # --- A request asks

    async def deliver(self, node: str, session: str, frame: Frame) -> Outcome:
        """Have the connection hear a frame; those of one connection in the order they came."""
        if not _is_ours(node, session):
            return Outcome.UNKNOWN
        name = _name(session)
        if node == self.node:
            return Outcome.TAKEN if self._give(name, frame) else Outcome.UNKNOWN
        if not self._waiting.take(name, ERRANDS):
            return Outcome.AWAY
        try:
            return await self._send(node, name, frame) if await self.ready() else Outcome.AWAY
        finally:
            self._waiting.give_back(name)

    async def _send(self, node: str, name: str, frame: Frame) -> Outcome:
        number = secrets.token_hex(8)
        is_text = isinstance(frame, str)
        data = frame.encode() if isinstance(frame, str) else frame
        errand = Errand(_topic(node), self.node, number, name, data, is_text)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(settings.EMULATION_S):
                async with self._turn:
                    sent = await self._insist(errand)
                if sent:
                    return Outcome.TAKEN if await answer else Outcome.UNKNOWN
        except TimeoutError:
            if self._broker.healthy:
                return Outcome.UNKNOWN
        finally:
            del self._answers[number]
        return Outcome.AWAY

    # --- The broker

    def start(self) -> None:
        """Hear what other processes ask this one."""
        self._warm_until = asyncio.get_running_loop().time() + WARM_S
        self._spawn(self._broker.join(_topic(self.node)))

    async def ready(self) -> bool:
        """Whether this process and others can ask each other; a young one is given time."""
        clock = asyncio.get_running_loop().time
        try:
            await self._begin()
        except Exception as error:  # noqa: BLE001  (a database that is down may raise anything)
            log.debug("emulation.not_begun", error=repr(error))
        while not self._broker.healthy and clock() < self._warm_until:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        if self._broker.healthy:
            await self._broker.join(_topic(self.node))
        return self._broker.healthy

    def take(self, message: Rumour) -> bool:
        """True if it was for us."""
        if isinstance(message, Errand):
            self._run(message)
        elif isinstance(message, Receipt):
            answer = self._answers.get(message.number)
            if answer is not None and not answer.done():
                answer.set_result(message.taken)
        return isinstance(message, Errand | Receipt)

    def _run(self, errand: Errand) -> None:
        if errand.number in self._done:
            return
        self._done[errand.number] = None
        if len(self._done) > DONE:
            self._done.popitem(last=False)
        taken = self._give(errand.session, errand.data.decode() if errand.is_text else errand.data)
        self._spawn(self._report(Receipt(_topic(errand.asker), errand.number, taken)))

    async def _report(self, receipt: Receipt) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.EMULATION_S):
                await self._insist(receipt)

    async def _insist(self, message: Errand | Receipt) -> bool:
        """Until the broker has taken it. It may have before: by its number it counts once."""
        while not (sent := await self._broker.send(message.topic, message)):
            if not self._broker.healthy:
                break
            await asyncio.sleep(AGAIN_S)
        return sent


def _topic(node: str) -> str:
    return f"!node:{node}"


def _seal(node: str) -> Seal:
    return Seal("session of a stream", node, "")


def _is_ours(node: str, session: str) -> bool:
    try:
        _seal(node).open(base64.urlsafe_b64decode(session))
    except (Refused, ValueError, binascii.Error):
        return False
    return True


def _name(session: str) -> str:
    """Which connection it is, told to those who may not speak for it."""
    return hashlib.blake2b(session.encode(), digest_size=16).hexdigest()
