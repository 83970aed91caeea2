"""A trigger dropped by hand is reported and put back; another release's are left alone."""

import pytest
from django.db import connection
from structlog.testing import capture_logs

from realtime.engine import triggers
from realtime.engine.leader import watchdog
from tests.live import raw

pytestmark = pytest.mark.django_db(transaction=True)


def drop_one():
    name = next(trigger for trigger in triggers.wanted())
    on = f' ON "{name.table}"' if connection.vendor == "postgresql" else ""
    raw().execute(f'DROP TRIGGER "{name.name}"{on}')


def test_a_lost_trigger_comes_back_and_a_person_hears_of_it():
    triggers.install()
    drop_one()
    with capture_logs() as lines:
        watchdog.look()
    said = [line["event"] for line in lines if line["log_level"] in {"error", "warning"}]
    # and a new epoch: what was written meanwhile nobody captured
    assert (said[0], said[-1]) == ("triggers.missing", "triggers.repaired")
    assert triggers.missing() == []


def test_triggers_of_another_release_are_reported_and_left(monkeypatch):
    faults = ['trigger "a" on b is left over', 'trigger "c" on b is missing']
    monkeypatch.setattr(triggers, "missing", lambda: faults)
    monkeypatch.setattr(triggers, "install", lambda: pytest.fail("it installed"))
    with capture_logs() as lines:
        watchdog.look()
    assert [line["event"] for line in lines] == ["triggers.missing"]
