"""The same data to any topics: what each of them takes, and what is said of the others."""

import base64
import json
from types import SimpleNamespace

import pytest
from django.db import DatabaseError

from realtime.engine import broadcasting, passing, placing, requests, topics
from realtime.engine.broadcasting import Said
from realtime.engine.conf import settings
from realtime.engine.exceptions import BadRequest, NotAvailable, UnknownTopic
from realtime.engine.passing import Seen
from realtime.engine.placing import Placed
from realtime.protocol.messages import Position

KEPT, PASSED, ROWS = "talk:1", "room:1", "quotes:all"
KEY = 3
BYTES = base64.b64encode(b"\xff").decode()


class Outside:
    """The log and the broker; `deaf`: topics where nobody is reached."""

    def __init__(self):
        self.kept, self.sent, self.deaf = [], [], set()
        self.words, self.taken_back = set(), []
        self.seen, self.marks = Seen(0), []

    async def look(self):
        return self.seen

    async def send(self, name, message):
        self.sent.append((name, message.data, message.blob))
        self.marks.append(message.mark)
        return name not in self.deaf

    async def place(self, names, data, about, word):
        self.kept += [(name, data, about) for name in names]
        return [Placed(name, 0, Position("e", n)) for n, name in enumerate(names, 1)]

    async def claim(self, names, word):
        said = {(word.key, word.text, name) for name in names}
        fresh, self.words = said - self.words, self.words | said
        return frozenset(name for _, _, name in fresh)

    async def disclaim(self, name, word):
        self.words.discard((word.key, word.text, name))
        self.taken_back.append(name)


@pytest.fixture
def outside(monkeypatch):
    outside = Outside()
    monkeypatch.setattr(placing, "aplace", outside.place)
    monkeypatch.setattr(placing, "aclaim", outside.claim)
    monkeypatch.setattr(placing, "adisclaim", outside.disclaim)
    monkeypatch.setattr(passing, "alook", outside.look)
    return outside


def request(*channels, **said):
    said = said or {"data": {"a": 1}}
    return requests.read("broadcast", json.dumps({"channels": channels, **said}).encode())


async def broadcast(outside, *channels, **said):
    asked = request(*channels, **said)
    return await broadcasting.broadcast(outside, asked, topics.match, KEY)


def answers(found):
    return [type(one) if isinstance(one, Exception) else one.topic for one in found]


async def test_each_topic_takes_it_in_its_own_way_and_is_answered_in_order(outside):
    found = await broadcast(outside, PASSED, KEPT, "nowhere:1", "talk:2", "chat:1")
    assert answers(found) == [PASSED, KEPT, UnknownTopic, "talk:2", "chat:1"]
    assert [one.position.offset for one in found if isinstance(one, Placed)] == [0, 1, 2, 0]
    assert outside.kept == [(KEPT, '{"a": 1}', None), ("talk:2", '{"a": 1}', None)]
    assert outside.sent == [(PASSED, '{"a": 1}', None), ("chat:1", '{"a": 1}', None)]


async def test_where_no_log_is_meant_nothing_is_put_into_one(outside):
    found = await broadcast(outside, KEPT, PASSED, data=1, skip_history=True)
    assert answers(found) == [KEPT, PASSED]
    assert outside.kept == []
    assert [name for name, *_ in outside.sent] == [KEPT, PASSED]


async def test_of_no_topics_none_is_answered(outside):
    assert await broadcast(outside) == []
    assert outside.kept == outside.sent == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"data": 1}, [KEPT, PASSED, "chat:1", NotAvailable]),
        ({"data": None}, [KEPT, PASSED, "chat:1", NotAvailable]),
        ({"b64data": BYTES}, [BadRequest, PASSED, BadRequest, NotAvailable]),
        ({"b64data": BYTES, "skip_history": True}, [BadRequest, PASSED, BadRequest, NotAvailable]),
        ({"b64data": "WzFd"}, [KEPT, PASSED, "chat:1", NotAvailable]),
    ],
    ids=str,
)
async def test_what_a_topic_does_not_take_fails_for_it_alone(outside, said, expected):
    assert answers(await broadcast(outside, KEPT, PASSED, "chat:1", ROWS, **said)) == expected


async def test_who_is_not_reached_is_told_of_and_the_others_have_it(outside):
    outside.deaf.add("room:2")
    found = await broadcast(outside, PASSED, "room:2", KEPT)
    assert [str(one) for one in found if isinstance(one, Exception)] == ["nobody was reached"]
    assert answers(found)[0::2] == [PASSED, KEPT]
    assert outside.taken_back == []


async def test_it_carries_the_mark_of_the_revocations_before_it(outside):
    outside.seen = Seen(7)
    await broadcast(outside, PASSED, KEPT, "room:2")
    assert outside.marks == [7, 7]


async def test_it_is_not_sent_ahead_of_a_revocation_that_has_no_number_yet(outside):
    outside.seen = Seen(7, frozenset([3]))
    with settings.override(PENDING_WAIT_S=0.0):
        found = await broadcast(outside, PASSED, KEPT, data=1, idempotency_key="once")
    assert answers(found)[1:] == [KEPT]
    assert "revocations" in str(found[0])
    assert outside.sent == []
    outside.seen = Seen(8)
    await broadcast(outside, PASSED, data=1, idempotency_key="once")
    assert [name for name, *_ in outside.sent] == [PASSED]


async def test_a_database_that_fails_leaves_nothing_said_that_was_not_sent(outside, monkeypatch):
    said = {"data": 1, "idempotency_key": "once"}

    async def fail():
        raise DatabaseError

    with monkeypatch.context() as down:
        down.setattr(passing, "alook", fail)
        with pytest.raises(DatabaseError):
            await broadcast(outside, PASSED, **said)
    assert outside.sent == []
    assert answers(await broadcast(outside, PASSED, **said)) == [PASSED]
    assert [name for name, *_ in outside.sent] == [PASSED]


async def test_what_was_said_before_is_sent_again_only_where_it_came_to_nothing(outside):
    outside.deaf.add("room:2")
    said = {"data": 1, "idempotency_key": "once"}
    await broadcast(outside, PASSED, "room:2", **said)
    assert outside.taken_back == ["room:2"]
    outside.deaf.clear()
    outside.sent.clear()
    found = await broadcast(outside, PASSED, "room:2", **said)
    assert answers(found) == [PASSED, "room:2"]
    assert [name for name, *_ in outside.sent] == ["room:2"]


async def test_another_word_is_another_publication(outside):
    for word in ("one", "two", ""):
        await broadcast(outside, PASSED, data=1, idempotency_key=word)
    assert len(outside.sent) == 3


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"tags": {}}, "`data` is missing"),
        ({"b64data": "?"}, "no base64"),
        ({"data": "x" * 9}, "11 bytes; at most 10"),
        ({"data": 1, "b64data": base64.b64encode(b"\xff" * 11).decode()}, "11 bytes; at most 10"),
    ],
    ids=["none", "no base64", "long", "long bytes"],
)
async def test_what_no_topic_can_take_is_refused_as_a_whole(outside, said, why):
    with settings.override(PUBLISH_BYTES=10), pytest.raises(BadRequest, match=why):
        await broadcast(outside, KEPT, PASSED, **said)
    assert outside.kept == outside.sent == []


def test_versions_are_not_kept_here():
    with pytest.raises(NotAvailable, match="version"):
        Said(request(KEPT, data=1, version=2))


def test_tags_go_with_it():
    said = Said(request(PASSED, data=1, tags={"lang": "de"}))
    assert json.loads(said.passing(PASSED, 0).about) == {"tags": {"lang": "de"}}


def test_a_size_is_counted_in_bytes():
    raw = SimpleNamespace(
        data='"ééé"'.encode(), b64data=None, version=None, tags=None, skip_history=None
    )
    with settings.override(PUBLISH_BYTES=8):
        assert Said(raw).text == '"ééé"'
    with settings.override(PUBLISH_BYTES=7), pytest.raises(BadRequest, match="8 bytes"):
        Said(raw)
