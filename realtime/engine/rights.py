"""Holds whoever a revocation concerns until an answer young enough lets him go on.

Guarantee: nothing is pushed to a member between the moment an event that concerns it is handled and
an answer that covers that event; after HOLD_S without one it is told to ask anew. Nobody is held
for ever, nobody is let through. Source: correctness.md, section 7.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from realtime.engine import revocation
from realtime.engine.members import UNANSWERED, Register, nobody
from realtime.engine.topics import Authorisation
from realtime.protocol.codes import Disconnect, Unsubscribe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from typing import Any

    from realtime.engine.members import Credential, Member, Person, Reader
    from realtime.engine.revocation import Event, Identities

    # user, topic, and the token of the subscription, which is asked about in place of the rule
    Claim = tuple[str, str, Credential | None]
    Authorise = Callable[[str, str], Awaitable[Authorisation]]
    Identify = Callable[[Iterable[Credential]], Awaitable[Identities]]

log = structlog.get_logger(__name__)

AGAIN_S = 0.02
AT_ONCE = 8


class Rights:
    """The grants of all readers and members of one hub.

    `hold`, `release` and `end` are the hub's: stop pushing, go on from where it stands (harmless to
    one that was never held), and the subscription is over.
    """

    def __init__(
        self,
        *,
        authorise: Authorise,
        identify: Identify,
        hold: Callable[[Member], None],
        release: Callable[[Member], None],
        end: Callable[[Member, Unsubscribe], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        hold_s: float,
    ) -> None:
        self.register = Register()
        self._authorise, self._identify = authorise, identify
        self._hold, self._release, self._end, self._spawn = hold, release, end, spawn
        self._hold_s = hold_s
        self._asking: set[Claim] = set()
        self._asking_persons = False
        self._few = asyncio.Semaphore(AT_ONCE)
        self._waiters: dict[Member, asyncio.Future[None]] = {}

    # --- Beginnings

    async def introduce(self, reader: Reader, control: Callable[[], int]) -> None:
        """Find out who a new reader's credential speaks for, then register it.

        The answer must cover all that was handled before the registration: whatever is handled
        after it finds the reader.
        """
        person = reader.person
        if person.credential:
            identities = await self._identify([person.credential])
            while identities.covers < control():
                await asyncio.sleep(AGAIN_S)
                identities = await self._identify([person.credential])
            person.user = identities.users.get(person.credential, "")
            person.grant.answered(identities.covers)
        if not person.user:
            reader.person = nobody()
        self.register.enter(reader)

    # --- Events

    def handle(self, event: Event, offset: int) -> None:
        """Hold all that `event`, at `offset` of `!control`, concerns, and ask."""
        for reader in self._concerned(event):
            person = reader.person
            if person.credential and revocation.concerns_person(event, person):
                person.grant.raise_to(offset)
                self._question_person(reader)
            for member in self.register.members(reader):
                # what rules hang on is nothing to who has the topic by a token
                ruled = event.kind != "namespace" or not member.vouched
                if ruled and revocation.concerns_topic(event, person.user, member.topic):
                    member.grant.raise_to(offset)
                self.check(member)

    def _concerned(self, event: Event) -> list[Reader]:
        match event.kind:
            case "user":
                return self.register.readers(user=event.subject)
            case "session":
                return self.register.readers(session=event.subject)
        return self.register.readers()

    def check(self, member: Member) -> None:
        """Hold the member unless it is clear, and ask; one that is joining asks for itself."""
        if member.clear:
            return
        self._hold(member)
        if member.joined:
            if not member.deadline:
                member.deadline = self._later(self._expire, member)
            self.question(member)

    def _later(self, call: Callable[..., None], *values: object) -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(self._hold_s, call, *values)
        return loop.time() + self._hold_s

    def _expire(self, member: Member) -> None:
        if member.deadline > asyncio.get_running_loop().time() + AGAIN_S:
            return  # let go and held again since; that hold has its own clock
        if member.deadline and not member.ended:
            log.warning("hold.expired", topic=member.topic)
            self._end(member, Unsubscribe.INSUFFICIENT_STATE)

    def _expire_person(self, reader: Reader, needs: int) -> None:
        if reader in self.register and reader.person.grant.covers < needs:
            reader.disconnect(Disconnect.INTERNAL)

    # --- Questions about a topic

    def question(self, member: Member) -> None:
        """Ask, again and again, until an answer covers what the member needs."""
        if member.vouched and member.voucher is None:
            # the connection's credential is all that it hangs on
            member.grant.answered(member.grant.needs)
            self._let_go(member)
            return
        claim = (member.reader.person.user, member.topic, member.voucher)
        if not member.grant.clear and claim not in self._asking:
            self._asking.add(claim)
            self._spawn(self._ask(claim))

    async def cleared(self, member: Member) -> bool:
        """Wait for the answers that a joining member needs; False when they do not come in time.

        A member that was refused is `ended`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._hold_s
        while not member.clear and not member.ended:
            # before the question: what a token vouches for is answered at once
            future = self._waiters[member] = loop.create_future()
            self.question(member)
            try:
                await asyncio.wait_for(future, deadline - loop.time())
            except TimeoutError:
                return False
            finally:
                self._waiters.pop(member, None)
        return True

    async def _ask(self, claim: Claim) -> None:
        try:
            while held := self._unanswered(claim):
                answer = await self._answer(claim)
                # who has renewed the token meanwhile waits for the answer about the new one
                still = [member for member in held if member.voucher == claim[2]]
                if answer is None or not self._take(still, answer):
                    await asyncio.sleep(AGAIN_S)
        finally:
            self._asking.discard(claim)

    def _unanswered(self, claim: Claim) -> list[Member]:
        user, topic, voucher = claim
        same = [m for m in self.register.holders(user, topic) if m.voucher == voucher]
        return [m for m in same if not m.grant.clear and (voucher or not m.vouched)]

    async def _answer(self, claim: Claim) -> Authorisation | None:
        user, topic, voucher = claim
        try:
            async with self._few:
                if voucher is None:
                    return await self._authorise(user, topic)
                identities = await self._identify([voucher])
                return Authorisation(voucher in identities.users, identities.covers)
        except Exception as error:  # noqa: BLE001  (a database that is down: asked until the deadline)
            log.warning("authorise.failed", topic=topic, error=repr(error))
            return None

    def _take(self, members: list[Member], answer: Authorisation) -> bool:
        """Apply an answer; False if it was too old for some member."""
        enough = True
        for member in members:
            if member.ended:
                continue
            if answer.covers < member.grant.needs:
                enough = False
            elif answer.allowed:
                member.grant.answered(answer.covers)
                self._let_go(member)
            else:
                log.info("member.refused", topic=member.topic)
                member.refused = True
                self._end(member, Unsubscribe.SERVER)
                self._wake(member)
        return enough

    def _let_go(self, member: Member) -> None:
        if member.clear:
            member.deadline = 0.0
            self._wake(member)
            self._release(member)

    def _wake(self, member: Member) -> None:
        future = self._waiters.get(member)
        if future is not None and not future.done():
            future.set_result(None)

    # --- Questions about a person

    def renew(self, reader: Reader, credential: Credential) -> None:
        """Another token speaks for the connection: nothing is known of it yet."""
        reader.person.credential = credential
        reader.person.grant.covers = UNANSWERED
        for member in self.register.members(reader):
            self.check(member)
        self._question_person(reader)

    def renew_topic(self, member: Member, voucher: Credential) -> None:
        """As `renew`, of one subscription."""
        member.voucher = voucher
        member.grant.covers = UNANSWERED
        self.check(member)

    def _question_person(self, reader: Reader) -> None:
        if reader.person.grant.clear:
            return
        self._later(self._expire_person, reader, reader.person.grant.needs)
        if not self._asking_persons:
            self._asking_persons = True
            self._spawn(self._ask_persons())

    async def _ask_persons(self) -> None:
        try:
            while held := [r for r in self.register.known() if not r.person.grant.clear]:
                identities = await self._identities(held)
                if identities is None or not self._take_identities(held, identities):
                    await asyncio.sleep(AGAIN_S)
        finally:
            self._asking_persons = False

    async def _identities(self, readers: list[Reader]) -> Identities | None:
        try:
            return await self._identify({c for r in readers if (c := r.person.credential)})
        except Exception as error:  # noqa: BLE001  (as above)
            log.warning("identify.failed", error=repr(error))
            return None

    def _take_identities(self, readers: list[Reader], identities: Identities) -> bool:
        enough = True
        for reader in readers:
            person = reader.person
            if reader not in self.register:
                continue
            if person.credential not in identities.asked or identities.covers < person.grant.needs:
                enough = False
            elif not _still(person, identities):
                reader.disconnect(Disconnect.FORCE)
            elif person.grant.answered(identities.covers):
                for member in self.register.members(reader):
                    self._let_go(member)
                while person.held:
                    reader.say(person.held.pop(0))
        return enough

    # --- Behind it all

    async def recheck(self) -> None:
        """Ask about everybody, holding nobody: for rights that end without leaving a trace."""
        readers = list(self.register.known())
        if readers and (identities := await self._identities(readers)):
            self._take_identities(readers, identities)
        for user, topic in self.register.rights():
            answer = await self._answer((user, topic, None))
            if answer is not None:
                holders = self.register.holders(user, topic)
                self._take([m for m in holders if m.joined and not m.vouched], answer)


def _still(person: Person, identities: Identities) -> bool:
    """The credential speaks for whom it spoke."""
    credential = person.credential
    return credential is not None and identities.users.get(credential) == person.user
