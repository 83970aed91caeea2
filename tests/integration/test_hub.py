"""The whole way in one process: a row is written, a client hears of it."""

import asyncio
import json

import pytest
from django.contrib.auth import get_user_model

from realtime.engine.broker import Broker
from realtime.notifications import actions
from realtime.notifications.models import Notification
from tests import live, realtime
from tests.realtime import connected, in_database, opened, running_hub

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", password="ada")


@pytest.fixture
def grace():
    return get_user_model().objects.create_user("grace", password="grace")


@pytest.fixture
def key(ada):
    return realtime.sign_in(ada)


@pytest.fixture
async def way():
    """Hub and relay in this loop, with a real Redis between them."""
    async with running_hub() as hub, live.relaying(Broker()):
        yield hub


def notify(user, title):
    return in_database(actions.notify, user, "alert", title, "", "")


def titles(client, topic):
    return [pub["data"]["body"]["title"] for pub in client.publications(topic)]


async def test_a_reader_starts_from_the_rows_and_hears_what_follows(ada, key, way):
    await notify(ada, "before")
    topic = f"inbox:#{ada.pk}"
    async with connected(key) as client:
        reply = await client.subscribe(topic)
        start = reply["subscribe"]
        assert [row["body"]["title"] for row in start["data"]["rows"]] == ["before"]
        assert start["data"]["counts"] == {"unread": 1, "unseen": 1}
        assert start["recoverable"]
        assert start["positioned"]
        await notify(ada, "after")
        await client.until(lambda: client.publications(topic))
        [publication] = client.publications(topic)
        assert publication["offset"] == start["offset"] + 1
        assert publication["data"]["op"] == "i"
        assert publication["data"]["body"]["title"] == "after"
        assert publication["data"]["counts"] == {"unread": 1, "unseen": 1}


async def test_a_reader_who_was_away_recovers_what_it_missed(ada, key, way):
    topic = f"inbox:#{ada.pk}"
    async with connected(key) as client:
        start = (await client.subscribe(topic))["subscribe"]
    await notify(ada, "one")
    await notify(ada, "two")
    position = {"epoch": start["epoch"], "offset": start.get("offset", 0)}
    async with connected(key) as client:
        reply = (await client.subscribe(topic, position))["subscribe"]
        assert reply["recovered"]
        assert reply["was_recovering"]
        assert "data" not in reply
        missed = [pub["data"]["body"]["title"] for pub in reply.get("publications", [])]
        await notify(ada, "three")
        # the relay may not have come round to "two" when the client was back
        await client.until(lambda: len(missed + titles(client, topic)) >= 3)
        assert missed + titles(client, topic) == ["one", "two", "three"]


async def test_a_position_of_another_epoch_starts_anew(ada, key, way):
    topic = f"inbox:#{ada.pk}"
    await notify(ada, "one")
    async with connected(key) as client:
        reply = (await client.subscribe(topic, {"epoch": "zzzzzzzz", "offset": 0}))["subscribe"]
        assert reply.get("recovered", False) is False
        assert reply["was_recovering"]
        assert len(reply["data"]["rows"]) == 1


@pytest.mark.parametrize(
    ("topic", "code"), [("inbox:#{other}", 103), ("nowhere:1", 102), ("inbox:#x%zz", 107)]
)
async def test_nobody_hears_what_is_not_theirs(grace, key, way, topic, code):
    async with connected(key) as client:
        reply = await client.subscribe(topic.format(other=grace.pk))
        assert reply["error"]["code"] in {code, 102 if code == 107 else code}


async def test_a_sign_out_cuts_the_connection(ada, key, way):
    topic = f"inbox:#{ada.pk}"
    async with connected(key) as client:
        await client.subscribe(topic)
        await in_database(realtime.sign_out, key)
        await notify(ada, "too late")
        assert await client.ended() == 3503
        assert client.pushes("disconnect") == [{"code": 3503, "reason": "force disconnect"}]
        assert client.publications(topic) == []


async def test_a_deactivated_person_is_cut_off(ada, key, way):
    topic = f"inbox:#{ada.pk}"
    async with connected(key) as client:
        await client.subscribe(topic)
        await in_database(get_user_model().objects.filter(pk=ada.pk).update, is_active=False)
        await notify(ada, "too late")
        assert await client.ended() == 3503
        assert client.publications(topic) == []


async def test_a_sign_in_elsewhere_disturbs_nobody(ada, key, way):
    topic = f"inbox:#{ada.pk}"
    async with connected(key) as client:
        await client.subscribe(topic)
        await in_database(realtime.sign_out, await in_database(realtime.sign_in, ada))
        await notify(ada, "still here")
        await client.until(lambda: client.publications(topic))
        assert titles(client, topic) == ["still here"]


async def test_a_stranger_may_not_connect_where_nothing_is_open_to_all(way):
    async with opened("x" * 32) as client:
        reply = await client.connect()
        assert reply["error"]["code"] == 101


async def test_without_an_origin_the_cookie_counts_for_nothing(key, way):
    async with opened(key, origin="") as client:
        assert (await client.connect())["error"]["code"] == 101


async def test_a_token_is_refused_as_long_as_there_are_none(key, way):
    async with opened(key) as client:
        await client.wire.send(json.dumps({"id": 1, "connect": {"token": "x"}}))
        assert await client.ended() == 3500


@pytest.mark.parametrize(
    "frame", ["rubbish", "\n", b"\x00\x01", '{"id":1,"subscribe":{"channel":"a:b"}}', "x" * 65_537]
)
async def test_what_cannot_be_read_ends_the_connection(key, way, frame):
    async with opened(key) as client:
        await client.wire.send(frame)
        assert await client.ended() == 3501
        assert client.pushes("disconnect") == [{"code": 3501, "reason": "bad request"}]


async def test_commands_behind_the_connect_in_one_frame_are_answered_in_order(ada, key, way):
    async with opened(key) as client:
        commands = [
            {"id": 1, "connect": {}},
            {"id": 2, "subscribe": {"channel": f"inbox:#{ada.pk}"}},
            {"id": 3, "subscribe": {"channel": "announcements:all"}},
        ]
        await client.wire.send("\n".join(map(json.dumps, commands)))
        await client.until(lambda: client.reply(2) and client.reply(3))
        assert client.heard[0]["id"] == 1
        assert client.reply(1)["connect"]["ping"] == 25


async def test_a_gap_that_redis_left_is_closed_from_the_log(ada, key):
    """The relay publishes nowhere: only the hub's clock can find what was committed."""
    topic = f"inbox:#{ada.pk}"
    async with running_hub(), live.relaying(), connected(key) as client:
        await client.subscribe(topic)
        for number in range(5):
            await notify(ada, str(number))
        await client.until(lambda: len(client.publications(topic)) == 5)
        assert titles(client, topic) == ["0", "1", "2", "3", "4"]


async def test_a_copy_brought_back_into_the_same_life_begins_new_epochs(ada, key, way):
    """Who was away would else come back to other values of the offsets it knows."""
    topic = f"inbox:#{ada.pk}"
    async with connected(key) as client:
        start = (await client.subscribe(topic))["subscribe"]
        for title in ("kept", "lost", "lost too"):
            await notify(ada, title)
        await client.until(lambda: len(client.publications(topic)) == 3)
        program = live.raw()
        program.execute(f"DELETE FROM tocsin_log WHERE topic = '{topic}' AND \"offset\" > 1")
        program.execute(f"UPDATE tocsin_head SET \"offset\" = 1 WHERE topic = '{topic}'")
        await client.until(lambda: client.pushes("unsubscribe", topic))
        assert client.pushes("unsubscribe", topic)[0]["code"] == 2500
    epoch = f"SELECT epoch FROM tocsin_head WHERE topic = '{topic}'"
    await live.eventually(lambda: live.ask(epoch) != [(start["epoch"],)])
    # that of the revocations is new as well: whoever is connected is sent to begin anew
    await live.eventually(lambda: way.control is None)
    async with connected(key) as client:
        away = {"epoch": start["epoch"], "offset": 1}
        reply = (await client.subscribe(topic, away))["subscribe"]
        assert not reply.get("recovered")
        assert len(reply["data"]["rows"]) == 3


MANY = 10_000
# the database writes them faster than the ORM
MANY_ROWS = f"""
INSERT INTO {Notification._meta.db_table} (recipient_id, title, created_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
SELECT %d, 'n' || i, CURRENT_TIMESTAMP FROM n
"""


async def test_ten_thousand_read_at_once_reach_an_open_page_one_by_one(ada, key, way):
    """No new epoch is needed above some number: who reads keeps up, who was away begins anew."""
    topic = f"inbox:#{ada.pk}"
    live.raw().execute(MANY_ROWS % ada.pk)
    await live.eventually(lambda: live.ask("SELECT count(*) FROM tocsin_entry") == [(0,)])
    async with connected(key) as client:
        start = (await client.subscribe(topic))["subscribe"]
        assert start["data"]["counts"]["unread"] == MANY
        reading = asyncio.create_task(in_database(actions.mark_all_read, ada))
        unread, heard = MANY, 0
        while heard < MANY:
            await client.until(lambda: client.publications(topic), deadline_s=60)
            publications = client.publications(topic)
            client.heard.clear()
            first = start["offset"] + heard + 1
            heard += len(publications)
            offsets = [pub["offset"] for pub in publications]
            assert offsets == list(range(first, start["offset"] + heard + 1))
            unread += sum(pub["data"]["counts"]["unread"] for pub in publications)
        assert unread == 0
        assert len(await reading) == MANY
    away = {"epoch": start["epoch"], "offset": start["offset"]}
    async with connected(key) as client:
        again = (await client.subscribe(topic, away))["subscribe"]
        assert not again.get("recovered")
        assert again["data"]["counts"]["unread"] == 0


async def test_an_unsubscribed_topic_is_silent_and_can_be_subscribed_again(ada, key, way):
    topic = f"inbox:#{ada.pk}"
    async with connected(key) as client:
        await client.subscribe(topic)
        await client.ask(unsubscribe={"channel": topic})
        await notify(ada, "unheard")
        for _ in range(3):
            assert "subscribe" in await client.subscribe(topic)
            await client.ask(unsubscribe={"channel": topic})
        assert client.publications(topic) == []
        assert (await client.subscribe(topic))["subscribe"]["data"]["counts"]["unread"] == 1


async def test_a_reader_in_the_middle_of_writes_ends_with_the_rows_as_they_are(ada, key, way):
    """Snapshot and publications, applied in order, are a fresh read; nothing comes twice."""
    topic = f"inbox:#{ada.pk}"

    async def write():
        for number in range(40):
            await notify(ada, str(number))
            if number % 3 == 0:
                await in_database(
                    Notification.objects.filter(recipient=ada, title=str(number)).delete
                )

    writing = asyncio.create_task(write())
    clients = []
    for _ in range(4):
        async with connected(key) as client:
            start = (await client.subscribe(topic))["subscribe"]
            rows = {row["key"]: row["body"] for row in start["data"]["rows"]}
            offset, heard = start.get("offset", 0), start["data"]["publications"]
            await client.until(lambda c=client: len(c.publications(topic)) >= 5 or writing.done())
            clients.append((start, rows, heard, list(client.publications(topic)), offset))
    await writing
    for _, rows, heard, pushed, offset in clients:
        offsets = [pub["offset"] for pub in pushed]
        assert offsets == list(range(offset + 1, offset + 1 + len(offsets)))
        for data in [*heard, *(pub["data"] for pub in pushed)]:
            if data["op"] == "i":
                assert data["key"] not in rows
                rows[data["key"]] = data["body"]
            elif data["op"] == "d":
                assert rows.pop(data["key"], None) is not None
