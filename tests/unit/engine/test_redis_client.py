"""Nobody waits for Redis: it answers in time, or it is as if it were not there."""

import asyncio
import time

import pytest
from redis.exceptions import ConnectionError as NoConnectionError

from realtime.engine import redis_client
from realtime.engine.conf import settings
from realtime.engine.exceptions import Unavailable
from realtime.engine.redis_client import within


async def said(words):
    return words


async def failing(error):
    raise error


async def test_an_answer_is_handed_on():
    assert await within(said("yes")) == "yes"


async def test_an_answer_that_takes_too_long_is_not_waited_for():
    with settings.override(BROKER_TIMEOUT_S=0.05):
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await within(asyncio.Event().wait())
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("error", [NoConnectionError("refused"), OSError("no route")])
async def test_whatever_redis_says_wrong_is_one_error(error):
    with pytest.raises(Unavailable):
        await within(failing(error))


async def test_a_server_that_is_not_there_is_asked_once(settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
    client = redis_client.connect()
    with pytest.raises(Unavailable):
        await within(client.ping())
    await client.aclose()
