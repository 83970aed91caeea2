"""One socket: does what its session wants, in order, and never lets its client hold anything up.

Guarantee: what is unsent is bounded; a disconnect push precedes every close; nothing is pushed for
a subscription that has ended.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from realtime.engine import entering, metrics, revocation, rpc
from realtime.engine.answering import Answers
from realtime.engine.conf import settings
from realtime.engine.entering import Entered
from realtime.engine.frames import Style
from realtime.engine.gifts import Gifts
from realtime.engine.limits import Bucket, of_session, size_of
from realtime.engine.members import Credential, Member, Person
from realtime.engine.outlet import Outlet
from realtime.protocol.codec import text
from realtime.protocol.codec.base import Inappropriate, Malformed
from realtime.protocol.codes import Disconnect, Error, Unsubscribe
from realtime.protocol.commands import Pong
from realtime.protocol.effects import Ask, Authenticate, Close, Hear, Join, Leave, Send
from realtime.protocol.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from realtime.engine.frames import Pushes, Saying
    from realtime.engine.hub import Hub
    from realtime.engine.orders import Subscribe as Gift
    from realtime.protocol.codec.base import Codec, Frame
    from realtime.protocol.commands import Connect, Question, Subscribe
    from realtime.protocol.effects import Effect
    from realtime.protocol.messages import Ending, Subscribed

log = structlog.get_logger(__name__)


class Connection:
    """`send` and `close` put a frame, or the end, on the wire at once and do not wait.

    `unsent`: how many bytes the wire has not taken yet, where that is known. `secret`: the client
    speaks by requests of their own, and this says whose they are.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        send: Callable[[Frame], None],
        close: Callable[[int], None],
        codec: Codec = text,
        session_key: str = "",
        address: str = "",
        unsent: Callable[[], int] = lambda: 0,
        secret: str = "",
    ) -> None:
        self._hub, self._close, self._codec, self._secret = hub, close, codec, secret
        self._loop = asyncio.get_running_loop()
        self._address = address
        self.client = str(uuid.uuid4())
        self.info: str | None = None
        self.session = revocation.digest(secret)
        credential = Credential(session_key) if session_key else None
        self.person = Person("", credential, revocation.digest(session_key))
        now = self._loop.time()
        self._session = Session(limits=of_session(), now=now)
        self._answers = Answers(hub, self, now)
        self._bucket = Bucket(settings.COMMANDS_PER_S, settings.COMMANDS_BURST, now)
        self._outlet = Outlet(
            codec,
            send,
            unsent,
            slow=lambda: self.disconnect(Disconnect.SLOW),
            changed=self._wind,
            closing=lambda: self._session.closed,
        )
        self.turns = self._outlet.turns
        self.turns.shared = lambda work: hub.shares.run(self.person.user or self.client, work)
        self._members: dict[str, Member] = {}
        self._gifts = Gifts(hub, self, takes=self._session.takes, begin=self._given)
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.seated = False
        self._began = now
        self._ended = False
        metrics.CONNECTIONS.inc()
        if not hub.addresses.take(address, settings.CONNECTIONS_PER_ADDRESS):
            self._address = ""
            self.disconnect(Disconnect.CONNECTION_LIMIT)
        self._wind()

    # --- The client speaks

    def receive(self, frame: Frame) -> None:
        """A frame, not yet read: of the codec's kind and of bounded size, or it is the last."""
        if self._ended:
            return None
        now = self._loop.time()
        size = size_of(frame)
        if isinstance(frame, bytes) == (self._codec is text) or size > settings.FRAME_BYTES:
            return self._do(self._session.close(Disconnect.BAD_REQUEST))
        try:
            commands = self._codec.decode(frame, settings.FRAME_COMMANDS)
        except Malformed:
            return self._do(self._session.close(Disconnect.BAD_REQUEST))
        unanswered = self._session.queued_bytes + sum(self._tasks.values()) + size
        if not self._bucket.take(len(commands), now) or unanswered > settings.UNANSWERED_BYTES:
            return self.disconnect(Disconnect.TOO_MANY_REQUESTS)
        each = size // max(1, len(commands))
        for command in commands:
            if isinstance(command, Pong) and self._outlet.ponged(now):
                self._hub.resume(self)
            self._perform(self._session.receive(command, now, each))
        self._outlet.flush()
        return None

    def lost(self, code: int) -> None:
        """The socket is gone."""
        self._end(code)

    # --- The hub speaks

    @property
    def busy(self) -> bool:
        return self._outlet.busy

    def push(self, pushes: Pushes | Saying, style: Style = Style.PLAIN) -> None:
        if self._ended:
            return
        try:
            self._outlet.push(pushes, style)
        except Inappropriate:
            self.disconnect(Disconnect.INAPPROPRIATE_PROTOCOL)

    def say(self, data: str) -> None:
        self._do(self._session.say(data))

    def trust(self, credential: Credential | None, info: str | None) -> None:
        self.person, self.info = Person("", credential), info

    def end(self, topic: str, code: Unsubscribe) -> None:
        metrics.UNSUBSCRIBED.labels(code.number).inc()
        self._do(self._session.unsubscribe(topic, code))

    def disconnect(self, code: Ending) -> None:
        self._do(self._session.close(code))

    def subscribe(self, order: Gift) -> None:
        self._gifts.give(order)

    def unsubscribe(self, topic: str) -> None:
        self._gifts.withdraw(topic)
        if topic in self._members:
            self.end(topic, Unsubscribe.SERVER)

    def expire(self, at: float | None) -> None:
        ttl_s = entering.ttl_s(at)
        self._session.ends_at = None if ttl_s is None else self._loop.time() + ttl_s
        self._wind()

    # --- What the session wants

    def _do(self, effects: list[Effect]) -> None:
        self._perform(effects)
        self._outlet.flush()

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(message):
                    self._outlet.say(message)
                case Authenticate(command, size):
                    self._spawn(self._connect(command), size)
                case Join(topic, request, size):
                    self._members[topic] = member = Member(self, topic)
                    self._spawn(self._join(member, request), size)
                case Ask(command, size):
                    self._spawn(self._answer(command), size)
                case Hear(command, size):
                    self._hear(command.data, size)
                case Leave(topic):
                    if (left := self._members.pop(topic, None)) is not None:
                        self._hub.quit(left)
                case Close(reason):
                    self._leave(reason.number)
        self._wind()

    def _leave(self, code: int) -> None:
        self._outlet.flush()
        self._close(code)
        self._end(code)

    async def _connect(self, command: Connect) -> None:
        answer = await entering.enter(self._hub, self, command)
        now = self._loop.time()
        if not isinstance(answer, Entered):
            return self._do(self._session.refused(answer, now))
        self._members |= {member.topic: member for member in answer.members}
        first_ping_s = entering.first_ping_s()
        welcome = answer.welcome
        if self._secret:
            node = self._hub.emulation.node
            welcome = replace(welcome, session=self._secret, node=node)
        self._do(self._session.connected(welcome, first_ping_s=first_ping_s, now=now))
        for member in answer.members:
            self._hub.begin(member)
        return None

    async def _join(self, member: Member, request: Subscribe) -> None:
        answer = await entering.subscribe(self._hub, member, request)
        if isinstance(answer, Error | Disconnect):
            return self._not_joined(member, request, answer)
        self._do(self._session.subscribed(request, answer, self._loop.time()))
        self._hub.begin(member)
        return None

    def _given(self, member: Member, answer: Subscribed) -> bool:
        told = self._session.subscribe(member.topic, answer, self._loop.time())
        if told:
            self._members[member.topic] = member
            self._do(told)
            self._hub.begin(member)
        return bool(told)

    async def _answer(self, command: Question) -> None:
        answer = await self._answers.find(command)
        if isinstance(answer, Disconnect):
            return self.disconnect(answer)
        self._do(self._session.answered(command, answer, self._loop.time()))
        return None

    def _hear(self, data: str | None, size: int) -> None:
        if rpc.is_listening():
            self._spawn(rpc.hear(self.person.user, self.client, data), size)
        else:
            self.disconnect(Disconnect.NOT_AVAILABLE)

    def _not_joined(self, member: Member, request: Subscribe, why: Error | Disconnect) -> None:
        if self._members.get(member.topic) is member:
            del self._members[member.topic]
        self._do(self._session.not_subscribed(request, why))

    # --- Time and the end

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = [at for at in (self._session.due, self._outlet.due) if at is not None]
        self._timer = None if self._ended or not due else self._loop.call_at(min(due), self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        if self._outlet.is_too_slow(now):
            return self.disconnect(Disconnect.SLOW)
        self._do(self._session.tick(now))
        return None

    def _spawn(self, work: Coroutine[Any, Any, None], size: int) -> None:
        task = self._loop.create_task(work)
        self._tasks[task] = size
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            # its client would wait for ever: it is told, and comes back
            log.error("connection.failed", exc_info=error)
            self.disconnect(Disconnect.INTERNAL)

    def _end(self, code: int) -> None:
        if self._ended:
            return
        self._ended = True
        self._session.close(Disconnect.SHUTDOWN)  # deaf to the answers still on their way
        self._wind()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._gifts.stop()
        for member in self._members.values():
            self._hub.quit(member)
        self._members.clear()
        self._hub.detach(self)
        if self.seated:
            self._hub.users.give_back(self.person.user)
        self._hub.addresses.give_back(self._address)
        metrics.CONNECTIONS.dec()
        lasted, said = round(self._loop.time() - self._began, 3), self._outlet.pushes
        sent = self._outlet.sent_bytes
        log.info("connection.closed", code=code, duration_s=lasted, pushes=said, sent_bytes=sent)
