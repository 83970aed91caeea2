"""A trigger dropped by hand is reported and put back; another release's are left alone."""

import pytest
from django.db import OperationalError, connection
from structlog.testing import capture_logs

from realtime.engine import triggers
from realtime.engine.leader import watchdog
from tests.live import raw

pytestmark = pytest.mark.django_db(transaction=True)


def drop_one():
    name = next(trigger for trigger in triggers.wanted())
    on = f' ON "{name.table}"' if connection.vendor == "postgresql" else ""
    raw().execute(f'DROP TRIGGER "{name.name}"{on}')
    return connection.ops.quote_name(name.table)


def test_a_lost_trigger_comes_back_and_a_person_hears_of_it():
    triggers.install()
    drop_one()
    with capture_logs() as lines:
        watchdog.look()
    said = [line["event"] for line in lines if line["log_level"] in {"error", "warning"}]
    # and a new epoch: what was written meanwhile nobody captured
    assert (said[0], said[-1]) == ("triggers.missing", "triggers.repaired")
    assert triggers.missing() == []


@pytest.mark.postgresql
def test_a_repair_that_would_wait_for_a_long_transaction_holds_no_other_writer_up(monkeypatch):
    monkeypatch.setattr(watchdog, "LOCK_S", 1)
    triggers.install()
    table = drop_one()
    long = raw()
    long.execute("BEGIN")
    long.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")  # as whoever has written has it
    with pytest.raises(OperationalError, match="lock timeout"):
        watchdog.look()
    other = raw()
    other.execute("SET lock_timeout = '1s'")
    other.execute("BEGIN")
    other.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
    other.execute("ROLLBACK")
    long.execute("ROLLBACK")
    watchdog.look()
    assert triggers.missing() == []


def test_triggers_of_another_release_are_reported_and_left(monkeypatch):
    faults = ['trigger "a" on b is left over', 'trigger "c" on b is missing']
    monkeypatch.setattr(triggers, "missing", lambda: faults)
    monkeypatch.setattr(triggers, "install", lambda: pytest.fail("it installed"))
    with capture_logs() as lines:
        watchdog.look()
    assert [line["event"] for line in lines] == ["triggers.missing"]
