"""The threads of the engine ask the database as long as the process lives, and by no request."""

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.backends.signals import connection_created

from realtime.engine import conf, pool, rpc
from realtime.protocol.messages import Returned

pytestmark = pytest.mark.django_db(transaction=True)


async def test_debugging_keeps_no_query_for_ever(settings):
    settings.DEBUG = True

    @pool.awaitable
    def ask():
        Group.objects.count()
        return len(connection.queries_log), connection.queries_log

    asked, kept = await ask()

    assert asked == 1
    assert not kept


def slow(call):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(2)")
    return {"done": True}


@pytest.mark.postgresql
async def test_a_method_of_an_application_may_ask_as_long_as_it_may_take(monkeypatch):
    monkeypatch.setitem(rpc._methods, "slow", slow)
    ada = await pool.awaitable(User.objects.create)(username="ada")
    with conf.settings.override(RPC_S=20.0, DATABASE_ANSWER_S=0.01):
        assert await rpc.answer(str(ada.pk), "client", "slow", None) == Returned('{"done":true}')


async def test_what_an_application_puts_on_a_connection_stays_there():
    """As programs do that measure statements."""
    asked = []

    def note(execute, text, *values):
        asked.append(text)
        return execute(text, *values)

    def put_on(connection, **_):
        connection.execute_wrappers.append(note)

    @pool.awaitable
    def ask():
        Group.objects.count()
        return [wrapper for wrapper in connection.execute_wrappers if wrapper is not note]

    pool.close()
    connection_created.connect(put_on)
    try:
        first, second = await ask(), await ask()
    finally:
        connection_created.disconnect(put_on)
        pool.close()
    assert len(first) == len(second)
    assert len(asked) == 2
