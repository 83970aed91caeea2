"""The client behind `manage.py client`: an SDK of the field, and all that it goes through, told.

Guarantee: it ends by itself when nothing more can come, and leaves as a client should.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from typing import TYPE_CHECKING, Any

from centrifuge import Client, OperationTimeoutError, ReplyError, StreamPosition
from websockets.exceptions import WebSocketException

from realtime.engine.management import events
from realtime.engine.management.questions import Questions
from realtime.engine.management.reaching import Unreachable, why_not

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from centrifuge import CentrifugeError, ClientInfo, Publication

    from realtime.engine.management.lines import Facts
    from realtime.engine.management.questions import Wanted

DONE, REFUSED, TOO_FEW = 0, 3, 4
LEAVE_S = 1.0


class Listening:
    """`tell(event, at, facts)` is called with everything that happens, until the end."""

    def __init__(self, wanted: Wanted, tell: Callable[[str, float, Facts], None]) -> None:
        self._wanted, self._tell = wanted, tell
        self._connected, self._settled = asyncio.Event(), asyncio.Event()
        self._open, self._waiting = set(wanted.topics), set(wanted.topics)
        self._heard = 0
        self._refused, self._asked = False, False
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._client = Client(
            wanted.url,
            events=events.OfClient(self),
            token=wanted.token,
            get_token=wanted.get_token,
            use_protobuf=wanted.protobuf,
            name="tocsin",
        )

    async def run(self) -> int:
        """The exit code. Raises Unreachable where no connection ever came about."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.end, DONE)
        asking = asyncio.create_task(self._begin())
        asking.add_done_callback(self._stumbled)
        try:
            async with asyncio.timeout(self._wanted.timeout_s):
                return await self._over
        except TimeoutError:
            return self._late()
        finally:
            asking.cancel()
            await self._leave()

    def end(self, code: int = DONE) -> None:
        if not self._over.done():
            self._over.set_result(code or (REFUSED if self._refused else DONE))

    def _late(self) -> int:
        if not self._connected.is_set():
            raise Unreachable(f"no connection within {self._wanted.timeout_s:g} s")
        if self._wanted.count is not None or not self._settled.is_set():
            return TOO_FEW
        return REFUSED if self._refused else DONE

    async def _leave(self) -> None:
        self._over.cancel()  # from here on nothing is told
        await self._client.disconnect()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:  # the close handshake
            await asyncio.wait(rest, timeout=LEAVE_S)

    def _stumbled(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error and not self._over.done():
            self._over.set_exception(error)

    # --- What is asked

    async def _begin(self) -> None:
        for topic in self._wanted.topics:
            await self._subscribe(topic, self._wanted.since)
        self._settle()
        await self._client.connect()
        await self._connected.wait()
        await self._settled.wait()
        questions = Questions(self._client, self)
        await questions.ask(self._wanted, self._open)
        self._asked = True
        if self._wanted.asks and not self._wanted.topics:
            self.end()
        self._enough()

    async def _subscribe(self, topic: str, since: StreamPosition | None) -> None:
        subscription = self._client.new_subscription(
            topic,
            events=events.OfTopic(self, topic),
            token=self._wanted.topic_token,
            join_leave=self._wanted.presence,
            get_state=since and self._resume(topic, since),
        )
        await subscription.subscribe()

    def _resume(self, topic: str, since: StreamPosition) -> Callable[[str], Awaitable[Any]]:
        """The SDK asks for a position at the start, and again when it was told 112."""
        asked = False

        async def position(_: str) -> StreamPosition:
            nonlocal asked
            if asked:
                lost = {"topic": topic, "code": 112, "reason": "unrecoverable position"}
                self.tell("unrecoverable", **lost, epoch=since.epoch, offset=since.offset)
                await self._anew(topic)
            asked = True
            return since

        return position

    async def _anew(self, topic: str) -> None:
        old = self._client.get_subscription(topic)
        await old.unsubscribe()
        self._client.remove_subscription(old)
        await self._subscribe(topic, None)

    # --- What happens

    def tell(self, event: str, **facts: Any) -> None:
        if not self._over.done():
            self._tell(event, time.time(), facts)

    def refused(self, what: str, why: CentrifugeError, **facts: Any) -> None:
        """A question was answered with no, or not at all."""
        self._refused = True
        if isinstance(why, ReplyError):
            said = {"what": f"{what} refused", "code": why.code, "reason": why.message}
        else:
            said = {"what": f"{what} failed", "reason": str(why)}
        self.tell("refused", **facts, **said)

    @property
    def url(self) -> str:
        return self._wanted.url

    def connected(self) -> None:
        self._connected.set()

    def ended(self) -> None:
        """The server has sent the client away for good."""
        self.end(REFUSED)

    def stumbled(self, what: str, error: Exception, **facts: Any) -> None:
        """Something did not go; the SDK tries again, but for a first connection."""
        if isinstance(error, ReplyError):
            said = {"code": error.code, "reason": error.message}
            self.tell("delayed", **facts, what=what, **said)
        elif not isinstance(error, OSError | WebSocketException | OperationTimeoutError):
            pass  # what comes of it is told by the event that follows
        elif self._connected.is_set():
            self.tell("delayed", **facts, what=what, reason=why_not(self._wanted.url, error))
        elif not self._over.done():
            self._over.set_exception(Unreachable(why_not(self._wanted.url, error)))

    def settled(self, topic: str) -> None:
        """The topic is subscribed, or will not be."""
        self._waiting.discard(topic)
        self._settle()

    def gave_up(self, topic: str) -> None:
        self._refused = True
        self._open.discard(topic)
        self.settled(topic)
        if self._wanted.topics and not self._open:
            self.end(REFUSED)

    def heard(self, topic: str, publication: Publication) -> None:
        if self._heard == self._wanted.count:
            return
        facts = self.about(publication)
        at = facts["data"].get("at") if isinstance(facts["data"], dict) else None
        if isinstance(at, int):
            facts["latency_ms"] = round(time.time() * 1000) - at
        self.tell("publication", topic=topic, **facts)
        self._heard += 1
        self._enough()

    def _enough(self) -> None:
        if self._asked and self._heard == self._wanted.count:
            self.end()

    def _settle(self) -> None:
        if not self._waiting:
            self._settled.set()

    # --- Values

    def value(self, data: Any) -> Any:
        """What JSON it is; in Protobuf, bytes that are none stay bytes."""
        if not isinstance(data, bytes):
            return data
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            return data

    def packed(self, data: Any) -> Any:
        return json.dumps(data).encode() if self._wanted.protobuf else data

    def about(self, publication: Publication) -> Facts:
        facts = {"offset": publication.offset, "data": self.value(publication.data)}
        if publication.info:
            facts["by"] = self.info(publication.info)
        if publication.tags:
            facts["tags"] = publication.tags
        return facts

    def info(self, info: ClientInfo) -> Facts:
        about = {"user": info.user, "client": info.client}
        infos = {"conn_info": self.value(info.conn_info), "chan_info": self.value(info.chan_info)}
        return about | {name: value for name, value in infos.items() if value is not None}
