"""What other programs are told of the state of things."""

import json

import pytest
from django.test import RequestFactory

from realtime.engine import state, views
from realtime.engine.conf import settings

LEADER = state.Process("here", 1, None)


@pytest.mark.parametrize(
    ("now", "status", "told"),
    [
        (state.Relay(LEADER, 0, 100, 0.0, ""), 200, ("ok", "ok", "ok")),
        (state.Relay(LEADER, 0, 101, 0.0, ""), 200, ("degraded", "behind", "ok")),
        (state.Relay(LEADER, 0, 0, 0.0, "refused"), 200, ("degraded", "ok", "down")),
        (state.Relay(None, 0, 101, 0.0, ""), 503, ("down", "down", "ok")),
    ],
    ids=["all is well", "the outbox has grown", "without Redis", "nobody leads"],
)
def test_a_probe_is_told_what_stands_in_the_way(monkeypatch, now, status, told):
    monkeypatch.setattr(state, "relay", lambda: now)
    with settings.override(OUTBOX_ENTRIES=100):
        answer = views.readyz(RequestFactory().get("/readyz"))
    found = json.loads(answer.content)
    assert answer.status_code == status
    assert (found["status"], found["relay"], found["redis"]) == told
