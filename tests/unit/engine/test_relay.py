"""The relay over a leader that is only told what to do."""

import asyncio
import threading

from structlog.testing import capture_logs

from realtime.engine import relay as module
from realtime.engine.conf import settings
from realtime.engine.leader.life import Life
from realtime.engine.leader.steps import Step
from realtime.engine.outbox import Moved, Reset
from realtime.engine.relay import Relay
from realtime.protocol.messages import Publication
from tests.live import ForgetfulWitness, RememberingBroker, eventually


def moved(topic, offset, entry=0):
    return Moved(topic, "E", Publication(offset, "{}", "1", "u", entry, 0))


class GoneError(Exception):
    pass


class Keeper:
    def trim(self):
        return 0

    collect = trim


class Scripted:
    """Gives the steps of its script, then sleeps; an exception in it is raised."""

    errors = (GoneError,)
    retention = Keeper()

    def __init__(self, *script, leads=(True,), life=("a", 5)):
        self.script = list(script)
        self.leads = list(leads)
        self.life = Life(*life)
        self.said = []

    def lead(self):
        return self.leads.pop(0) if len(self.leads) > 1 else self.leads[0]

    def begin(self):
        return self.life, False

    def renew(self):
        self.said.append("renew")

    def renew_if_asked(self):
        self.said.append("renew if asked")

    def recent(self):
        return []

    def step(self, limit, wait_s):
        what = self.script.pop(0) if self.script else Step([])
        if isinstance(what, threading.Event):
            what.wait()
            raise GoneError("cut")
        if isinstance(what, Exception):
            raise what
        return what

    def interrupt(self):
        self.said.append("interrupt")

    abandon = interrupt

    def close(self):
        self.said.append("close")


async def relayed(leader, until, witness=None, **options):
    broker = RememberingBroker()
    relay = Relay(leader, broker, witness or ForgetfulWitness(), **options)
    task = asyncio.create_task(relay.run())
    await eventually(lambda: until(broker))
    relay.stop()
    await task
    return broker


async def test_a_topic_gets_one_batch_in_order_and_a_reset_its_new_epoch():
    step = Step([moved("a:1", 1), moved("a:1", 2), moved("b:1", 7)])
    reset = Step([], Reset("a", "F", ("a:1", "a:2")))
    broker = await relayed(Scripted(step, reset), lambda b: len(b.resets) == 2)
    assert broker.offsets("a:1") == [1, 2]
    assert broker.offsets("b:1") == [7]
    assert broker.resets == [("a:1", "F"), ("a:2", "F")]


async def test_a_lost_database_is_logged_once_and_tried_again(monkeypatch):
    monkeypatch.setattr(module, "BACKOFF_MAX_S", 0.001)
    leader = Scripted(*[GoneError("gone\nfor now")] * (module.STUCK + 2), Step([moved("a:1", 1)]))
    with capture_logs() as lines:
        await relayed(leader, lambda b: b.published)
    troubles = [(x["event"], x["error"]) for x in lines if "error" in x]
    assert troubles == [("relay.lost_database", "gone for now"), ("relay.stuck", "gone for now")]
    assert leader.said.count("close") == module.STUCK + 3


async def test_a_database_that_is_silent_loses_its_connection(monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 0.3)
    silent = threading.Event()
    leader = Scripted(silent, Step([moved("a:1", 1)]))
    leader.abandon = silent.set
    with settings.override(RELAY_POLL_S=0.0), capture_logs() as lines:
        broker = await relayed(leader, lambda b: b.published)
    assert broker.offsets("a:1") == [1]
    said = [line["event"] for line in lines if line["log_level"] == "warning"]
    assert said == ["database.silent", "relay.lost_database"]


async def test_what_is_slow_has_longer_the_next_time_whatever_is_answered_meanwhile(monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 0.02)
    monkeypatch.setattr(module, "TRIM_S", 0.0)
    monkeypatch.setattr(module, "BACKOFF_MAX_S", 0.001)
    silent, leader = threading.Event(), Scripted()
    leader.abandon = silent.set
    leader.retention = Keeper()

    def trim():
        silent.wait()
        silent.clear()
        raise GoneError("cut")

    leader.retention.trim = trim
    with settings.override(RELAY_POLL_S=0.0), capture_logs() as lines:
        await relayed(leader, lambda _: any(line.get("after_s") == 0.08 for line in lines))


async def test_a_standby_says_so_once_and_leads_when_it_can():
    leader = Scripted(Step([moved("a:1", 1)]), leads=(False, False, True))
    with capture_logs() as lines:
        await relayed(leader, lambda b: b.published)
    said = [line["event"] for line in lines if line["log_level"] == "info"]
    assert said == ["relay.standby", "relay.leading", "relay.stopped"]


async def test_new_epochs_when_asked_for_or_behind_the_witness_and_only_then():
    for witness, options, renewed in (
        (ForgetfulWitness(4), {}, 0),
        (ForgetfulWitness(5), {}, 0),
        (ForgetfulWitness(6), {}, 1),
        (ForgetfulWitness(0), {"new_epoch": True}, 1),
    ):
        leader = Scripted(Step([moved("a:1", 1)]))
        await relayed(leader, lambda b: b.published, witness, **options)
        assert leader.said.count("renew") == renewed
        # else the next one to lead would begin anew again
        assert witness.told[0] == ("a", 5)


async def test_the_witness_hears_how_far_the_outbox_has_got():
    witness = ForgetfulWitness()
    leader = Scripted(Step([moved("a:1", 1, 9)], highest=9))
    await relayed(leader, lambda b: ("a", 9) in witness.told, witness)


async def test_a_watch_runs_while_it_leads():
    ran = []

    async def watch():
        try:
            ran.append("begun")
            await asyncio.Event().wait()
        finally:
            ran.append("ended")

    await relayed(Scripted(), lambda b: ran, watch=watch)
    await eventually(lambda: ran == ["begun", "ended"])
