"""The cache counts for all processes, and a missing Redis holds nobody up."""

import time

import pytest
import structlog
from django.conf import settings

from project.cache import Cache

NOWHERE = "unix:///nowhere/redis.sock?db=0"


@pytest.fixture
def shared():
    cache = Cache(settings.REDIS_URL, {"KEY_PREFIX": "test-cache"})
    cache.clear()
    return cache


def test_two_processes_see_the_same_count(shared):
    other = Cache(settings.REDIS_URL, {"KEY_PREFIX": "test-cache"})
    shared.set("logins", 1)
    assert other.incr("logins") == 2
    assert shared.get("logins") == 2
    assert not other.add("logins", 0)
    assert shared.touch("logins", 60)
    assert shared.delete("logins")
    assert other.get("logins", "none") == "none"


def test_without_redis_a_process_counts_by_itself():
    cache = Cache(NOWHERE, {})
    began = time.monotonic()
    with structlog.testing.capture_logs() as events:
        cache.set("logins", 1)
        cache.incr("logins")
        assert cache.get("logins") == 2
    assert time.monotonic() - began < 15
    assert [event["event"] for event in events] == ["cache.degraded"]


def test_redis_is_asked_again_when_it_is_back(shared, monkeypatch):
    monkeypatch.setattr("project.cache.AGAIN_S", 0.0)
    cache = Cache(NOWHERE, {"KEY_PREFIX": "test-cache"})
    cache.set("a", "alone")
    cache._redis = shared._redis
    assert cache.get("a") is None
