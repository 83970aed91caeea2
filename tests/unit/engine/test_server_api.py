"""What programs are answered: a result for each method, or the protocol's error."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from realtime.engine import census, orders, passing, placing, server_api
from realtime.engine.census import Tally
from realtime.engine.conf import settings
from realtime.engine.exceptions import Unavailable
from realtime.engine.keys import METHODS, Key
from realtime.engine.openings import Excerpt
from realtime.engine.passing import Seen
from realtime.engine.placing import Placed
from realtime.engine.server_api import Api
from realtime.protocol.messages import ClientInfo, Position, Publication

TALK, ROOM, ROWS = "talk:1", "room:1", "quotes:all"
ANY = Key(3, frozenset(METHODS), ())
TOP = Position("e", 2)


class Outside:
    """What the server API asks of the world, and what became of it."""

    def __init__(self):
        self.placed, self.sent, self.given, self.forgotten = [], [], [], []
        self.asked, self.settled, self.askers = [], [], []
        self.found = Excerpt(True, TOP, 0, (Publication(2, "[1]", None, "p", 1, 0),))
        self.people = {"c-1": ClientInfo("c-1", "5")}
        self.tallies = []
        self.broken = None
        self.at_once = self.most = 0

    @property
    def hub(self):
        broker = SimpleNamespace(send=self.send)
        presence = SimpleNamespace(everybody=self.everybody, count=self.count)
        nodes = SimpleNamespace(everybody=self.nodes)
        doors = SimpleNamespace(
            broker=broker, presence=presence, excerpt=self.excerpt, census=nodes
        )
        return SimpleNamespace(doors=doors)

    async def _may(self):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.broken is not None:
            raise self.broken

    async def look(self):
        return Seen(0)

    async def send(self, name, message):
        self.sent.append((name, message.data))
        return True

    async def place(self, names, data, about, word):
        await self._may()
        first = len(self.placed) + 1
        self.placed += names
        return [Placed(name, n) for n, name in enumerate(names, first)]

    async def positions(self, placed):
        self.settled.append([one.entry for one in placed])
        return {
            one: Position("e", one.entry)
            for one in placed
            if one.entry and one.topic != "talk:late"
        }

    async def excerpt(self, *values, **how):
        self.asked.append((*values, how))
        await self._may()
        return self.found

    async def everybody(self, topic, asker=""):
        self.askers.append(asker)
        await self._may()
        return self.people

    async def count(self, topic, asker=""):
        self.askers.append(asker)
        await self._may()
        return len(self.people), 1

    async def nodes(self):
        await self._may()
        return self.tallies

    async def give(self, order):
        self.given.append(order)

    async def forget(self, topic):
        self.forgotten.append(topic)


@pytest.fixture
def outside(monkeypatch):
    outside = Outside()
    monkeypatch.setattr(placing, "aplace", outside.place)
    monkeypatch.setattr(placing, "positions", outside.positions)
    monkeypatch.setattr(passing, "alook", outside.look)
    monkeypatch.setattr(orders, "agive", outside.give)
    monkeypatch.setattr(orders, "aforget", outside.forget)
    return outside


@pytest.fixture
def ask(outside):
    async def ask(method, *, key=ANY, **request):
        return json.loads(await Api(outside.hub, key).answer(method, json.dumps(request).encode()))

    return ask


def code(reply):
    return reply["error"]["code"]


def key(*methods, prefixes=()):
    return Key(3, frozenset(methods), prefixes)


# --- Publish


async def test_what_is_published_is_answered_with_its_place(outside, ask):
    assert await ask("publish", channel=TALK, data=1) == {"result": {"offset": 1, "epoch": "e"}}
    assert outside.placed == [TALK]


@pytest.mark.parametrize("topic", [ROOM, "talk:late"])
async def test_without_a_number_it_is_published_all_the_same(ask, topic):
    assert await ask("publish", channel=topic, data=1) == {"result": {}}


async def test_a_broadcast_is_answered_topic_by_topic(ask):
    found = await ask("broadcast", channels=[TALK, "nowhere:1", ROOM], data=1)
    first, second, third = found["result"]["responses"]
    assert (first, third) == ({"result": {"offset": 1, "epoch": "e"}}, {"result": {}})
    assert code(second) == 102


async def test_a_key_publishes_to_its_topics_alone(outside, ask):
    only = key("publish", "broadcast", prefixes=("talk:",))
    assert code(await ask("publish", key=only, channel=ROOM, data=1)) == 103
    found = await ask("broadcast", key=only, channels=[TALK, ROOM], data=1)
    assert [list(one) for one in found["result"]["responses"]] == [["result"], ["error"]]
    assert code(await ask("publish", key=key("info"), channel=TALK, data=1)) == 103
    assert (outside.placed, outside.sent) == ([TALK], [])


async def test_a_broadcast_has_a_bound(outside, ask):
    with settings.override(API_COMMANDS=1):
        found = await ask("broadcast", channels=[TALK, ROOM], data=1)
    assert code(found) == 107
    assert "2 channels; at most 1" in found["error"]["message"]
    assert outside.placed == []


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("publish", b"{"),
        ("publish", b'{"channel":5}'),
        ("history", b"{}"),
        ("history", b'{"channel":"talk:1","since":{"offset":-1}}'),
        ("batch", b'{"commands":5}'),
        ("disconnect", b'{"user":""}'),
    ],
)
async def test_what_cannot_be_read_is_a_bad_request(outside, method, body):
    assert code(json.loads(await Api(outside.hub, ANY).answer(method, body))) == 107


async def test_a_database_that_is_away_is_an_error_for_now_and_tells_nothing(outside, ask):
    outside.broken = ConnectionError("host db-1 is away")
    with capture_logs() as lines:
        found = await ask("publish", channel=TALK, data=1)
    assert code(found) == 100
    assert "db-1" not in found["error"]["message"]
    assert [(line["event"], line["method"]) for line in lines] == [("api.failed", "publish")]


# --- Orders


@pytest.mark.parametrize(
    ("method", "request_", "order"),
    [
        ("disconnect", {}, orders.Disconnect),
        ("subscribe", {"channel": TALK}, orders.Subscribe),
        ("unsubscribe", {"channel": TALK}, orders.Unsubscribe),
        ("refresh", {}, orders.Expire),
        ("refresh", {"expired": True}, orders.Disconnect),
    ],
)
async def test_an_order_about_a_user_goes_to_all_hubs(outside, ask, method, request_, order):
    assert await ask(method, user="5", **request_) == {"result": {}}
    [given] = outside.given
    assert isinstance(given, order)
    assert given.user == "5"


@pytest.mark.parametrize(
    ("method", "request_", "number"),
    [
        ("subscribe", {"channel": "nowhere:1"}, 102),
        ("subscribe", {"channel": "items:a b"}, 107),
        ("subscribe", {"channel": TALK, "override": {"presence": {}}}, 108),
        ("disconnect", {"disconnect": {"code": 5, "reason": "x"}}, 107),
    ],
)
async def test_an_order_that_nobody_could_follow_is_refused(outside, ask, method, request_, number):
    assert code(await ask(method, user="5", **request_)) == number
    assert outside.given == []


async def test_an_order_about_a_topic_needs_a_key_for_it(outside, ask):
    only = key("subscribe", "disconnect", prefixes=("room:",))
    assert code(await ask("subscribe", key=only, user="5", channel=TALK)) == 103
    assert await ask("subscribe", key=only, user="5", channel=ROOM) == {"result": {}}
    assert await ask("disconnect", key=only, user="5") == {"result": {}}
    assert code(await ask("refresh", key=only, user="5")) == 103
    assert len(outside.given) == 2


# --- Of a topic


async def test_a_history_is_told_with_its_top(outside, ask):
    since = {"epoch": "e", "offset": 1}
    found = (await ask("history", channel=TALK, limit=5, since=since))["result"]
    assert (found["epoch"], found["offset"]) == ("e", 2)
    assert [(p["offset"], p["data"]) for p in found["publications"]] == [(2, [1])]
    [(user, match, position, limit, how)] = outside.asked
    assert (user, match.topic, position, limit) == ("", TALK, Position("e", 1), 5)
    assert how == {"reverse": False, "vouched": True}


@pytest.mark.parametrize(("limit", "rows"), [({}, 0), ({"limit": 11}, 10), ({"limit": -1}, 10)])
async def test_a_history_is_read_in_pages_of_bounded_length(outside, ask, limit, rows):
    with settings.override(HISTORY_LIMIT=10):
        await ask("history", channel=TALK, **limit)
    assert [asked[3] for asked in outside.asked] == [rows]


@pytest.mark.parametrize(
    ("method", "request_", "number"),
    [
        ("history", {"channel": ROOM}, 108),
        ("history", {"channel": TALK, "reverse": True, "since": {"epoch": "e"}}, 107),
        ("history_remove", {"channel": ROOM}, 108),
        ("history_remove", {"channel": ROWS}, 108),
        ("presence", {"channel": "items:1"}, 108),
        ("presence_stats", {"channel": "items:1"}, 108),
        ("presence", {"channel": "nowhere:1"}, 102),
    ],
)
async def test_what_a_topic_does_not_provide_for_is_refused(outside, ask, method, request_, number):
    assert code(await ask(method, **request_)) == number
    assert outside.asked == outside.forgotten == []


async def test_a_history_is_removed_where_there_is_one(outside, ask):
    assert await ask("history_remove", channel=TALK) == {"result": {}}
    assert outside.forgotten == [TALK]


async def test_the_questions_of_one_key_are_told_from_those_of_another(outside, ask):
    await ask("presence", channel=TALK)
    await ask("presence_stats", channel=TALK)
    [asker] = set(outside.askers)
    await ask("presence", key=Key(4, frozenset(METHODS), ()), channel=TALK)
    assert asker
    assert outside.askers[-1] not in {"", asker}


async def test_who_is_there_is_told(ask):
    found = await ask("presence", channel=TALK)
    assert found == {"result": {"presence": {"c-1": {"user": "5", "client": "c-1"}}}}
    stats = await ask("presence_stats", channel=TALK)
    assert stats == {"result": {"num_clients": 1, "num_users": 1}}


# --- Of all processes

TALLY = Tally("a", "web_1", "1.0", 60, 3, 2, 5, 2, {TALK: 3, ROOM: 2})


async def test_topics_are_counted_over_all_processes(outside, ask):
    outside.tallies = [TALLY, replace_tally(uid="b", topics={TALK: 1, "rooms:1": 1})]
    found = (await ask("channels"))["result"]["channels"]
    assert found == {
        ROOM: {"num_clients": 2},
        "rooms:1": {"num_clients": 1},
        TALK: {"num_clients": 4},
    }


def replace_tally(**changed):
    fields = {name: getattr(TALLY, name) for name in TALLY.__struct_fields__}
    return Tally(**fields | changed)


@pytest.mark.parametrize(
    ("pattern", "prefixes", "names"),
    [
        ("room*", (), [ROOM]),
        ("*:1", (), [ROOM, TALK]),
        ("", (), [ROOM, TALK]),
        ("[", (), []),
        ("talk", (), []),
        ("*", ("talk:",), [TALK]),
    ],
)
async def test_topics_are_told_by_pattern_and_to_whom_they_are_open(
    outside, ask, pattern, prefixes, names
):
    outside.tallies = [TALLY]
    found = await ask("channels", key=key("channels", prefixes=prefixes), pattern=pattern)
    assert list(found["result"]["channels"]) == names


async def test_more_topics_than_can_be_told_are_told_as_an_error(outside, ask):
    outside.tallies = [TALLY, replace_tally(topics=None)]
    found = await ask("channels")
    assert code(found) == 106
    assert str(census.TOPICS) in found["error"]["message"]


async def test_info_tells_of_each_process(outside, ask):
    outside.tallies = [TALLY]
    [node] = (await ask("info"))["result"]["nodes"]
    assert node == {
        "uid": "a",
        "name": "web_1",
        "version": "1.0",
        "uptime": 60,
        "num_clients": 3,
        "num_users": 2,
        "num_subs": 5,
        "num_channels": 2,
    }


@pytest.mark.parametrize("method", ["channels", "info"])
async def test_where_the_processes_do_not_hear_of_each_other_nobody_is_counted(
    outside, ask, method
):
    outside.broken = Unavailable()
    assert code(await ask(method)) == 100
    alone = SimpleNamespace(doors=SimpleNamespace(census=None))
    assert code(json.loads(await Api(alone, ANY).answer(method, b""))) == 100
    assert code(await ask(method, key=key("publish"))) == 103


# --- Batches


def published(topic=TALK):
    return {"publish": {"channel": topic, "data": 1}}


async def test_a_batch_is_answered_in_its_order_and_its_publishes_wait_together(outside, ask):
    commands = [published(), published("talk:2"), {"info": {}}, published(), {"nonsense": {}}]
    replies = (await ask("batch", commands=commands))["replies"]
    assert [next(iter(reply)) for reply in replies] == [
        "publish", "publish", "info", "publish", "error",
    ]  # fmt: skip
    places = [reply["publish"]["offset"] for reply in replies if "publish" in reply]
    assert places == [1, 2, 3]
    assert [waited for waited in outside.settled if waited] == [[1, 2], [3]]


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize(
    "wrong", [{}, {"no such": {}}, {"batch": {}}, {"info": {}, "channels": {}}, {"publish": 5}]
)
async def test_a_wrong_command_fails_alone(ask, parallel, wrong):
    found = await ask("batch", commands=[published(), wrong, published()], parallel=parallel)
    first, second, third = found["replies"]
    assert code(second) == 107
    assert "publish" in first
    assert "publish" in third


async def test_a_batch_at_once_is_answered_in_its_order_and_has_a_bound(outside, ask):
    commands = [{"presence_stats": {"channel": TALK}}, {"info": {}}] * server_api.AT_ONCE
    replies = (await ask("batch", commands=commands, parallel=True))["replies"]
    names = [next(iter(reply)) for reply in replies]
    assert names == ["presence_stats", "info"] * server_api.AT_ONCE
    assert outside.most == server_api.AT_ONCE


async def test_a_batch_has_a_bound(outside, ask):
    with settings.override(API_COMMANDS=1):
        assert code(await ask("batch", commands=[published()] * 2)) == 107
        assert len((await ask("batch", commands=[published()]))["replies"]) == 1
    assert outside.placed == [TALK]


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("method", ["history", "channels"])
async def test_the_answer_to_a_batch_has_a_bound_and_the_rest_is_not_done(
    outside, ask, parallel, method
):
    outside.tallies = [TALLY]
    asked = [{method: {"channel": TALK}}] * 30
    with settings.override(API_ANSWER_BYTES=100):
        found = await ask("batch", commands=[*asked, published()], parallel=parallel)
        alone = await ask(method, channel=TALK)
    told = [reply for reply in found["replies"] if method in reply]
    assert 1 <= len(told) < len(asked)
    assert code(found["replies"][-1]) == 106
    assert outside.placed == []
    assert "result" in alone


@pytest.mark.parametrize("word", ["a\0b", "x" * 256])
async def test_a_word_that_no_database_keeps_is_a_wrong_request(outside, ask, word):
    assert code(await ask("publish", channel=TALK, data=1, idempotency_key=word)) == 107
    assert outside.placed == []


async def test_an_empty_batch_has_no_replies(ask):
    assert await ask("batch", commands=[]) == {"replies": []}
