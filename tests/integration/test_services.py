"""The services of the test suite are the real ones."""

import pytest
from django.conf import settings
from django.db import connection

from tests import services


@pytest.mark.django_db
def test_the_database_is_the_one_asked_for():
    assert connection.vendor == services.database()


def test_redis_listens_on_a_private_socket_only():
    assert settings.REDIS_URL.startswith("unix://")
