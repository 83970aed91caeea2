"""Whoever a revocation concerns is held until an answer has seen it: not longer, not less."""

import asyncio

import pytest

from realtime.engine import joining
from realtime.engine.members import Credential, Member, Person
from realtime.engine.revocation import Identities
from realtime.engine.topics import Authorisation, Match
from realtime.protocol.codes import Disconnect, Error, Unsubscribe
from realtime.protocol.commands import Subscribe
from realtime.protocol.messages import Subscribed
from tests.unit.engine.world import TOPIC, FakeClient, write


def happens(scene, **event):
    """A revocation that takes nobody's right in this world, and its news."""
    scene.world.last_entry += 1
    scene.world.revocations.append((scene.world.last_entry, event))
    entries = write(scene)
    scene.deliver_all()
    return entries


def asked(scene):
    return sorted(user for what, user in scene.world.asked if what == "authorise")


def slowly(scene, answer, seconds):
    async def late(*values):
        await asyncio.sleep(seconds)
        return await answer(*values)

    return late


@pytest.mark.parametrize(
    ("event", "who"),
    [
        ({"kind": "user", "user": "ada"}, ["ada"]),
        ({"kind": "namespace", "namespace": "items"}, ["ada", "grace"]),
        ({"kind": "namespace", "namespace": "others"}, []),
        ({"kind": "everybody"}, ["ada", "grace"]),
        ({"kind": "session", "session": "ada"}, []),
        ({"kind": "what no release has said yet"}, ["ada", "grace"]),
    ],
)
def test_only_those_concerned_are_asked_about_and_nobody_misses_anything(scene, event, who):
    ada, grace = scene.client(), scene.client("grace")
    scene.world.asked.clear()
    entries = happens(scene, **event)
    assert asked(scene) == who
    assert ada.rows == grace.rows == entries


def test_one_question_serves_all_connections_of_a_person(scene):
    clients = [scene.client() for _ in range(5)]
    scene.world.asked.clear()
    entries = happens(scene, kind="user", user="ada")
    assert asked(scene) == ["ada"]
    assert all(client.rows == entries for client in clients)


def test_an_answer_that_has_not_seen_the_revocation_is_asked_again(scene):
    """A replica that lags still says yes."""
    client = scene.client()
    answers = [Authorisation(allowed=True, covers=0)] * 3

    async def replica(user, topic):
        return answers.pop() if answers else Authorisation(allowed=False, covers=1)

    scene.hub.rights._authorise = replica
    happens(scene, kind="user", user="ada")
    assert client.told == [Unsubscribe.SERVER]
    assert client.rows == []
    assert answers == []


def test_a_database_that_is_back_within_the_second_costs_nobody_the_subscription(scene):
    client = scene.client()
    scene.world.revocations.append((99, {"kind": "everybody"}))
    entries = write(scene)

    async def away_for_a_while():
        for message in scene.world.flying:
            scene.hub.take(message)
        await asyncio.sleep(0)
        scene.world.broken = True
        await asyncio.sleep(0.5)
        scene.world.broken = False

    scene.run(away_for_a_while())
    scene.loop.pass_time(1.5)
    assert client.told == []
    assert client.rows == entries


def test_a_person_nobody_can_say_anything_about_is_let_go(scene):
    client = scene.client()

    async def fails(keys):
        raise ConnectionError

    scene.hub.rights._identify = fails
    happens_later(scene, kind="session", session="ada")
    scene.loop.pass_time(1.2)
    assert client.closed is Disconnect.INTERNAL
    assert client.rows == []


def happens_later(scene, **event):
    scene.world.revocations.append((99, event))
    write(scene)

    async def take():
        for message in scene.world.flying:
            scene.hub.take(message)

    scene.run(take())


def test_a_session_that_has_become_another_persons_is_cut_off(scene):
    client = scene.client()

    async def another(keys):
        return Identities(frozenset(keys), dict.fromkeys(keys, "mallory"), 9)

    scene.hub.rights._identify = another
    happens(scene, kind="sessions")
    assert client.closed is Disconnect.FORCE
    assert client.rows == []


def test_a_newcomer_is_asked_about_until_the_answer_has_seen_all_that_was_handled(scene):
    scene.client("grace")
    happens(scene, kind="everybody")
    identify, first = scene.world.identify, [0]

    async def replica(keys):
        return Identities(frozenset(keys), {}, first.pop()) if first else await identify(keys)

    scene.hub.rights._identify = replica
    assert scene.client().rows != []
    assert first == []


def test_who_comes_without_a_session_waits_for_no_sign_out(scene):
    stranger = FakeClient(scene.world, scene.hub, "")
    stranger.person = Person()
    scene.run(stranger.connect())
    stranger.closed = None
    scene.call(scene.hub.rights.register.enter, stranger)
    scene.run(stranger.subscribe())
    entries = happens(scene, kind="sessions")
    assert stranger.rows == entries


def test_one_who_is_refused_while_it_joins_is_told_so(scene):
    scene.world.authorise = slowly(scene, scene.world.authorise, 0.1)
    scene.hub.rights._authorise = scene.world.authorise
    client = FakeClient(scene.world, scene.hub, "ada")
    scene.run(client.connect())
    open_topic = scene.world.open_topic

    async def revoked_behind_it(*values, **named):
        opening = await open_topic(*values, **named)
        scene.world.revoke("ada")
        scene.world.move()
        for message in scene.world.flying:
            scene.hub.take(message)
        await scene.hub.upkeep.control_reaches(1)
        return opening

    object.__setattr__(scene.hub.doors, "open_topic", revoked_behind_it)
    scene.run(client.subscribe())
    assert client.errors == [Error.PERMISSION_DENIED]
    assert client.rows == []


def test_one_whose_right_nobody_confirms_in_time_is_asked_to_come_again(scene):
    client = scene.client()
    member = Member(client, "items:2")
    scene.call(scene.hub.rights.register.add, member)
    member.grant.needs = 5
    assert scene.run(scene.hub.rights.cleared(member)) is False
    scene.hub.rights.register.remove(member)
    member.ended = True
    scene.loop.pass_time(0.1)


def test_what_a_token_gave_no_revocation_takes(scene):
    client = scene.client()
    client.member.vouched = True
    scene.world.asked.clear()
    entries = happens(scene, kind="user", user="ada")
    assert asked(scene) == []
    assert client.rows == entries


def test_a_right_that_ends_without_a_trace_is_found_by_asking_again(scene):
    client, grace = scene.client(), scene.client("grace")
    scene.world.denied.add("ada")
    scene.run(scene.hub.rights.recheck())
    assert client.told == [Unsubscribe.SERVER]
    assert grace.told == []
    scene.world.gone.add("grace")
    scene.run(scene.hub.rights.recheck())
    assert grace.closed is Disconnect.FORCE


def test_a_database_that_is_away_costs_nobody_a_right(scene):
    client = scene.client()
    scene.world.broken = True
    scene.run(scene.hub.rights.recheck())
    scene.world.broken = False
    entries = write(scene)
    scene.deliver_all()
    assert (client.told, client.closed) == ([], None)
    assert client.rows == entries
    assert TOPIC in scene.hub.feeds


def test_one_let_go_and_held_again_has_its_second_anew(scene):
    client = scene.client()
    answer = scene.hub.rights._authorise
    scene.hub.rights._authorise = slowly(scene, answer, 0.7)
    happens_later(scene, kind="everybody")
    scene.loop.pass_time(0.8)
    scene.world.flying.clear()
    happens_later(scene, kind="everybody")
    scene.loop.pass_time(1.5)
    assert client.told == []
    assert len(client.rows) == 2


def test_a_token_stands_although_its_holder_may_not_come_without_one(scene):
    """One connection came by right, which is lost; the other, by token, is still joining."""
    scene.client()
    other = FakeClient(scene.world, scene.hub, "ada")
    scene.run(other.connect())
    member = Member(other, TOPIC, vouched=True)
    match = Match(TOPIC, scene.world.declaration, {})
    control = scene.hub.upkeep.control_reaches

    async def meanwhile(mark):
        scene.world.revoke("ada")
        scene.world.move()
        for message in scene.world.flying:
            scene.hub.take(message)
        await asyncio.sleep(0.5)  # of virtual time: the other one has been refused
        return await control(mark)

    scene.hub.upkeep.control_reaches = meanwhile
    answer = scene.run(joining.join(scene.hub, member, match, Subscribe(1, TOPIC)))
    assert isinstance(answer, Subscribed)


def test_a_token_of_somebody_who_is_gone_is_worth_nothing(scene):
    client = scene.client()
    client.member.vouched = True
    scene.world.revoke("ada", session=True)
    write(scene)
    scene.deliver_all()
    assert client.closed is Disconnect.FORCE
    assert client.rows == []


# --- Tokens that are revoked


def by_token(scene, token_id):
    """Somebody who holds the topic by a token for it."""
    client = scene.client()
    client.member.vouched = True
    client.member.voucher = Credential(token_user="ada", token_id=token_id)
    return client


def test_a_revoked_token_ends_the_subscription_that_it_gave_and_no_other(scene):
    first, second = by_token(scene, "first"), by_token(scene, "second")
    scene.world.gone.add("first")
    entries = happens(scene, kind="user", user="ada")
    assert first.told == [Unsubscribe.SERVER]
    assert first.rows == []
    assert second.rows == entries


def test_who_renews_a_token_is_held_until_it_is_known_to_be_good(scene):
    client = by_token(scene, "first")
    scene.call(scene.hub.rights.renew, client, Credential(token_user="ada", token_id="new"))
    entries = write_and_deliver(scene)
    assert client.rows == entries
    scene.world.gone.add("revoked")
    scene.call(scene.hub.rights.renew, client, Credential(token_user="ada", token_id="revoked"))
    write_and_deliver(scene)
    assert client.closed is Disconnect.FORCE
    assert client.rows == entries


def test_an_answer_about_the_old_token_says_nothing_of_the_new_one(scene):
    client = by_token(scene, "first")
    identify = scene.world.identify

    async def renewed_meanwhile(keys):
        found = await identify(keys)
        if client.person.credential.token_id != "new":
            scene.hub.rights.renew(client, Credential(token_user="ada", token_id="new"))
        return found

    scene.hub.rights._identify = renewed_meanwhile
    entries = happens(scene, kind="user", user="ada")
    assert client.closed is None
    assert client.rows == entries


def test_an_answer_about_the_old_token_of_a_topic_lets_no_revoked_one_through(scene):
    client = by_token(scene, "first")
    first = client.member.voucher
    scene.world.gone.add("revoked")
    identify = scene.world.identify

    async def renewed_meanwhile(keys):
        found = await identify(keys)
        if list(keys) == [first]:
            revoked = Credential(token_user="ada", token_id="revoked")
            scene.hub.rights.renew_topic(client.member, revoked)
        return found

    scene.hub.rights._identify = renewed_meanwhile
    happens(scene, kind="user", user="ada")
    assert client.told == [Unsubscribe.SERVER]
    assert client.rows == []


def test_what_rules_hang_on_is_nothing_to_who_has_a_token_for_the_topic(scene):
    client = by_token(scene, "first")
    looked_up = []

    async def identify(keys):
        looked_up.extend(keys)
        return await scene.world.identify(keys)

    scene.hub.rights._identify = identify
    entries = happens(scene, kind="namespace", namespace="items")
    assert client.rows == entries
    assert looked_up == []


def test_a_subscription_goes_on_by_a_new_token_and_ends_by_a_revoked_one(scene):
    client, other = by_token(scene, "first"), by_token(scene, "first")
    scene.world.gone |= {"first", "revoked"}
    renewals = {client: "new", other: "revoked"}
    for who, token_id in renewals.items():
        voucher = Credential(token_user="ada", token_id=token_id)
        scene.call(scene.hub.rights.renew_topic, who.member, voucher)
    entries = write_and_deliver(scene)
    assert client.rows == entries
    assert other.told == [Unsubscribe.SERVER]
    assert other.rows == []


def write_and_deliver(scene):
    entries = write(scene)
    scene.deliver_all()
    return entries
