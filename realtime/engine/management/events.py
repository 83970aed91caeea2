"""What the SDK says, passed on as facts; a code 0 is what this client did by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from centrifuge import ClientEventHandler, SubscriptionEventHandler

if TYPE_CHECKING:
    from realtime.engine.management.lines import Facts
    from realtime.engine.management.listening import Listening

# below, a code is an error that answered the connect, and no end of a connection
FIRST_DISCONNECT = 3000
# below, the SDK itself subscribes: at the start, and when it is connected again
FIRST_RESUBSCRIBE = 2500


class OfClient(ClientEventHandler):
    """Of the connection, and of topics that the server has subscribed it to."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening

    async def on_connecting(self, ctx: Any) -> None:
        if ctx.code:
            self._listening.tell("interrupted", code=ctx.code, reason=ctx.reason)
        else:
            self._listening.tell("connecting", url=self._listening.url)

    async def on_connected(self, ctx: Any) -> None:
        data = self._listening.value(ctx.data)
        self._listening.tell("connected", client=ctx.client, version=ctx.version, data=data)
        self._listening.connected()

    async def on_disconnected(self, ctx: Any) -> None:
        if not ctx.code:
            return
        if 1 < ctx.code < FIRST_DISCONNECT:
            said = {"what": "connection refused", "code": ctx.code, "reason": ctx.reason}
            self._listening.tell("refused", **said)
        else:
            self._listening.tell("disconnected", code=ctx.code, reason=ctx.reason)
        self._listening.ended()

    async def on_error(self, ctx: Any) -> None:
        self._listening.stumbled("connecting failed", ctx.error)

    async def on_subscribed(self, ctx: Any) -> None:
        self._listening.tell("subscribed", **beginning(self._listening, ctx), by_server=True)

    async def on_unsubscribed(self, ctx: Any) -> None:
        self._listening.tell("unsubscribed", topic=ctx.channel, code=0, reason="by the server")

    async def on_publication(self, ctx: Any) -> None:
        self._listening.heard(ctx.channel, ctx.pub)

    async def on_join(self, ctx: Any) -> None:
        self._listening.tell("join", topic=ctx.channel, **self._listening.info(ctx.info))

    async def on_leave(self, ctx: Any) -> None:
        self._listening.tell("leave", topic=ctx.channel, **self._listening.info(ctx.info))


class OfTopic(SubscriptionEventHandler):
    """Of one topic that was asked for."""

    def __init__(self, listening: Listening, topic: str) -> None:
        self._listening, self._topic = listening, topic
        self._subscribed = False

    async def on_subscribing(self, ctx: Any) -> None:
        # the loss of a connection is told once, not by each of its topics
        if ctx.code >= FIRST_RESUBSCRIBE:
            said = {"topic": self._topic, "code": ctx.code, "reason": ctx.reason}
            self._listening.tell("subscribing", **said)

    async def on_subscribed(self, ctx: Any) -> None:
        self._subscribed = True
        self._listening.tell("subscribed", **beginning(self._listening, ctx))
        self._listening.settled(self._topic)

    async def on_unsubscribed(self, ctx: Any) -> None:
        if not ctx.code:
            return
        said = {"topic": self._topic, "code": ctx.code, "reason": ctx.reason}
        if self._subscribed:
            self._listening.tell("unsubscribed", **said)
        else:
            self._listening.tell("refused", what="subscription refused", **said)
        self._listening.gave_up(self._topic)

    async def on_error(self, ctx: Any) -> None:
        self._listening.stumbled("subscribing failed", ctx.error, topic=self._topic)

    async def on_publication(self, ctx: Any) -> None:
        self._listening.heard(self._topic, ctx.pub)

    async def on_join(self, ctx: Any) -> None:
        self._listening.tell("join", topic=self._topic, **self._listening.info(ctx.info))

    async def on_leave(self, ctx: Any) -> None:
        self._listening.tell("leave", topic=self._topic, **self._listening.info(ctx.info))


def beginning(listening: Listening, ctx: Any) -> Facts:
    facts: Facts = {"topic": ctx.channel}
    if ctx.stream_position:
        position = ctx.stream_position
        facts |= {"epoch": position.epoch, "offset": position.offset}
    facts |= {"was_recovering": ctx.was_recovering, "recovered": ctx.recovered}
    data = listening.value(ctx.data)
    return facts if data is None else {**facts, "data": data}
