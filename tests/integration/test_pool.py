"""The threads of the engine ask the database as long as the process lives, and by no request."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from realtime.engine import pool

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
