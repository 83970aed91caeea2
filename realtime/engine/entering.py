"""A connection's beginning: who it speaks for, what it is told, and which topics it is given."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import structlog

from realtime.engine import joining, names, rpc, tokens, topics
from realtime.engine.conf import VERSION, settings
from realtime.engine.exceptions import BadTopic, EpochChanged, TooMany, Unavailable, UnknownTopic
from realtime.engine.members import Credential, Member
from realtime.engine.tokens import ExpiredToken, InvalidToken, TopicOptions
from realtime.protocol import filters
from realtime.protocol.codes import Disconnect, Error
from realtime.protocol.commands import Subscribe
from realtime.protocol.filters import BadFilter
from realtime.protocol.messages import Connected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realtime.engine.hub import Hub
    from realtime.engine.members import Reader
    from realtime.engine.tokens import ConnectionToken, SubscriptionToken
    from realtime.engine.topics import Match
    from realtime.protocol.commands import Connect
    from realtime.protocol.messages import Refusal, Subscribed

log = structlog.get_logger(__name__)

# without a token nobody is let into a topic of such a name
PRIVATE = "$"
# some 68 years; a Protobuf client could not be told of more than twice that
LONGEST_S = 2**31 - 1
PLAIN = TopicOptions(None, None, {})

REFUSED: dict[type[Exception], Error] = {
    UnknownTopic: Error.UNKNOWN_CHANNEL,
    BadTopic: Error.BAD_REQUEST,
    BadFilter: Error.BAD_REQUEST,
    EpochChanged: Error.UNRECOVERABLE_POSITION,
    ExpiredToken: Error.TOKEN_EXPIRED,
    InvalidToken: Error.PERMISSION_DENIED,
    TooMany: Error.LIMIT_EXCEEDED,
    Unavailable: Error.INTERNAL,
}


@dataclass(frozen=True, slots=True)
class Entered:
    """`members`: of the topics that the server has subscribed it to; their replies are in it."""

    welcome: Connected
    members: tuple[Member, ...] = ()


def credential(token: ConnectionToken | SubscriptionToken) -> Credential | None:
    """What must stay good while the token counts; None where it names nobody."""
    who = Credential("", token.user, token.token_id, token.issued_at)
    return who if token.user else None


def ttl_s(expire_at: float | None) -> int | None:
    """Whole seconds until then, at least one: clients read it unconditionally."""
    return None if expire_at is None else max(1, min(int(expire_at - time.time()), LONGEST_S))


def is_over(expire_at: float | None) -> bool:
    return expire_at is not None and expire_at <= time.time()


def first_ping_s() -> float:
    return float(settings.PING_S) * random.uniform(0.5, 1)  # noqa: S311  (spreads the pings)


async def enter(hub: Hub, reader: Reader, command: Connect) -> Entered | Refusal | Disconnect:
    """Let a connection in, or say why not. What it joined is left when it ends."""
    try:
        token = tokens.connection(command.token) if command.token else None
        if token is not None:
            reader.trust(credential(token), token.info)
        await hub.attach(reader)
        why = _why_not(hub, reader, token)
        return why or await _welcome(hub, reader, command, token)
    except ExpiredToken:
        return Error.TOKEN_EXPIRED
    except InvalidToken:
        return Disconnect.INVALID_TOKEN
    except rpc.RpcError as error:
        return error.failure
    except Exception as error:  # noqa: BLE001  (a database that is down may raise anything)
        log.warning("connect.failed", error=repr(error))
        return Error.INTERNAL


def _why_not(hub: Hub, reader: Reader, token: ConnectionToken | None) -> Error | Disconnect | None:
    user = reader.person.user
    if token is not None and token.user and not user:
        return Disconnect.INVALID_TOKEN  # it names nobody, or nobody any more
    if token is not None and is_over(token.expire_at):
        return Error.EXPIRED
    if not user and not any(topic.anonymous for topic in topics.registry().values()):
        return Error.UNAUTHORIZED
    if not hub.users.take(user, settings.CONNECTIONS_PER_USER):
        return Disconnect.CONNECTION_LIMIT
    reader.seated = True
    return None


async def _welcome(
    hub: Hub, reader: Reader, command: Connect, token: ConnectionToken | None
) -> Entered | Refusal | Disconnect:
    said = await rpc.greet(reader.person.user, reader.client, command.data)
    given = _given(reader.person.user, token)
    if len(given) > settings.TOPICS_PER_CONNECTION:
        return Disconnect.CHANNEL_LIMIT
    subs: dict[str, Subscribed] = {}
    members = []
    for topic, options in given.items():
        member = Member(reader, topic, vouched=True, info=options.info)
        answer = await give(hub, member, command.subs.get(topic), options)
        if isinstance(answer, Error):
            return answer
        subs[topic] = answer
        members.append(member)
    if not await _still_theirs(hub, members):
        return Error.INTERNAL
    welcome = Connected(
        client=reader.client,
        version=VERSION,
        data=msgspec.json.encode({"now": time.time_ns() // 1_000_000, **said}).decode(),
        ping_s=settings.PING_S,
        ttl_s=ttl_s(token.expire_at) if token else None,
        subs=subs,
    )
    return Entered(welcome, tuple(members))


async def _still_theirs(hub: Hub, members: Sequence[Member]) -> bool:
    """While one topic was opened, another may have been lost, or a revocation have been handled."""
    while not all(member.clear or member.ended for member in members):
        for member in members:
            if not await hub.rights.cleared(member):
                return False
    return not any(member.ended for member in members)


def _given(user: str, token: ConnectionToken | None) -> Mapping[str, TopicOptions]:
    """The topics that the server subscribes it to without being asked."""
    given: dict[str, TopicOptions] = {}
    if user and settings.PERSONAL_TOPIC:
        given[f"{names.LIMIT}{names.quote(user)}"] = PLAIN
    if token is not None:
        given |= dict.fromkeys(token.topics, PLAIN)
        given |= token.subs
    return given


async def subscribe(
    hub: Hub, member: Member, request: Subscribe
) -> Subscribed | Error | Disconnect:
    """Join a topic as the client asks, by its own right or by that of a token."""
    try:
        topics.declaration_of(member.topic)
        token = tokens.subscription(request.token) if request.token else None
        # before a look at what stands in the name: whoever has no key learns nothing of it
        if (why := _why_no_topic(member, token)) is not None:
            return why
        match = topics.match(member.topic)
        member.filter = filters.build(request.filter) if request.filter else None
    except tuple(REFUSED) as error:
        return REFUSED[type(error)]
    keeps = match.declaration
    member.deltas = bool(request.delta) and keeps.deltas and not topics.is_latest(keeps)
    if token is None:
        return await _join(hub, member, match, request, PLAIN.override)
    member.vouched, member.voucher, member.info = True, credential(token), token.options.info
    answer = await _join(hub, member, match, request, token.options.override)
    if isinstance(answer, Error):
        return answer
    data = token.options.data
    return replace(answer, ttl_s=ttl_s(token.expire_at), data=answer.data if data is None else data)


def _why_no_topic(member: Member, token: SubscriptionToken | None) -> Error | Disconnect | None:
    if token is None:
        return Error.PERMISSION_DENIED if member.topic.startswith(PRIVATE) else None
    if not is_for(token, member.reader, member.topic):
        return Disconnect.INVALID_TOKEN
    return Error.EXPIRED if is_over(token.expire_at) else None


def is_for(token: SubscriptionToken, reader: Reader, topic: str) -> bool:
    mine = token.user == reader.person.user and token.client in {"", reader.client}
    return mine and token.topic == topic


async def give(
    hub: Hub, member: Member, before: Subscribe | None = None, options: TopicOptions = PLAIN
) -> Subscribed | Error:
    """Join a topic for a client that did not ask; `before`: where it stood in it."""
    try:
        match = topics.match(member.topic)
    except tuple(REFUSED) as error:
        return REFUSED[type(error)]
    since = before.since if before else None
    request = Subscribe(0, member.topic, since=since)
    answer = await _join(hub, member, match, request, options.override)
    if isinstance(answer, Error) or options.data is None:
        return answer
    return replace(answer, data=options.data)


async def _join(
    hub: Hub, member: Member, match: Match, request: Subscribe, said: Mapping[str, bool]
) -> Subscribed | Error:
    """`said`: by a token, in place of what the declaration says."""
    told = match.declaration.join_leave
    always = said.get("force_push_join_leave", told == "always")
    member.announced = said.get("join_leave", bool(told))
    member.join_leave = member.announced and (always or request.join_leave)
    member.present = said.get("presence", match.declaration.presence)
    return await joining.join(hub, member, match, request)
