"""A topic that the server subscribes a client to, whatever the client does meanwhile."""

import json

import pytest

from realtime.engine import orders
from tests.unit.engine.test_connection import Scene, Wire
from tests.unit.engine.world import TOPIC

GIFT = orders.Subscribe(user="5", topic=TOPIC, info="1", data="[]")


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.close()


@pytest.fixture
def wire(scene):
    wire = Wire(scene.loop, scene.hub)
    wire.say({"id": 1, "connect": {}})
    return wire


def soon(scene, *calls):
    async def run():
        for call in calls:
            call()

    scene.loop.run_until_complete(run())


def gifts(wire):
    return [m["push"]["subscribe"] for m in wire.heard if "subscribe" in m.get("push", {})]


def offsets(wire):
    return [m["push"]["pub"]["offset"] for m in wire.heard if "pub" in m.get("push", {})]


def members(scene):
    feed = scene.hub.feeds.get(TOPIC)
    return list(feed.members) if feed else []


def test_a_given_topic_is_told_before_its_publications(scene, wire):
    soon(scene, lambda: wire.connection.subscribe(GIFT))
    scene.loop.pass_time(0.1)
    assert len(gifts(wire)) == 1
    scene.write()
    assert offsets(wire) == [1]
    [member] = members(scene)
    assert (member.vouched, member.info) == (True, "1")


def test_a_topic_given_twice_or_held_already_is_told_once(scene, wire):
    soon(scene, *[lambda: wire.connection.subscribe(GIFT)] * 2)
    scene.loop.pass_time(0.1)
    soon(scene, lambda: wire.connection.subscribe(GIFT))
    scene.loop.pass_time(0.1)
    assert len(gifts(wire)) == 1
    assert len(members(scene)) == 1


def test_a_client_that_subscribes_meanwhile_has_its_own_subscription(scene, wire):
    asked = json.dumps({"id": 2, "subscribe": {"channel": TOPIC}})
    soon(
        scene,
        lambda: wire.connection.subscribe(GIFT),
        lambda: wire.connection.receive(asked),
    )
    scene.loop.pass_time(0.1)
    [member] = members(scene)
    assert scene.hub.rights.register.members(wire.connection) == [member]
    scene.write()
    assert offsets(wire) == [1]
    assert len(gifts(wire)) + sum(m.get("id") == 2 and "subscribe" in m for m in wire.heard) == 1


def test_what_is_taken_back_at_once_never_comes(scene, wire):
    soon(
        scene,
        lambda: wire.connection.subscribe(GIFT),
        lambda: wire.connection.unsubscribe(TOPIC),
    )
    scene.loop.pass_time(0.1)
    assert gifts(wire) == []
    assert members(scene) == []


def test_a_connection_that_ends_leaves_nothing_behind(scene, wire):
    soon(scene, lambda: wire.connection.subscribe(GIFT), lambda: wire.connection.lost(1006))
    scene.loop.pass_time(0.1)
    assert members(scene) == []
    assert gifts(wire) == []


def test_who_has_not_connected_yet_is_given_nothing(scene):
    wire = Wire(scene.loop, scene.hub)
    soon(scene, lambda: wire.connection.subscribe(GIFT))
    scene.loop.pass_time(0.1)
    assert members(scene) == []


def test_a_topic_that_cannot_be_had_is_not_given(scene, wire):
    scene.world.broken = True
    soon(scene, lambda: wire.connection.subscribe(GIFT))
    scene.loop.pass_time(5)
    assert gifts(wire) == []
    assert members(scene) == []
    soon(scene, lambda: wire.connection.subscribe(orders.Subscribe(user="5", topic="no:where")))
    scene.loop.pass_time(0.1)
    assert gifts(wire) == []
