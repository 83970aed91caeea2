"""What every test that really commits begins with: an empty outbox and log, and no threads left."""

import os

import pytest
from hypothesis import settings

from realtime.engine import pool
from tests import live

# a build judges the change and not the day's luck: new examples are looked for on people's machines
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _log(request):
    marker = request.node.get_closest_marker("django_db")
    if marker is None or not marker.kwargs.get("transaction"):
        yield
        return
    request.getfixturevalue("transactional_db")
    live.empty()
    yield
    live.close_programs()
    pool.close()
