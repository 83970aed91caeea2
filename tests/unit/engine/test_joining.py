"""A subscription begins with a reply that repeats nothing and lacks nothing, or with an error."""

import asyncio
import json

import pytest

from realtime.engine import joining
from realtime.engine.members import Member
from realtime.engine.openings import Opening, Snapshot
from realtime.engine.topics import History, Match
from realtime.protocol.codes import Disconnect, Error
from realtime.protocol.commands import Subscribe
from realtime.protocol.messages import Position, Publication, Subscribed
from tests.unit.engine.world import TOPIC, FakeClient, Scene, write


def door(scene, name, function):
    object.__setattr__(scene.hub.doors, name, function)


def newcomer(scene, user="ada"):
    client = FakeClient(scene.world, scene.hub, user)
    scene.run(client.connect())
    return client


def ask(scene, client, **request):
    """The reply to a subscribe, and the member; it begins when there is one."""
    member = Member(client, TOPIC)
    match = Match(TOPIC, scene.world.declaration, {})
    answer = scene.run(joining.join(scene.hub, member, match, Subscribe(1, TOPIC, **request)))
    return answer, member


def left_nothing(scene):
    return not any(feed.members for feed in scene.hub.feeds.values())


def test_a_newcomer_gets_the_rows_and_the_position_they_are_of(scene):
    entries = write(scene, 3)
    answer, member = ask(scene, newcomer(scene))
    data = json.loads(answer.data)
    assert (data["rows"], data["counts"], data["publications"]) == (entries, {}, [])
    assert data["now"] > 0
    assert answer.position == Position(scene.world.epoch, 3)
    assert member.offset == 3


def test_one_who_was_away_gets_what_it_missed_and_no_rows(scene):
    entries = write(scene, 5)
    answer, _ = ask(scene, newcomer(scene), since=Position(scene.world.epoch, 2))
    assert answer.recovered
    assert answer.data is None
    assert [int(p.data) for p in answer.publications] == entries[2:]


def test_one_who_was_away_too_long_gets_the_rows_unless_it_wants_none(scene):
    entries = write(scene, 9)
    scene.world.trim(2)
    since = Position(scene.world.epoch, 1)
    answer, _ = ask(scene, newcomer(scene), since=since)
    assert (answer.recovered, answer.was_recovering) == (False, True)
    assert json.loads(answer.data)["rows"] == entries
    answer, _ = ask(scene, newcomer(scene, "grace"), since=since, strict=True)
    assert answer is Error.UNRECOVERABLE_POSITION


def test_one_without_the_right_is_refused_and_nothing_of_it_is_left(scene):
    scene.world.denied.add("ada")
    answer, member = ask(scene, newcomer(scene))
    assert answer is Error.PERMISSION_DENIED
    assert member.ended
    assert left_nothing(scene)


def test_who_lost_the_right_meanwhile_recovers_nothing_from_memory(scene):
    scene.client("grace")
    write(scene)
    scene.deliver_all()
    scene.world.denied.add("ada")
    answer, _ = ask(scene, newcomer(scene), since=Position(scene.world.epoch, 0))
    assert answer is Error.PERMISSION_DENIED


def test_what_a_token_vouches_for_is_asked_of_nobody(scene):
    scene.client("grace")
    entries = write(scene)
    scene.deliver_all()
    client = newcomer(scene)
    scene.world.asked.clear()
    member = Member(client, TOPIC, vouched=True)
    request = Subscribe(1, TOPIC, since=Position(scene.world.epoch, 0))
    match = Match(TOPIC, scene.world.declaration, {})
    answer = scene.run(joining.join(scene.hub, member, match, request))
    assert [int(p.data) for p in answer.publications] == entries
    assert scene.world.asked == []


@pytest.mark.parametrize("brought", [True, False])
def test_what_was_published_before_it_came_back_is_in_the_reply_though_the_broker_is_late(
    scene, brought
):
    scene.client("grace")
    entries = write(scene, 2)
    scene.deliver_all()
    entries += write(scene, 2)
    if not brought:
        scene.world.flying.clear()
    client = newcomer(scene)
    answer, _ = ask(scene, client, since=Position(scene.world.epoch, 1))
    assert answer.recovered
    assert [int(p.data) for p in answer.publications] == entries[1:]
    assert ("since", 1) not in scene.world.asked  # what the memory has is not read again


def test_what_the_broker_is_late_with_counts_where_few_are_kept(scene):
    scene.world.declaration.history = History(size=2)
    scene.client("grace")
    write(scene, 2)
    scene.deliver_all()
    write(scene)
    answer, _ = ask(scene, newcomer(scene), since=Position(scene.world.epoch, 0))
    assert (answer.recovered, answer.position.offset) == (False, 3)


def test_a_topic_that_keeps_nothing_gives_no_position(scene):
    scene.world.declaration.history = None
    answer, _ = ask(scene, newcomer(scene), since=Position("epoch001", 3))
    assert answer.position is None
    assert answer.was_recovering


def test_a_database_that_is_away_is_an_error_for_now(scene):
    client = newcomer(scene)
    scene.world.broken = True
    answer, _ = ask(scene, client)
    scene.world.broken = False
    assert answer is Error.INTERNAL
    assert left_nothing(scene)


def test_one_who_left_before_it_came_is_not_let_in(scene):
    client = newcomer(scene)
    member = Member(client, TOPIC, ended=True)
    match = Match(TOPIC, scene.world.declaration, {})
    answer = scene.run(joining.join(scene.hub, member, match, Subscribe(1, TOPIC)))
    assert answer is Error.INTERNAL
    assert scene.hub.feeds == {}


def test_one_whose_connection_goes_while_it_joins_leaves_nothing(scene):
    client = newcomer(scene)
    member = Member(client, TOPIC)
    match = Match(TOPIC, scene.world.declaration, {})

    async def never(*values, **named):
        await asyncio.Event().wait()

    door(scene, "open_topic", never)

    async def goes():
        task = asyncio.ensure_future(joining.join(scene.hub, member, match, Subscribe(1, TOPIC)))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert scene.run(goes())
    assert left_nothing(scene)


def test_one_who_leaves_while_it_waits_for_its_turn_asks_nothing_more(scene):
    client = newcomer(scene)
    member = Member(client, TOPIC)
    match = Match(TOPIC, scene.world.declaration, {})

    async def leaves():
        client.turns.pause(busy=True)
        task = asyncio.ensure_future(joining.join(scene.hub, member, match, Subscribe(1, TOPIC)))
        await asyncio.sleep(0.01)
        scene.hub.quit(member)
        client.turns.pause(busy=False)
        return await task

    assert scene.run(leaves()) is Error.INTERNAL


def test_a_no_older_than_the_last_revocation_is_asked_again(scene):
    """Granted, and the answer comes from before: the newest word counts."""
    client = newcomer(scene)
    scene.world.revoke("ada")
    scene.world.grant("ada")
    scene.world.move()
    scene.deliver_all()
    open_topic, old = scene.world.open_topic, [opening(scene, allowed=False, covers=1)]

    async def replica(*values, **named):
        return old.pop() if old else await open_topic(*values, **named)

    door(scene, "open_topic", replica)
    answer, _ = ask(scene, client)
    assert isinstance(answer, Subscribed)


def test_a_no_that_stays_old_is_an_error_for_now(scene):
    client = newcomer(scene)
    scene.world.revoke("someone")
    scene.world.move()
    scene.deliver_all()

    async def replica(*values, **named):
        return opening(scene, allowed=False, covers=0)

    door(scene, "open_topic", replica)
    answer, _ = ask(scene, client)
    assert answer is Error.INTERNAL


def opening(scene, *, allowed=True, covers=9, pending=(), epoch=None):
    return Opening(
        allowed,
        covers,
        Position(epoch or scene.world.epoch, scene.world.top),
        0,
        snapshot=Snapshot("[]", {}),
        pending=frozenset(pending),
    )


@pytest.mark.parametrize(
    "odd", [{"epoch": "another1"}, {"pending": range(2000)}], ids=["another epoch", "too much"]
)
def test_what_does_not_fit_together_is_an_error_for_now(scene, odd):
    scene.client("grace")
    client = newcomer(scene)

    async def answers(*values, **named):
        return opening(scene, **odd)

    door(scene, "open_topic", answers)
    answer, _ = ask(scene, client)
    assert answer is Error.INTERNAL


def test_rows_that_run_ahead_of_a_short_memory_are_joined_to_the_log():
    scene = Scene(ring_size=8, page=50)
    scene.client("grace")
    pending = [scene.world.write() for _ in range(30)]
    client = newcomer(scene)
    _while_it_joins(scene, client, lambda: scene.world.move(100))
    assert client.rows == pending
    assert client.position == Position(scene.world.epoch, 30)
    scene.close()


def test_where_a_page_does_not_reach_the_rows_are_never_continued(scene):
    """The page is 5 here: from the rows on all is well, and after an absence it starts anew."""
    scene.client("grace")
    entries = [scene.world.write() for _ in range(30)]
    client = newcomer(scene)
    _while_it_joins(scene, client, lambda: scene.world.move(100))
    assert client.position.epoch == f"{scene.world.epoch}!"
    entries += write(scene)
    scene.loop.pass_time(1.1)
    assert client.rows == entries


def _while_it_joins(scene, client, act):
    async def meanwhile():
        task = asyncio.ensure_future(client.subscribe())
        await asyncio.sleep(0.05)
        act()
        for message in scene.world.flying:
            scene.hub.take(message)
        await task

    scene.run(meanwhile())


def test_a_log_begun_anew_while_it_waits_is_an_error_for_now(scene):
    scene.world.write()
    client = newcomer(scene)
    _while_it_joins(scene, client, lambda: scene.hub.lose(scene.hub.feeds[TOPIC], "a test"))
    assert client.errors == [Error.INTERNAL]


def test_data_is_one_json_text():
    snapshot = Snapshot('[{"key":"1"}]', {"unread": 2})
    publications = (Publication(1, '{"op":"u"}', "1", "u", 1, 0),)
    found = json.loads(joining.data(snapshot, publications))
    assert found.pop("now") > 0
    assert found == {
        "rows": [{"key": "1"}],
        "counts": {"unread": 2},
        "publications": [{"op": "u"}],
    }


def test_who_joins_while_the_hub_begins_anew_is_told(scene):
    client = newcomer(scene)
    open_topic = scene.world.open_topic

    async def meanwhile(*values, **named):
        scene.hub.restart("a test")
        return await open_topic(*values, **named)

    door(scene, "open_topic", meanwhile)
    scene.run(client.subscribe())
    assert client.closed is Disconnect.SHUTDOWN
    assert client.rows == []
