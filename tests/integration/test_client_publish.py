"""What a client publishes is kept before it is told so, and in the order it was said."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore

from realtime.engine.broker import Broker
from realtime.engine.conf import settings
from tests import live, realtime
from tests.realtime import connected, in_database, running_hub

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def key():
    ada = await in_database(get_user_model().objects.create_user, "ada", password="ada")
    return await in_database(realtime.sign_in, ada)


def told(reply):
    return [publication["data"] for publication in reply["history"]["publications"]]


async def history(client, topic):
    return told(await client.ask(history={"channel": topic, "limit": -1}))


async def test_who_is_told_that_it_is_published_finds_it_in_the_history(key):
    async with running_hub(), live.relaying(Broker()), connected(key) as client:
        for number in range(5):
            said = await client.ask(publish={"channel": "talk:a", "data": {"n": number}})
            assert said["publish"] == {}
            assert await history(client, "talk:a") == [{"n": n} for n in range(number + 1)]


async def test_what_is_said_at_once_keeps_its_order(key):
    async with running_hub(), live.relaying(Broker()), connected(key) as client:
        frames = [{"id": 100 + n, "publish": {"channel": "talk:a", "data": n}} for n in range(10)]
        await client.wire.send("\n".join(map(json.dumps, frames)))
        for number in range(10):
            await client.until(lambda n=number: client.reply(100 + n))
        assert await history(client, "talk:a") == list(range(10))


@pytest.mark.postgresql
async def test_without_a_relay_it_is_answered_all_the_same_and_comes_later(key):
    async with running_hub(), connected(key) as client:
        with settings.override(PENDING_WAIT_S=0.05):
            said = await client.ask(publish={"channel": "talk:a", "data": 1})
        assert said["publish"] == {}
        assert await history(client, "talk:a") == []
        await client.subscribe("talk:a")
        async with live.relaying(Broker()):
            await client.until(lambda: client.publications("talk:a"))
        assert await history(client, "talk:a") == [1]


async def test_what_may_not_be_published_leaves_nothing(key):
    async with running_hub(), live.relaying(Broker()), connected(key) as client:
        said = await client.ask(publish={"channel": "talk:closed", "data": 1})
        assert said["error"]["code"] == 103
        assert await history(client, "talk:closed") == []


@pytest.mark.postgresql
async def test_what_no_log_keeps_is_not_passed_on_ahead_of_a_revocation(key):
    grace = await in_database(get_user_model().objects.create_user, "grace", password="grace")
    gone = await in_database(realtime.sign_in, grace)
    async with running_hub(), connected(key) as client, connected(gone) as revoked:
        for one in (client, revoked):
            await one.subscribe("room:any")
        await in_database(SessionStore(gone).flush)
        say = {"channel": "room:any", "data": 1}
        with settings.override(PENDING_WAIT_S=0.05):
            said = await client.ask(publish=say)
        assert said["error"]["code"] == 100
        async with live.relaying(Broker()):
            assert (await client.ask(publish=say))["publish"] == {}
            await client.until(lambda: client.publications("room:any"))
            await revoked.ended()
        assert revoked.publications("room:any") == []
