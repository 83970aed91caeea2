"""Who comes back together has one reading of the log, and it is as good as one of their own."""

import asyncio

import pytest

from realtime.engine.feed import Feed
from realtime.protocol.codes import Error
from realtime.protocol.messages import Position
from tests.unit.engine.world import TOPIC, FakeClient, Scene, World, write

LIMIT = 50


def crowd(scene, offsets):
    """Clients that were away since then, connected."""
    found = []
    for number, offset in enumerate(offsets):
        client = FakeClient(scene.world, scene.hub, f"user{number}")
        client.position = Position(scene.world.epoch, offset)
        client.rows = list(range(1, offset + 1))
        scene.run(client.connect())
        found.append(client)
    return found


def come(scene, clients):
    async def all_of_them():
        await asyncio.gather(*(client.subscribe() for client in clients))
        await scene.hub.settled()

    scene.run(all_of_them())


def readings(scene):
    return [offset for what, offset in scene.world.asked if what == "since"]


def rows_asked(scene):
    """Whoever asks for the rows is counted as well, from now on."""
    asked, door = [], scene.hub.doors.open_topic

    async def counted(user, *values, **named):
        asked.append(user)
        return await door(user, *values, **named)

    object.__setattr__(scene.hub.doors, "open_topic", counted)
    return asked


@pytest.mark.parametrize("ring", [4, 100])
def test_a_crowd_that_missed_the_same_is_brought_it_by_one_reading(ring):
    scene = Scene(ring_size=ring)
    entries = write(scene, 40)
    scene.world.flying.clear()
    asked = rows_asked(scene)
    clients = crowd(scene, [5] * 30)
    come(scene, clients)
    assert all(client.rows == entries for client in clients)
    assert readings(scene) == [5]
    assert asked == []
    scene.close()


def test_who_missed_a_little_more_than_the_first_shares_the_next_reading():
    scene = Scene(ring_size=4)
    entries = write(scene, 40)
    scene.world.flying.clear()
    clients = crowd(scene, [20, 12, 19, 11, 25, 10, 40])
    come(scene, clients)
    assert all(client.rows == entries for client in clients)
    assert len(readings(scene)) <= 2
    assert min(readings(scene)) == 10
    scene.close()


def test_where_they_stand_is_asked_once_for_all_who_came_before_the_question():
    scene = Scene(ring_size=100)
    scene.client("somebody")
    write(scene, 3)
    scene.deliver_all()
    asked, heads = [], scene.world.heads

    async def counted(topics):
        asked.append(topics)
        return await heads(topics)

    object.__setattr__(scene.hub.doors, "heads", counted)
    clients = crowd(scene, [1] * 30)
    come(scene, clients)
    assert all(client.subscribed for client in clients)
    assert len(asked) <= 2
    scene.close()


def test_an_answer_from_before_it_came_says_nobody_where_a_topic_stands(scene):
    """The first question is answered as of one publication; who comes after that has two."""
    write(scene)
    missed = scene.hub.upkeep.missed
    looked, go_on = asyncio.Event(), asyncio.Event()
    heads = scene.world.heads

    async def slow(topics):
        found = await heads(topics)
        looked.set()
        await go_on.wait()
        return found

    object.__setattr__(scene.hub.doors, "heads", slow)

    async def two():
        first = asyncio.ensure_future(missed.top(TOPIC))
        await looked.wait()
        write(scene)
        second = asyncio.ensure_future(missed.top(TOPIC))
        go_on.set()
        return (await first).offset, (await second).offset

    assert scene.run(two()) == (1, 2)


def test_what_was_taken_out_of_the_log_during_the_reading_is_not_kept(scene):
    write(scene, 5)
    scene.world.flying.clear()
    feed = Feed(TOPIC, compacted=False, most=4, most_bytes=1 << 20)
    feed.begin(Position(scene.world.epoch, 5))
    since = scene.world.since

    async def meanwhile(*values):
        page = await since(*values)
        if feed.ring.base == 5 and not scene.world.floor:
            scene.world.trim(0)
            feed.forget()
        return page

    object.__setattr__(scene.hub.doors, "since", meanwhile)
    scene.run(scene.hub.start())
    assert scene.run(scene.hub.upkeep.missed.bring(feed, 2, LIMIT)) is False
    assert feed.missed(0) == []


def test_what_follows_a_revocation_is_given_only_when_that_was_handled(scene):
    """Revoked between its own yes and the reading that it shares."""
    write(scene, 3)
    revoked, spared = crowd(scene, [0, 0])
    authorise = scene.world.authorise

    async def meanwhile(user, topic):
        answer = await authorise(user, topic)
        if scene.world.top == 3:
            scene.world.revoke("user0")
            write(scene, 20)
        return answer

    object.__setattr__(scene.hub.doors, "authorise", meanwhile)
    come(scene, [revoked, spared])
    assert spared.rows == [p.entry for p in scene.world.log]
    assert revoked.errors == [Error.PERMISSION_DENIED]
    assert scene.hub.control_offset == 1


def test_a_database_that_is_away_is_told_to_all_who_wait():
    scene = Scene(ring_size=4)
    write(scene, 20)
    scene.world.flying.clear()
    clients = crowd(scene, [5, 5, 6])
    scene.client("somebody")

    async def away(*values):
        raise ConnectionError

    since, door = scene.hub.doors.since, scene.hub.doors
    object.__setattr__(door, "since", away)
    come(scene, clients)
    assert [client.errors for client in clients] == [[Error.INTERNAL]] * 3
    object.__setattr__(door, "since", since)
    come(scene, clients)
    assert all(client.rows == [p.entry for p in scene.world.log] for client in clients)
    scene.close()


def test_one_who_was_away_for_too_long_spoils_it_for_nobody():
    """Below the floor nothing can be read: it has the rows, and the others what they missed."""
    scene = Scene(ring_size=4)
    entries = write(scene, 40)
    scene.world.flying.clear()
    scene.world.trim(30)
    asked = rows_asked(scene)
    clients = crowd(scene, [3, 20, 20, 21])
    come(scene, clients)
    assert all(sorted(client.rows) == entries for client in clients)
    assert asked == ["user0"]
    assert readings(scene) in ([3, 20], [20, 3], [20])
    scene.close()


def test_a_compacted_log_is_shared_as_well():
    scene = Scene(World(latest=True), ring_size=4)
    for number in range(40):
        scene.world.write(f"key{number % 7}")
    scene.world.move()
    scene.world.flying.clear()
    scene.world.compact()
    clients = crowd(scene, [0, 0, 0])
    for client in clients:
        client.rows = []
        client.position = Position(scene.world.epoch, 20)
    come(scene, clients)
    assert all(client.rows == list(range(34, 41)) for client in clients)
    assert readings(scene) == [20]
    scene.close()


def test_it_is_kept_while_they_come_and_not_for_long_after(scene):
    write(scene, 40)
    scene.world.flying.clear()
    [first] = crowd(scene, [5])
    come(scene, [first])
    ring = scene.hub.feeds[TOPIC].ring
    for _ in range(4):
        scene.loop.pass_time(3)
        scene.world.asked.clear()
        [one] = crowd(scene, [5])
        come(scene, [one])
        assert readings(scene) == []
        one.leave()
    scene.loop.pass_time(7)
    assert len(ring) == 8
    assert not ring.covers(5)


def test_what_is_kept_of_all_topics_together_is_bounded():
    scene = Scene(ring_size=1, missed_bytes=3000)
    write(scene, 40)
    feeds = [Feed(TOPIC, compacted=False, most=1, most_bytes=1 << 20) for _ in range(5)]
    scene.run(scene.hub.start())
    for feed in feeds:
        feed.begin(Position(scene.world.epoch, 40))
        assert scene.run(scene.hub.upkeep.missed.bring(feed, 30, LIMIT))
    assert sum(feed.ring.more_bytes for feed in feeds) <= 3000
    assert feeds[-1].ring.covers(30)
    assert not feeds[0].ring.covers(30)
    scene.close()


def test_a_topic_that_is_lost_meanwhile_gives_nothing(scene):
    [client] = crowd(scene, [0])
    write(scene, 20)
    scene.world.flying.clear()
    since = scene.world.since

    async def meanwhile(*values):
        scene.hub.lose(scene.hub.feeds[TOPIC], "a test")
        return await since(*values)

    object.__setattr__(scene.hub.doors, "since", meanwhile)
    come(scene, [client])
    assert client.errors == [Error.INTERNAL]
    assert client.told == []


def test_between_two_long_answers_others_are_served():
    scene = Scene(World(limit=60))
    entries = write(scene, 60)
    scene.world.flying.clear()
    clients = crowd(scene, [9] * 5)
    seen = []

    async def watch():
        while not all(client.subscribed for client in clients):
            seen.append(sum(client.subscribed for client in clients))
            await asyncio.sleep(0)

    async def both():
        await asyncio.gather(watch(), *(client.subscribe() for client in clients))

    scene.run(both())
    assert {1, 2, 3, 4} <= set(seen)
    assert all(client.rows == entries for client in clients)
    scene.close()
