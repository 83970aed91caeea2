"""The client protocol as a state machine: a command or a fact in, what is to be done out.

Guarantees, whatever comes in whatever order: one reply for each command with an id while the
connection lives; no push of a topic before its subscribe reply or after its unsubscribe reply; a
disconnect push before every close; nothing after it. Time and chance are arguments.
Source: protocol.md, sections 1.1 and 3 to 5.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from realtime.protocol import codes, messages
from realtime.protocol.effects import Authenticate, Close, Effect, Join, Leave, Send

_DELTAS = {"", "fossil"}


@dataclass(frozen=True, slots=True)
class Limits:
    """`queued`: commands that may wait behind a connect. `pong_s` is below `ping_s`."""

    topics: int = 128
    queued: int = 256
    connect_s: float = 10
    ping_s: int = 25
    pong_s: float = 10


class _State(Enum):
    NEW = auto()
    AUTHENTICATING = auto()
    READY = auto()
    REFUSED = auto()
    CLOSED = auto()


_DEAF = {_State.REFUSED, _State.CLOSED}


class Session:
    """One connection's side of the protocol. `client` is its id, unique and never empty."""

    def __init__(self, *, client: str, limits: Limits, now: float) -> None:
        self._client = client
        self._limits = limits
        self._state = _State.NEW
        self._connect_id = 0
        self._queue: deque[messages.Command] = deque()
        # A topic's subscribe while it is under way, None once it is answered.
        self._topics: dict[str, messages.Subscribe | None] = {}
        self._patience_until = now + limits.connect_s
        self._ping_at = 0.0
        self._pong_by: float | None = None

    @property
    def closed(self) -> bool:
        return self._state is _State.CLOSED

    def is_subscribed(self, topic: str) -> bool:
        """The subscribe was answered with yes: pushes may follow."""
        return self._topics.get(topic, ...) is None

    # --- What the client says -----------------------------------------------------------------

    def receive(self, command: messages.Command, now: float) -> list[Effect]:
        """The client's next command. Those behind a connect wait until it is answered."""
        if self._state in _DEAF:
            return []
        if isinstance(command, messages.Connect) != (self._state is _State.NEW):
            return self.close(codes.Disconnect.BAD_REQUEST)
        if isinstance(command, messages.Connect):
            return self._authenticate(command, now)
        if isinstance(command, messages.Pong):
            # Lenient to a pong that nobody asked for, as clients differ.
            self._pong_by = None
            return []
        if self._state is _State.AUTHENTICATING:
            return self._wait(command)
        return self._obey(command)

    def malformed(self) -> list[Effect]:
        """The client sent a frame that cannot be read."""
        return self.close(codes.Disconnect.BAD_REQUEST)

    def _authenticate(self, command: messages.Connect, now: float) -> list[Effect]:
        self._state = _State.AUTHENTICATING
        self._connect_id = command.id
        self._patience_until = now + self._limits.connect_s
        return [Authenticate(command)]

    def _wait(self, command: messages.Command) -> list[Effect]:
        if len(self._queue) >= self._limits.queued:
            return self.close(codes.Disconnect.TOO_MANY_REQUESTS)
        self._queue.append(command)
        return []

    def _obey(self, command: messages.Command) -> list[Effect]:
        if isinstance(command, messages.OnTopic) and not command.topic:
            return self.close(codes.Disconnect.BAD_REQUEST)
        match command:
            case messages.Subscribe():
                return self._subscribe(command)
            case messages.Unsubscribe(number, topic):
                forgotten = self._forget(topic, codes.Error.INTERNAL)
                return [*forgotten, _reply(number, messages.Unsubscribed())]
            case messages.SubRefresh():
                return [_reply(command.id, self._why_no_refresh(command))]
            case (
                messages.Publish(id=number)
                | messages.Presence(id=number)
                | messages.PresenceStats(id=number)
                | messages.History(id=number)
                | messages.Rpc(id=number)
                | messages.Ping(id=number)
            ):
                return [_reply(number, codes.Error.NOT_AVAILABLE)]
        # Else a refresh, which nobody was asked for: no connection here is bound to a token.
        sent = isinstance(command, messages.Send)
        return self.close(codes.Disconnect.NOT_AVAILABLE if sent else codes.Disconnect.BAD_REQUEST)

    def _subscribe(self, request: messages.Subscribe) -> list[Effect]:
        if request.delta not in _DELTAS:
            return self.close(codes.Disconnect.BAD_REQUEST)
        error = self._why_no_join(request)
        if error is not None:
            return [_reply(request.id, error)]
        self._topics[request.topic] = request
        return [Join(request.topic, request)]

    def _why_no_join(self, request: messages.Subscribe) -> codes.Error | None:
        if request.kind:
            return codes.Error.NOT_AVAILABLE
        if request.topic in self._topics:
            return codes.Error.ALREADY_SUBSCRIBED
        if len(self._topics) >= self._limits.topics:
            return codes.Error.LIMIT_EXCEEDED
        if request.filtered:
            return codes.Error.BAD_REQUEST
        return None

    def _why_no_refresh(self, request: messages.SubRefresh) -> codes.Error:
        if request.kind:
            return codes.Error.NOT_AVAILABLE
        if not self.is_subscribed(request.topic):
            return codes.Error.PERMISSION_DENIED
        return codes.Error.NOT_AVAILABLE if request.token else codes.Error.BAD_REQUEST

    def _forget(self, topic: str, error: codes.Error) -> list[Effect]:
        """Give the topic up; a subscribe still under way is answered with `error`."""
        if topic not in self._topics:
            return []
        request = self._topics.pop(topic)
        if request is None:
            return [Leave(topic)]
        return [Leave(topic), _reply(request.id, error)]

    # --- How the things asked for went --------------------------------------------------------

    def connected(
        self, *, version: str, data: str | None, first_ping_s: float, now: float
    ) -> list[Effect]:
        """The client is who it may be. `first_ping_s`: a random delay of half to a whole ping."""
        if self._state is not _State.AUTHENTICATING:
            return []
        self._state = _State.READY
        self._ping_at = now + first_ping_s
        welcome = messages.Connected(self._client, version, data, self._limits.ping_s)
        effects: list[Effect] = [_reply(self._connect_id, welcome)]
        while self._queue:
            effects += self._obey(self._queue.popleft())
        return effects

    def refused(self, why: codes.Error | codes.Disconnect, now: float) -> list[Effect]:
        """The client may not connect. After an error the rest of what it sends is ignored."""
        if self._state is not _State.AUTHENTICATING:
            return []
        if isinstance(why, codes.Disconnect):
            return self.close(why)
        self._state = _State.REFUSED
        self._queue.clear()
        self._patience_until = now + self._limits.connect_s
        return [_reply(self._connect_id, why)]

    def subscribed(self, request: messages.Subscribe, result: messages.Subscribed) -> list[Effect]:
        """The Join of `request` succeeded. Nothing is to be done if it was left meanwhile."""
        if self._topics.get(request.topic) is not request:
            return []
        self._topics[request.topic] = None
        return [_reply(request.id, result)]

    def not_subscribed(self, request: messages.Subscribe, error: codes.Error) -> list[Effect]:
        """The Join of `request` failed, and nothing of it is left."""
        if self._topics.get(request.topic) is not request:
            return []
        del self._topics[request.topic]
        return [_reply(request.id, error)]

    # --- What the server wants ----------------------------------------------------------------

    def unsubscribe(self, topic: str, reason: codes.Unsubscribe) -> list[Effect]:
        """End a subscription. One still under way is refused instead: no push before its reply."""
        if self.is_subscribed(topic):
            push = messages.UnsubscribePush(topic, reason)
            return [*self._forget(topic, codes.Error.INTERNAL), Send(push)]
        again = codes.Error.INTERNAL if reason.resubscribe else codes.Error.PERMISSION_DENIED
        return self._forget(topic, again)

    def close(self, reason: codes.Disconnect) -> list[Effect]:
        """End the connection; its topics need no Leave of their own."""
        if self._state is _State.CLOSED:
            return []
        self._state = _State.CLOSED
        self._queue.clear()
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
        return self._ping_at if self._pong_by is None else min(self._ping_at, self._pong_by)

    def tick(self, now: float) -> list[Effect]:
        """Time has passed: ping, or give up a client that is silent."""
        if self.due is None or now < self.due:
            return []
        if self._state is _State.AUTHENTICATING:
            return self.close(codes.Disconnect.INTERNAL)
        if self._state is not _State.READY:
            return self.close(codes.Disconnect.STALE)
        if self._pong_by is not None and now >= self._pong_by:
            return self.close(codes.Disconnect.NO_PONG)
        # Whatever else is being sent: some clients count pings only.
        self._ping_at += self._limits.ping_s
        if self._ping_at <= now:
            self._ping_at = now + self._limits.ping_s
        self._pong_by = now + self._limits.pong_s
        return [Send(messages.PingPush())]


def _reply(number: int, result: messages.Result) -> Send:
    return Send(messages.Reply(number, result))
