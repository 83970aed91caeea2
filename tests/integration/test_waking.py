"""No wake-up is lost: a writer and a leader, each stopped at every instant that matters.

Two real sessions and the real triggers; the test decides who is next, so nothing depends on luck.
Each rule of the waking (correctness.md, section 2) is left out once, and must be missed.
"""

import contextlib
import itertools
import select
from types import SimpleNamespace

import pytest

from realtime.engine.leader import postgresql
from realtime.engine.leader.desk import PostgresqlDesk
from realtime.engine.leader.postgresql import NAP_MAX_S, WAKE_LOCK, PostgresqlLeader
from tests.app.models import Quote
from tests.live import raw

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

MOVE, FLAG, LOOK, SLEEP, ASLEEP = INSTANTS = range(5)
# the writer writes at one instant and commits at the same or a later one
SCRIPTS = list(itertools.combinations_with_replacement(INSTANTS, 2))
A_CHANGE = f"INSERT INTO {Quote._meta.db_table} (symbol, price) VALUES ('BTC', 1)"
ANEW = f"DELETE FROM {Quote._meta.db_table}; DELETE FROM tocsin_entry"


class Stage:
    """A leader asked to sleep for an hour, and a writer who acts at two of its instants."""

    def __init__(self, monkeypatch, script, *, patience_s):
        self.writer = raw()
        self.todo = list(zip(script, ("BEGIN", "COMMIT"), strict=True))
        self.patience_s = patience_s
        self.slept_in_vain = False
        self.leader = PostgresqlLeader()
        self.leader.desk = Desk(self)
        monkeypatch.setattr(self.leader, "_sleep", self.sleep)
        monkeypatch.setattr(postgresql, "select", SimpleNamespace(select=self.select))

    def at(self, instant):
        while self.todo and self.todo[0][0] <= instant:
            _, act = self.todo.pop(0)
            self.writer.execute(act)
            if act == "BEGIN":
                self.writer.execute(A_CHANGE)

    def sleep(self, seconds):
        if seconds <= NAP_MAX_S:
            return  # somebody writes just now: it looks again at once
        self.at(SLEEP)
        PostgresqlLeader._sleep(self.leader, seconds)

    def select(self, waited, *_):
        self.at(ASLEEP)
        heard = select.select(waited, [], [], self.patience_s)[0]
        self.slept_in_vain |= not heard

    def play(self):
        """The topics moved by the end; a leader that naps meets the rest of the script later."""
        moved = []
        for _ in range(3):
            self.at(MOVE)
            moved += self.leader.step(100, wait_s=3600).moved
            if moved:
                break
        self.at(ASLEEP)
        moved += self.leader.step(100, wait_s=3600).moved if not moved else []
        return {one.topic for one in moved}


class Desk(PostgresqlDesk):
    def __init__(self, stage):
        super().__init__()
        self._stage = stage

    def ask(self, name, **params):
        if name == "try_lock" and params["lock"] == WAKE_LOCK:
            self._stage.at(FLAG)
        elif name == "probe":
            self._stage.at(LOOK)
        return super().ask(name, **params)


@pytest.fixture
def stages(monkeypatch):
    """Sets a stage with a leader of this moment; all of them are cleared at the end."""
    with contextlib.ExitStack() as at_the_end:

        def begin(script, patience_s):
            stage = Stage(monkeypatch, script, patience_s=patience_s)
            at_the_end.callback(stage.leader.close)
            assert stage.leader.lead()
            return stage

        yield begin


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_change_at_any_instant_wakes_the_leader_or_keeps_it_awake(stages, script):
    stage = stages(script, patience_s=15)
    assert stage.play() == {"quotes:BTC", "quotes:all"}
    assert not stage.slept_in_vain


def without_the_second_look(stage, monkeypatch):
    ask = stage.leader.desk.ask
    monkeypatch.setattr(
        stage.leader.desk,
        "ask",
        lambda name, **params: [] if name == "probe" else ask(name, **params),
    )


def without_listening(stage, monkeypatch):
    stage.leader.desk.connection.execute("UNLISTEN *")


def listening_only_once_it_sleeps(stage, monkeypatch):
    stage.leader.desk.connection.execute("UNLISTEN *")
    look = stage.select

    def listen_and_look(*waited):
        stage.at(ASLEEP)
        stage.leader.desk.connection.execute("LISTEN tocsin")
        look(*waited)

    monkeypatch.setattr(postgresql, "select", SimpleNamespace(select=listen_and_look))


def without_the_lock_as_the_flag(stage, monkeypatch):
    monkeypatch.setattr(stage.leader, "_lock", lambda lock: True)


@pytest.mark.parametrize(
    "leave_out",
    [
        without_the_second_look,
        without_listening,
        listening_only_once_it_sleeps,
        without_the_lock_as_the_flag,
    ],
)
def test_with_any_rule_left_out_some_change_would_be_slept_through(stages, monkeypatch, leave_out):
    for script in SCRIPTS:
        stage = stages(script, patience_s=0.2)
        leave_out(stage, monkeypatch)
        stage.play()
        stage.leader.close()
        raw().execute(ANEW)
        if stage.slept_in_vain:
            return
    pytest.fail("nothing was slept through")
