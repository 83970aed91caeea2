"""The answers to what a client asks on its connection: publish, history, presence, calls, tokens.

Guarantee: nothing is told to who may not hear it, and no history before the revocations that it
must follow have been handled (correctness.md, section 7).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import structlog

from realtime.engine import entering, passing, publishing, rpc, tokens, topics, wire
from realtime.engine.conf import VERSION, settings
from realtime.engine.envelope import Passing
from realtime.engine.limits import Bucket, size_of
from realtime.engine.tokens import ExpiredToken, InvalidToken
from realtime.protocol import commands, messages
from realtime.protocol.codes import Disconnect, Error

if TYPE_CHECKING:
    from realtime.engine.hub import Hub
    from realtime.engine.members import Member, Reader
    from realtime.engine.topics import Match

    Found = messages.Answer | Disconnect

log = structlog.get_logger(__name__)

# of a sub_refresh: a client that may ask again fetches a new token, else it would give up
EXPIRED_FOR_NOW = messages.Failure(
    Error.TOKEN_EXPIRED.number, Error.TOKEN_EXPIRED.text, temporary=True
)


class Answers:
    """Of one connection."""

    def __init__(self, hub: Hub, reader: Reader, now: float) -> None:
        self._hub, self._reader = hub, reader
        self._publish = Bucket(settings.PUBLISH_PER_S, settings.PUBLISH_BURST, now)
        self._publishing = asyncio.Lock()
        self._look = Bucket(settings.PRESENCE_PER_S, settings.PRESENCE_BURST, now)
        self._call = Bucket(settings.RPC_PER_S, settings.RPC_BURST, now)

    async def find(self, command: commands.Question) -> Found:
        try:
            return await self._find(command)
        except tuple(entering.REFUSED) as error:
            return entering.REFUSED[type(error)]
        except Exception as error:  # noqa: BLE001  (a database that is down may raise anything)
            log.warning("answer.failed", command=type(command).__name__, error=repr(error))
            return Error.INTERNAL

    async def _find(self, command: commands.Question) -> Found:
        match command:
            case commands.Rpc():
                return await self._returned(command)
            case commands.Refresh():
                return self._refreshed(command)
            case commands.SubRefresh():
                return self._sub_refreshed(command)
            case commands.Publish():
                return await self._published(command, topics.match(command.topic))
            case commands.History():
                return await self._recorded(command, topics.match(command.topic))
        return await self._present(command, topics.match(command.topic))

    # --- Publish

    async def _published(self, command: commands.Publish, match: Match) -> Found:
        if not self._publish.take(1, asyncio.get_running_loop().time()):
            return Error.TOO_MANY_REQUESTS
        text, blob = _readable(command.data)
        fits = size_of(command.data or b"") <= settings.PUBLISH_BYTES
        if not fits or (text is None and (blob is None or not _takes_bytes(match))):
            return Error.BAD_REQUEST
        about = wire.about(self._info(match.topic), None)
        if not match.declaration.history:
            return await self._passed(match, Passing(match.topic, text or "", about, blob))
        user, turns = self._reader.person.user, self._reader.turns
        async with self._publishing:
            put = await turns.ask(lambda: publishing.apublish_for(user, match, text or "", about))
        if not put.allowed:
            return Error.PERMISSION_DENIED
        if put.unnumbered:
            await publishing.numbered(match.topic, put.unnumbered)
        return messages.Published()

    async def _passed(self, match: Match, message: Passing) -> Found:
        """Publish what no log keeps."""
        async with self._publishing:
            user, turns = self._reader.person.user, self._reader.turns
            seen = await turns.ask(lambda: publishing.amay_pass(user, match))
            if seen is None:
                return Error.PERMISSION_DENIED
            mark = await passing.mark(seen)
            if mark is None:
                return Error.INTERNAL
            message = msgspec.structs.replace(message, mark=mark)
            sent = await self._hub.doors.broker.send(match.topic, message)
            return messages.Published() if sent else Error.INTERNAL

    def _info(self, topic: str) -> messages.ClientInfo:
        member = self._member(topic)
        of_topic = member.info if member else None
        reader = self._reader
        return messages.ClientInfo(reader.client, reader.person.user, reader.info, of_topic)

    # --- History and presence

    async def _recorded(self, command: commands.History, match: Match) -> Found:
        if not match.declaration.history:
            return Error.NOT_AVAILABLE
        if command.reverse and command.since is not None and not command.since.offset:
            return Error.BAD_REQUEST
        vouched = self._is_vouched(match.topic)
        if match.topic.startswith(entering.PRIVATE) and not vouched:
            return Error.PERMISSION_DENIED
        most = settings.HISTORY_LIMIT
        limit = most if command.limit < 0 else min(command.limit, most)
        excerpt, user = self._hub.doors.excerpt, self._reader.person.user
        since, reverse = command.since, command.reverse
        found = await self._reader.turns.ask(
            lambda: excerpt(user, match, since, limit, reverse=reverse, vouched=vouched)
        )
        if not found.allowed:
            return Error.PERMISSION_DENIED
        reached = await self._hub.upkeep.control_reaches(found.control)
        # a token may be what was revoked; of the rule the excerpt has asked itself
        good = self._is_clear(match.topic) if vouched else self._reader.person.grant.clear
        if not (reached and good):
            return Error.INTERNAL
        return messages.Recorded(found.position, found.publications)

    async def _present(
        self, command: commands.Presence | commands.PresenceStats, match: Match
    ) -> Found:
        if not match.declaration.presence:
            return Error.NOT_AVAILABLE
        if not self._look.take(1, asyncio.get_running_loop().time()):
            return Error.TOO_MANY_REQUESTS
        reader, presence = self._reader, self._hub.doors.presence
        asker = reader.person.user or reader.client
        why = await self._why_not_present(match.topic)
        if why is not None:
            return why
        # in its turn: an answer may be large, and who does not read it gets no more of them
        async with reader.turns.one():
            if isinstance(command, commands.Presence):
                return messages.Present(await presence.everybody(match.topic, asker))
            return messages.PresenceCount(*await presence.count(match.topic, asker))

    async def _why_not_present(self, topic: str) -> Error | None:
        if self._is_clear(topic):
            return None
        if self._is_vouched(topic):
            return Error.INTERNAL  # held for a moment: it may ask again
        if topic.startswith(entering.PRIVATE):
            return Error.PERMISSION_DENIED
        authorise, user = self._hub.doors.authorise, self._reader.person.user
        answer = await self._reader.turns.ask(lambda: authorise(user, topic))
        return None if answer.allowed else Error.PERMISSION_DENIED

    def _member(self, topic: str) -> Member | None:
        return self._hub.rights.register.member(self._reader, topic)

    def _is_vouched(self, topic: str) -> bool:
        member = self._member(topic)
        return member is not None and member.vouched and member.joined

    def _is_clear(self, topic: str) -> bool:
        member = self._member(topic)
        return member is not None and member.clear and member.joined

    # --- Calls

    async def _returned(self, command: commands.Rpc) -> Found:
        if not self._call.take(1, asyncio.get_running_loop().time()):
            return Error.TOO_MANY_REQUESTS
        text, blob = _readable(command.data)
        if blob is not None:
            return Error.BAD_REQUEST
        return await rpc.answer(self._reader.person.user, self._reader.client, command.method, text)

    # --- Tokens

    def _refreshed(self, command: commands.Refresh) -> Found:
        try:
            token = tokens.connection(command.token)
        except ExpiredToken:
            return Disconnect.EXPIRED
        except InvalidToken:
            return Disconnect.INVALID_TOKEN
        if token.user != self._reader.person.user:
            return Disconnect.INVALID_TOKEN
        if entering.is_over(token.expire_at):
            return Disconnect.EXPIRED
        if who := entering.credential(token):
            self._hub.rights.renew(self._reader, who)
        ttl_s = entering.ttl_s(token.expire_at)
        return messages.Refreshed(self._reader.client, VERSION, ttl_s)

    def _sub_refreshed(self, command: commands.SubRefresh) -> Found:
        try:
            token = tokens.subscription(command.token)
        except ExpiredToken:
            return EXPIRED_FOR_NOW
        except InvalidToken:
            return Disconnect.INVALID_TOKEN
        if not entering.is_for(token, self._reader, command.topic):
            return Disconnect.INVALID_TOKEN
        if entering.is_over(token.expire_at):
            return EXPIRED_FOR_NOW
        member = self._member(command.topic)
        # who has the topic by the rule, or by the server, goes on having it so
        if member and member.voucher and (who := entering.credential(token)):
            self._hub.rights.renew_topic(member, who)
        return messages.SubRefreshed(entering.ttl_s(token.expire_at))


def _takes_bytes(match: Match) -> bool:
    return match.declaration.binary and not match.declaration.history


def _readable(data: str | bytes | None) -> tuple[str | None, bytes | None]:
    """The JSON text that this is, or the bytes that are none."""
    if data is None or isinstance(data, str):
        return data, None
    try:
        msgspec.json.decode(data)
        return data.decode(), None
    except (ValueError, RecursionError):
        return None, data
