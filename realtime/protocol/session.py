"""The client protocol as a state machine: a command or a fact in, what is to be done out.

Guarantees, whatever comes in whatever order: one reply for each command with an id while the
connection lives; no push of a topic before its subscribe reply or after its unsubscribe reply; a
disconnect push before every close; nothing after it. Time and chance are arguments.
Source: protocol.md, sections 1.1, 3 to 5 and 9.
"""

import math
from dataclasses import dataclass
from enum import Enum

from realtime.protocol import codes, commands, messages
from realtime.protocol.effects import Ask, Authenticate, Close, Effect, Hear, Join, Leave, Send
from realtime.protocol.subscriptions import Queue, Subscriptions

_DELTAS = {"", "fossil"}
GRACE_S = 25.0  # for a client to renew its token in, beyond its end


@dataclass(frozen=True, slots=True)
class Limits:
    """`queued`: commands that wait behind a connect or a topic's subscribe; `pong_s` < `ping_s`."""

    topics: int = 128
    queued: int = 256
    connect_s: float = 10
    ping_s: int = 25
    pong_s: float = 10


class _State(Enum):
    NEW, AUTHENTICATING, READY, REFUSED, CLOSED = range(5)


class Session:
    """One connection's side of the protocol."""

    def __init__(self, *, limits: Limits, now: float) -> None:
        self._limits = limits
        self._state = _State.NEW
        self._connect_id = 0
        self._topics = Subscriptions()
        self._patience_until = now + limits.connect_s
        self._ping_at = 0.0
        self._pong_by = math.inf
        # unless a token is renewed by then, the connection ends; None: it does not
        self.ends_at: float | None = None

    @property
    def closed(self) -> bool:
        return self._state is _State.CLOSED

    def is_subscribed(self, topic: str) -> bool:
        """The subscribe was answered with yes: pushes may follow."""
        return self._topics.holds(topic)

    def takes(self, topic: str) -> bool:
        """The server may subscribe the client to this topic, as things are."""
        full = len(self._topics) >= self._limits.topics
        return self._state is _State.READY and topic not in self._topics and not full

    @property
    def queued_bytes(self) -> int:
        return self._topics.queued_bytes

    # --- What the client says -----------------------------------------------------------------

    def receive(self, command: commands.Command, now: float, size: int = 0) -> list[Effect]:
        """The client's next command, of about so many bytes. Behind a connect it waits for that."""
        if self._state in {_State.REFUSED, _State.CLOSED}:
            return []
        if isinstance(command, commands.Connect) != (self._state is _State.NEW):
            return self.close(codes.Disconnect.BAD_REQUEST)
        if isinstance(command, commands.Connect):
            return self._authenticate(command, now, size)
        if isinstance(command, commands.Pong):
            # Lenient to a pong that nobody asked for, as clients differ.
            self._pong_by = math.inf
            return []
        return self._take(command, size)

    def _authenticate(self, command: commands.Connect, now: float, size: int) -> list[Effect]:
        self._state = _State.AUTHENTICATING
        self._connect_id = command.id
        self._patience_until = now + self._limits.connect_s
        return [Authenticate(command, size)]

    def _take(self, command: commands.Command, size: int) -> list[Effect]:
        """Obey it now, or when what it waits for is answered."""
        queue = self._topics.queue(command, early=self._state is _State.AUTHENTICATING)
        if queue is None:
            return self._obey(command, size)
        if len(queue) >= self._limits.queued:
            return self.close(codes.Disconnect.TOO_MANY_REQUESTS)
        queue.append((command, size))
        return []

    def _obey(self, command: commands.Command, size: int) -> list[Effect]:
        if isinstance(command, commands.OnTopic) and not command.topic:
            return self.close(codes.Disconnect.BAD_REQUEST)
        match command:
            case commands.Subscribe():
                return self._subscribe(command, size)
            case commands.Unsubscribe(number, topic):
                forgotten = self._forget(topic, codes.Error.INTERNAL)
                return [*forgotten, _reply(number, messages.Unsubscribed())]
            case commands.Ping(number):
                return [_reply(number, codes.Error.NOT_AVAILABLE)]
            case commands.Send():
                return [Hear(command, size)]
            case commands.Connect() | commands.Pong():
                raise AssertionError(command)  # `receive` has dealt with them
        return self._ask(command, size)

    def _ask(self, command: commands.Question, size: int) -> list[Effect]:
        if isinstance(command, commands.Refresh) and (self.ends_at is None or not command.token):
            return self.close(codes.Disconnect.BAD_REQUEST)  # nobody asked for a new token
        error = self._why_no_answer(command)
        return [Ask(command, size) if error is None else _reply(command.id, error)]

    def _subscribe(self, request: commands.Subscribe, size: int) -> list[Effect]:
        if request.delta not in _DELTAS:
            return self.close(codes.Disconnect.BAD_REQUEST)
        if (error := self._why_no_join(request)) is not None:
            return [_reply(request.id, error)]
        self._topics.ask(request)
        return [Join(request.topic, request, size)]

    def _why_no_join(self, request: commands.Subscribe) -> codes.Error | None:
        if request.kind:
            return codes.Error.NOT_AVAILABLE
        if request.topic in self._topics:
            return codes.Error.ALREADY_SUBSCRIBED
        if len(self._topics) >= self._limits.topics:
            return codes.Error.LIMIT_EXCEEDED
        if request.delta and request.filter is not None:
            return codes.Error.BAD_REQUEST  # the differences would be to what was left out
        return None

    def _why_no_answer(self, command: commands.Question) -> codes.Error | None:
        match command:
            case commands.Publish(kind=kind) | commands.SubRefresh(kind=kind) if kind:
                return codes.Error.NOT_AVAILABLE
            case commands.SubRefresh(topic=topic) if not self.is_subscribed(topic):
                return codes.Error.PERMISSION_DENIED
            case commands.SubRefresh(token=""):
                return codes.Error.BAD_REQUEST
        return None

    def _forget(self, topic: str, error: codes.Error) -> list[Effect]:
        """Give the topic up; a subscribe still under way is answered with `error`."""
        if (subscription := self._topics.remove(topic)) is None:
            return []
        if (asked := subscription.request) is None:
            return [Leave(topic)]
        return [Leave(topic), _reply(asked.id, error), *self._take_all(self._topics.queued(topic))]

    def _take_all(self, waiting: Queue) -> list[Effect]:
        effects: list[Effect] = []
        while waiting and not self.closed:
            effects += self._take(*waiting.popleft())
        return effects

    # --- How the things asked for went --------------------------------------------------------

    def connected(
        self, welcome: messages.Connected, *, first_ping_s: float, now: float
    ) -> list[Effect]:
        """The client is who it may be. `first_ping_s`: a random delay of half to a whole ping."""
        if self._state is not _State.AUTHENTICATING:
            return []
        self._state = _State.READY
        self._ping_at = now + first_ping_s
        self.ends_at = None if welcome.ttl_s is None else now + welcome.ttl_s
        for topic, result in welcome.subs.items():
            self._topics.begin(topic, result.ttl_s, now, server=True)
        return [_reply(self._connect_id, welcome), *self._take_all(self._topics.queued(""))]

    def refused(self, why: messages.Refusal | codes.Disconnect, now: float) -> list[Effect]:
        """The client may not connect. After an error the rest of what it sends is ignored."""
        if self._state is not _State.AUTHENTICATING:
            return []
        if isinstance(why, codes.Disconnect):
            return self.close(why)
        self._state = _State.REFUSED
        self._topics.clear()
        self._patience_until = now + self._limits.connect_s
        return [_reply(self._connect_id, why)]

    def subscribed(
        self, request: commands.Subscribe, result: messages.Subscribed, now: float
    ) -> list[Effect]:
        """The Join of `request` succeeded. Nothing is to be done if it was left meanwhile."""
        if not self._topics.awaits(request):
            return []
        self._topics.begin(request.topic, result.ttl_s, now, server=False)
        return [_reply(request.id, result), *self._take_all(self._topics.queued(request.topic))]

    def not_subscribed(
        self, request: commands.Subscribe, why: codes.Error | codes.Disconnect
    ) -> list[Effect]:
        """The Join of `request` failed, and nothing of it is left."""
        if not self._topics.awaits(request):
            return []
        if isinstance(why, codes.Disconnect):
            return self.close(why)
        self._topics.remove(request.topic)
        return [_reply(request.id, why), *self._take_all(self._topics.queued(request.topic))]

    def answered(
        self, command: commands.Question, answer: messages.Answer, now: float
    ) -> list[Effect]:
        """The answer to an Ask."""
        if self._state is _State.CLOSED:
            return []
        match command, answer:
            case commands.Refresh(), messages.Refreshed(ttl_s=ttl_s):
                self.ends_at = None if ttl_s is None else now + ttl_s
            case commands.SubRefresh(topic=topic), messages.SubRefreshed(ttl_s):
                if self.is_subscribed(topic):
                    self._topics.renew(topic, ttl_s, now)
        return [_reply(command.id, answer)]

    # --- What the server wants ----------------------------------------------------------------

    def subscribe(self, topic: str, result: messages.Subscribed, now: float) -> list[Effect]:
        """The server subscribes the client to a topic; nothing where it holds it, or too many."""
        if not self.takes(topic):
            return []
        self._topics.begin(topic, result.ttl_s, now, server=True)
        return [Send(messages.SubscribePush(topic, result))]

    def unsubscribe(self, topic: str, reason: codes.Unsubscribe) -> list[Effect]:
        """End a subscription. One still under way is refused instead: no push before its reply."""
        if not self.is_subscribed(topic):
            again = codes.Error.INTERNAL if reason.resubscribe else codes.Error.PERMISSION_DENIED
            return self._forget(topic, again)
        if self._topics.is_of_server(topic) and reason.resubscribe:
            # its client cannot subscribe again: it comes back and is subscribed anew
            if reason is codes.Unsubscribe.EXPIRED:
                return self.close(codes.Disconnect.SUBSCRIPTION_EXPIRED)
            return self.close(codes.Disconnect.INSUFFICIENT_STATE)
        push = messages.UnsubscribePush(topic, reason)
        return [*self._forget(topic, codes.Error.INTERNAL), Send(push)]

    def say(self, data: str) -> list[Effect]:
        """A message of the server, of no topic."""
        return [Send(messages.MessagePush(data))] if self._state is _State.READY else []

    def close(self, reason: messages.Ending) -> list[Effect]:
        """End the connection; its topics need no Leave of their own."""
        if self._state is _State.CLOSED:
            return []
        self._state = _State.CLOSED
        self._topics.clear()
        return [Send(messages.DisconnectPush(reason)), Close(reason)]

    # --- Time ---------------------------------------------------------------------------------

    @property
    def due(self) -> float | None:
        """When `tick` next has something to do."""
        if self._state is _State.CLOSED:
            return None
        if self._state is not _State.READY:
            return self._patience_until
        ends = [end + GRACE_S for end in (self.ends_at, self._topics.next_end) if end is not None]
        return min([self._ping_at, self._pong_by, *ends])

    def tick(self, now: float) -> list[Effect]:
        """Time has passed: ping, or give up a client that is silent or that may stay no longer."""
        if self.due is None or now < self.due:
            return []
        if (reason := self._why_over(now)) is not None:
            return self.close(reason)
        over, why = self._topics.ended(now - GRACE_S), codes.Unsubscribe.EXPIRED
        effects = [effect for topic in over for effect in self.unsubscribe(topic, why)]
        return effects if self.closed or now < self._ping_at else [*effects, *self._ping(now)]

    def _why_over(self, now: float) -> codes.Disconnect | None:
        if self._state is _State.AUTHENTICATING:
            return codes.Disconnect.INTERNAL
        if self._state is not _State.READY:
            return codes.Disconnect.STALE
        if now >= self._pong_by:
            return codes.Disconnect.NO_PONG
        over = self.ends_at is not None and now >= self.ends_at + GRACE_S
        return codes.Disconnect.EXPIRED if over else None

    def _ping(self, now: float) -> list[Effect]:
        # Whatever else is being sent: some clients count pings only.
        following = self._ping_at + self._limits.ping_s
        self._ping_at = following if following > now else now + self._limits.ping_s
        self._pong_by = now + self._limits.pong_s
        return [Send(messages.PingPush())]


def _reply(number: int, result: messages.Result) -> Send:
    return Send(messages.Reply(number, result))
