"""One socket: does what its session wants, in order, and never lets its client hold anything up.

Guarantee: what is unsent is bounded; a disconnect push precedes every close; nothing is pushed for
a subscription that has ended.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import structlog

from realtime.engine import joining, metrics, revocation, topics
from realtime.engine.backlog import Backlog
from realtime.engine.conf import settings
from realtime.engine.exceptions import BadTopic, UnknownTopic
from realtime.engine.limits import Bucket, Turns, of_session
from realtime.engine.members import Member, Person
from realtime.protocol import codec
from realtime.protocol.codes import Disconnect, Error
from realtime.protocol.effects import Authenticate, Close, Join, Leave, Send
from realtime.protocol.messages import PingPush, Pong, UnsubscribePush
from realtime.protocol.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from realtime.engine.hub import Hub
    from realtime.engine.ring import Packet
    from realtime.protocol.codes import Unsubscribe
    from realtime.protocol.effects import Effect
    from realtime.protocol.messages import Connect, Subscribe

log = structlog.get_logger(__name__)

# questions of one connection to the database
AT_ONCE = 2

try:
    VERSION = version("tocsin")
except PackageNotFoundError:
    VERSION = "0.1.0"


class Connection:
    """`send` and `close` put a frame, or the end, on the wire at once and do not wait.

    `unsent`: how many bytes the wire has not taken yet, where that is known.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        send: Callable[[str], None],
        close: Callable[[int], None],
        session_key: str = "",
        address: str = "",
        unsent: Callable[[], int] = lambda: 0,
    ) -> None:
        self._hub, self._send, self._close, self._unsent = hub, send, close, unsent
        self._loop = asyncio.get_running_loop()
        self._address = address
        self.client = str(uuid.uuid4())
        self.person = Person(session_key=session_key, session=revocation.digest(session_key))
        now = self._loop.time()
        self._session = Session(client=self.client, limits=of_session(), now=now)
        self._bucket = Bucket(settings.COMMANDS_PER_S, settings.COMMANDS_BURST, now)
        self.turns = Turns(AT_ONCE)
        self._backlog = Backlog(settings.UNSENT_BYTES, settings.SLOW_S)
        self._members: dict[str, Member] = {}
        self._out: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._seat = ""
        self._began = now
        self._pushes = self._sent_bytes = 0
        self._ended = False
        metrics.CONNECTIONS.inc()
        if not hub.addresses.take(address, settings.CONNECTIONS_PER_ADDRESS):
            self._address = ""
            self.disconnect(Disconnect.CONNECTION_LIMIT)
        self._wind()

    # --- The client speaks

    def receive(self, frame: str | bytes) -> None:
        """A frame, not yet read: text of bounded size, or the connection ends."""
        if self._ended:
            return None
        now = self._loop.time()
        if (
            isinstance(frame, bytes)
            or len(frame.encode(errors="surrogatepass")) > settings.FRAME_BYTES
        ):
            return self._do(self._session.malformed())
        try:
            commands = codec.decode(frame, settings.FRAME_COMMANDS)
        except codec.Malformed:
            return self._do(self._session.malformed())
        if not self._bucket.take(len(commands), now):
            return self.disconnect(Disconnect.TOO_MANY_REQUESTS)
        for command in commands:
            if isinstance(command, Pong):
                self._ponged(now)
            self._perform(self._session.receive(command, now))
        self._flush()
        return None

    def lost(self, code: int) -> None:
        """The socket is gone."""
        self._end(code)

    def _ponged(self, now: float) -> None:
        was_busy = self._backlog.busy
        self._backlog.ponged(now, self._unsent())
        if was_busy and not self._backlog.busy:
            self._hub.resume(self)
        self._measure()

    # --- The hub speaks

    @property
    def busy(self) -> bool:
        return self._backlog.busy

    def push(self, packet: Packet) -> None:
        if self._ended:
            return
        if self._out:
            self._flush()
        self._pushes += packet.pushes
        self._write(packet.text)

    def end(self, topic: str, code: Unsubscribe) -> None:
        self._do(self._session.unsubscribe(topic, code))

    def disconnect(self, code: Disconnect) -> None:
        self._do(self._session.close(code))

    # --- What the session wants

    def _do(self, effects: list[Effect]) -> None:
        self._perform(effects)
        self._flush()

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(message):
                    self._out.append(codec.encode(message))
                    if isinstance(message, PingPush):
                        self._flush()
                        self._backlog.pinged()
                    elif isinstance(message, UnsubscribePush):
                        metrics.UNSUBSCRIBED.labels(message.reason.number).inc()
                case Authenticate(command):
                    self._spawn(self._connect(command))
                case Join(topic, request):
                    self._members[topic] = member = Member(self, topic)
                    self._spawn(self._join(member, request))
                case Leave(topic):
                    if (left := self._members.pop(topic, None)) is not None:
                        self._hub.quit(left)
                case Close(reason):
                    self._flush()
                    self._close(reason.number)
                    self._end(reason.number)
        self._wind()

    async def _connect(self, command: Connect) -> None:
        if command.token:
            return self._refuse(Disconnect.INVALID_TOKEN)  # tokens are not there yet
        try:
            await self._hub.attach(self)
        except Exception as error:  # noqa: BLE001  (a database that is down may raise anything)
            log.warning("connect.failed", error=repr(error))
            return self._refuse(Error.INTERNAL)
        user = self.person.user
        if not user and not any(topic.anonymous for topic in topics.registry().values()):
            return self._refuse(Error.UNAUTHORIZED)
        if not self._hub.users.take(user, settings.CONNECTIONS_PER_USER):
            return self._refuse(Disconnect.CONNECTION_LIMIT)
        self._seat = user
        data = f'{{"now":{time.time_ns() // 1_000_000}}}'
        first_ping_s = settings.PING_S * random.uniform(0.5, 1)  # noqa: S311  (spreads the pings)
        self._do(
            self._session.connected(
                version=VERSION, data=data, first_ping_s=first_ping_s, now=self._loop.time()
            )
        )
        return None

    def _refuse(self, why: Error | Disconnect) -> None:
        self._do(self._session.refused(why, self._loop.time()))

    async def _join(self, member: Member, request: Subscribe) -> None:
        try:
            match = topics.match(request.topic)
        except UnknownTopic:
            return self._not_joined(member, request, Error.UNKNOWN_CHANNEL)
        except BadTopic:
            return self._not_joined(member, request, Error.BAD_REQUEST)
        answer = await joining.join(self._hub, member, match, request)
        if isinstance(answer, Error):
            return self._not_joined(member, request, answer)
        self._do(self._session.subscribed(request, answer))
        self._hub.begin(member)
        return None

    def _not_joined(self, member: Member, request: Subscribe, error: Error) -> None:
        if self._members.get(member.topic) is member:
            del self._members[member.topic]
        self._do(self._session.not_subscribed(request, error))

    # --- The wire

    def _flush(self) -> None:
        """Several replies of one moment in one frame."""
        if self._out and not self._ended:
            out, self._out = self._out, []
            self._write(codec.batch(out), asked=True)

    def _write(self, text: str, *, asked: bool = False) -> None:
        now = self._loop.time()
        if self._backlog.too_slow(now) and not self._session.closed:
            return self.disconnect(Disconnect.SLOW)
        late = self._backlog.due
        size = len(text) if text.isascii() else len(text.encode())
        self._backlog.sent(size, now, asked=asked)
        if self._backlog.due != late:
            self._wind()
        self._sent_bytes += size
        self._send(text)
        self._measure()
        return None

    def _measure(self) -> None:
        """Do no more for a reader that has much to read, and ask how far it has come."""
        self.turns.pause(busy=self._backlog.busy)
        if self._backlog.wants_ping and not self._session.closed:
            self._backlog.pinged()
            self._send(codec.encode(PingPush()))
            self._wind()

    # --- Time and the end

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = [at for at in (self._session.due, self._backlog.due) if at is not None]
        self._timer = None if self._ended or not due else self._loop.call_at(min(due), self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        if self._backlog.too_slow(now):
            return self.disconnect(Disconnect.SLOW)
        self._do(self._session.tick(now))
        return None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end(self, code: int) -> None:
        if self._ended:
            return
        self._ended = True
        self._session.close(Disconnect.SHUTDOWN)  # deaf to the answers still on their way
        self._wind()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for member in self._members.values():
            self._hub.quit(member)
        self._members.clear()
        self._hub.detach(self)
        self._hub.users.give_back(self._seat)
        self._hub.addresses.give_back(self._address)
        metrics.CONNECTIONS.dec()
        log.info(
            "connection.closed",
            code=code,
            duration_s=round(self._loop.time() - self._began, 3),
            pushes=self._pushes,
            sent_bytes=self._sent_bytes,
        )
