"""The topics of one session: which are asked for, which are held, and until when."""

from collections import deque
from dataclasses import dataclass

from realtime.protocol.commands import Command, Subscribe, Unsubscribe

# commands, and about how many bytes each is
Queue = deque[tuple[Command, int]]


@dataclass(slots=True)
class Subscription:
    """`request`: the subscribe that is still under way. `server`: the client never asked."""

    request: Subscribe | None = None
    server: bool = False


class Subscriptions:
    def __init__(self) -> None:
        self._topics: dict[str, Subscription] = {}
        self._queues: dict[str, Queue] = {}
        # mostly empty: only what a token granted ends
        self._ends: dict[str, float] = {}

    def __contains__(self, topic: str) -> bool:
        return topic in self._topics

    def __len__(self) -> int:
        return len(self._topics)

    def holds(self, topic: str) -> bool:
        """The subscribe was answered with yes."""
        subscription = self._topics.get(topic)
        return subscription is not None and subscription.request is None

    def is_of_server(self, topic: str) -> bool:
        return self.holds(topic) and self._topics[topic].server

    def awaits(self, request: Subscribe) -> bool:
        """This subscribe is under way, and no later one took its place."""
        subscription = self._topics.get(request.topic)
        return subscription is not None and subscription.request is request

    def ask(self, request: Subscribe) -> None:
        self._topics[request.topic] = Subscription(request)

    def queue(self, command: Command, *, early: bool) -> Queue | None:
        """Where this waits: whatever concerns a topic being opened, for the answer before it;
        `early`: whatever it is, for the connect (there is no topic without a name).

        Some clients ask again when they grow impatient; they take a "no" that comes ahead of the
        answer to their first subscribe for the end.
        """
        if early:
            return self._queues.setdefault("", deque())
        match command:
            case Subscribe(topic=topic) | Unsubscribe(topic=topic):
                if topic in self and not self.holds(topic):
                    return self._queues.setdefault(topic, deque())
        return None

    def queued(self, topic: str) -> Queue:
        """What has waited for an answer that is given now."""
        return self._queues.pop(topic, deque())

    @property
    def queued_bytes(self) -> int:
        return sum(size for queue in self._queues.values() for _, size in queue)

    def begin(self, topic: str, ttl_s: int | None, now: float, *, server: bool) -> None:
        self._topics[topic] = Subscription(server=server)
        self.renew(topic, ttl_s, now)

    def renew(self, topic: str, ttl_s: int | None, now: float) -> None:
        """The subscription ends `ttl_s` from now; None: never."""
        if ttl_s is None:
            self._ends.pop(topic, None)
        else:
            self._ends[topic] = now + ttl_s

    def remove(self, topic: str) -> Subscription | None:
        self._ends.pop(topic, None)
        return self._topics.pop(topic, None)

    def clear(self) -> None:
        self._topics.clear()
        self._queues.clear()
        self._ends.clear()

    @property
    def next_end(self) -> float | None:
        return min(self._ends.values(), default=None)

    def ended(self, by: float) -> list[str]:
        """The topics whose end has come by then."""
        return [topic for topic, end in self._ends.items() if end <= by]
