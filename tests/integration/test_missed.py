"""A crowd comes back at once: the database is asked as little as if a few had come."""

import asyncio
import threading

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.backends.signals import connection_created

from realtime.engine import pool, sql
from realtime.engine.conf import settings
from tests import live, realtime
from tests.realtime import connected, in_database, running_hub

pytestmark = pytest.mark.django_db(transaction=True)
TOPIC = "everything:all"
CROWD, MISSED = 60, 200
# connections: the test's own, the relay's
OTHERS = 2


class Questions:
    """What the event loop's threads ask the database, and over how many connections."""

    def __init__(self):
        self.asked, self.connections = [], 0
        self._lock = threading.Lock()

    def count(self, connection, **_):
        with self._lock:
            self.connections += 1
        connection.execute_wrappers.append(self._note)

    def _note(self, execute, text, params, many, context):
        with self._lock:
            self.asked.append(text)
        return execute(text, params, many, context)


@pytest.fixture
def questions():
    pool.close()  # connections of before are not counted
    found = Questions()
    connection_created.connect(found.count)
    yield found
    connection_created.disconnect(found.count)


def crowd():
    users = [get_user_model()(username=f"user{number}") for number in range(CROWD)]
    return [realtime.sign_in(user) for user in get_user_model().objects.bulk_create(users)]


def publish(count):
    program = live.raw()
    for number in range(count):
        live.write(program, TOPIC, {"n": number}, key=str(number))


async def come_back(key, position):
    async with connected(key) as client:
        return (await client.subscribe(TOPIC, position))["subscribe"]


async def test_a_crowd_that_comes_back_costs_one_reading_of_the_log(questions):
    keys = await in_database(crowd)
    with settings.override(RING_SIZE=MISSED // 2):
        async with running_hub(), live.relaying():
            publish(MISSED + 1)
            [(epoch,)] = await live.eventually(
                lambda: live.ask(
                    f"SELECT epoch FROM tocsin_head WHERE topic = '{TOPIC}'"
                    f' AND "offset" = {MISSED + 1}'
                )
            )
            questions.asked.clear()
            position = {"epoch": epoch, "offset": 1}
            replies = await asyncio.gather(*(come_back(key, position) for key in keys))
    for reply in replies:
        assert reply["recovered"]
        offsets = [publication["offset"] for publication in reply["publications"]]
        assert offsets == list(range(2, MISSED + 2))
    assert questions.asked.count(sql.read(connection.vendor, "stream")) == 1
    assert questions.connections <= settings.DATABASE_THREADS + OTHERS
