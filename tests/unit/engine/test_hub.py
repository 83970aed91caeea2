"""The hub brings every publication to every member, once and in order, or says that it cannot."""

import asyncio
import json
import random
from collections import defaultdict

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from realtime.engine import hub, orders
from realtime.engine.envelope import Batch, Movement, Passing
from realtime.engine.feed import SLICE
from realtime.engine.frames import Form
from realtime.engine.revocation import CONTROL, Event
from realtime.protocol.codec import binary, text
from realtime.protocol.codes import Disconnect, Unsubscribe
from realtime.protocol.messages import Publication
from tests import frames
from tests.unit.engine.world import TOPIC, FakeClient, Scene, World, write


def test_what_is_committed_reaches_every_member(scene):
    first, second = scene.client(), scene.client("grace")
    entries = write(scene, 3)
    scene.deliver_all()
    assert first.rows == second.rows == entries


def test_a_gap_is_closed_from_the_log(scene):
    client = scene.client()
    entries = write(scene) + write(scene) + write(scene)
    scene.deliver(scene.world.flying[-1])
    assert client.rows == entries


def test_repeated_and_reordered_batches_are_harmless(scene):
    client = scene.client()
    entries = write(scene) + write(scene) + write(scene)
    one, two, three = scene.world.flying
    scene.deliver(two, one, two, three, one)
    assert client.rows == entries


def test_a_lost_last_batch_is_found_by_the_clock(scene):
    client = scene.client()
    entries = write(scene)
    scene.loop.pass_time(1.1)
    assert client.rows == entries


def test_without_a_healthy_broker_the_log_is_looked_at_more_often(scene):
    client = scene.client()
    scene.world.broker.healthy = False
    scene.loop.pass_time(1.1)
    entries = write(scene)
    scene.loop.pass_time(0.3)
    assert client.rows == entries


def test_a_database_that_is_away_is_told_of_once(scene):
    client = scene.client()
    entries = write(scene)
    scene.world.broken = True
    with structlog.testing.capture_logs() as events:
        scene.loop.pass_time(30)
    assert [event["event"] for event in events] == ["audit.failed"]
    scene.world.broken = False
    scene.loop.pass_time(1.1)
    assert client.rows == entries


def test_rubbish_is_ignored_and_the_log_is_asked(scene):
    client = scene.client()
    entries = write(scene)
    future = Publication(99, "13", None, "i", 13, 0)
    scene.deliver(Batch(TOPIC, scene.world.epoch, (future,)))
    scene.deliver(Batch(TOPIC, "foreign0", (future,)))
    scene.deliver(Batch("nobody:1", "foreign0", (future,)))
    assert client.rows == entries


def test_a_burst_beyond_ring_and_page_arrives_whole(scene):
    client = scene.client()
    entries = write(scene, 100)
    scene.deliver_all()
    assert client.rows == entries


def test_a_trimmed_gap_ends_the_subscription_and_a_new_snapshot_heals_it(scene):
    client = scene.client()
    entries = write(scene, 20)
    scene.world.trim(3)
    scene.loop.pass_time(1.1)
    assert client.told == [Unsubscribe.INSUFFICIENT_STATE]
    scene.run(client.subscribe())
    assert client.rows == entries


def test_a_log_begun_anew_ends_the_subscription(scene):
    client = scene.client()
    write(scene)
    scene.world.reset()
    scene.deliver_all()
    assert client.told == [Unsubscribe.INSUFFICIENT_STATE]
    scene.run(client.subscribe())
    assert client.rows == []


def test_a_log_behind_what_was_delivered_is_distrusted(scene):
    """Restored into the same life: who is away would come back to other values of its offsets."""
    client = scene.client()
    write(scene, 5)
    scene.deliver_all()
    del scene.world.log[3:]
    scene.world.broken = True
    scene.loop.pass_time(1.1)
    scene.world.broken = False
    scene.loop.pass_time(1.1)
    assert client.told == [Unsubscribe.INSUFFICIENT_STATE]
    assert scene.world.distrusted == [(TOPIC, scene.world.epoch)]


def test_it_is_found_by_a_repair_as_well(scene):
    scene.client()
    write(scene, 5)
    scene.deliver_all()
    del scene.world.log[3:]
    scene.deliver(Batch(TOPIC, scene.world.epoch, (Publication(99, "13", None, "i", 13, 0),)))
    assert scene.world.distrusted == [(TOPIC, scene.world.epoch)]


def test_the_relay_is_asked_until_the_database_takes_the_question(scene):
    scene.client()
    write(scene, 5)
    scene.deliver_all()
    del scene.world.log[3:]
    ask, fails = scene.world.ask_renewal, [ConnectionError(), ConnectionError()]

    async def late(topic, epoch):
        if fails:
            raise fails.pop()
        await ask(topic, epoch)

    object.__setattr__(scene.hub.doors, "ask_renewal", late)
    scene.loop.pass_time(3)
    assert scene.world.distrusted == [(TOPIC, scene.world.epoch)]


def test_a_log_begun_anew_is_no_reason_for_distrust(scene):
    scene.client()
    write(scene, 5)
    scene.deliver_all()
    scene.world.reset()
    scene.deliver_all()
    scene.loop.pass_time(2)
    assert scene.world.distrusted == []


def test_one_revoked_hears_nothing_committed_after_it(scene):
    client, other = scene.client(), scene.client("grace")
    scene.world.revoke("ada")
    entries = write(scene)
    scene.deliver(scene.world.flying[-1])  # the revocation itself is lost
    assert client.told == [Unsubscribe.SERVER]
    assert client.rows == []
    assert other.rows == entries


def test_a_hold_ends_after_a_second_without_an_answer(scene):
    client = scene.client()
    scene.world.revoke("ada")
    scene.world.grant("ada")
    scene.world.move()
    scene.loop.pass_time(0.5)
    scene.deliver_all()
    scene.world.grant("ada")
    write(scene)

    async def handled_then_broken():
        answer = scene.hub.rights._authorise

        async def fail(*values):
            raise ConnectionError

        scene.hub.rights._authorise = fail
        scene.hub.take(scene.world.flying[-1])
        return answer

    scene.run(handled_then_broken())
    scene.loop.pass_time(1.2)
    assert client.told == [Unsubscribe.INSUFFICIENT_STATE]
    assert client.rows == []


def test_a_sign_out_closes_the_connection(scene):
    client = scene.client()
    scene.world.revoke("ada", session=True)
    write(scene)
    scene.deliver_all()
    assert client.closed is Disconnect.FORCE
    assert client.rows == []


def test_a_database_that_went_back_sends_everybody_away(scene):
    client = scene.client()
    scene.world.revoke("someone")
    scene.world.move()
    scene.deliver_all()
    scene.world.control_log.clear()
    scene.loop.pass_time(1.1)
    assert client.closed is Disconnect.SHUTDOWN
    assert scene.world.distrusted == [(CONTROL, scene.world.control_epoch)]


def test_revocations_trimmed_away_unread_send_everybody_away(scene):
    """What was trimmed may have concerned anybody: nothing is delivered on its far side."""
    client = scene.client()
    scene.world.revoke("ada")
    scene.world.revoke("someone")
    write(scene)
    scene.world.control_floor = 1
    scene.deliver_all()
    assert client.closed is Disconnect.SHUTDOWN
    assert client.rows == []


def test_who_comes_while_the_hub_restarts_is_asked_to_come_again(scene):
    """Its identity is of the former count of revocations, and nobody would begin the new one."""
    identify = scene.world.identify

    async def meanwhile(keys):
        scene.hub.restart("a test")
        return await identify(keys)

    scene.hub.rights._identify = meanwhile
    late = FakeClient(scene.world, scene.hub, "ada")
    scene.run(late.connect())
    assert late.closed == "refused for now"
    assert len(scene.hub.rights.register) == 0


def test_a_restart_sends_nobody_away_twice(scene):
    scene.client()
    scene.world.control_log += [Publication(n, "{}", None, "c", n, n) for n in (1, 2, 3)]
    scene.loop.pass_time(1.1)
    scene.world.control_log.clear()
    scene.loop.pass_time(1.1)
    again = scene.client()
    scene.world.revoke("someone")
    write(scene)
    scene.deliver_all()
    assert again.closed is None
    assert len(again.rows) == 1


def test_a_topic_nobody_listens_to_is_left_after_a_while(scene):
    client = scene.client()
    assert TOPIC in scene.world.broker.groups
    scene.call(client.leave)
    scene.loop.pass_time(3)
    assert TOPIC in scene.world.broker.groups
    scene.loop.pass_time(5)
    assert TOPIC not in scene.world.broker.groups
    scene.run(client.subscribe())
    assert TOPIC in scene.world.broker.groups


def test_rows_under_way_are_waited_for_and_do_not_come_twice(scene):
    entries = [scene.world.write(), scene.world.write()]
    client = FakeClient(scene.world, scene.hub, "ada")
    scene.run(client.connect())

    async def both():
        task = scene.loop.create_task(client.subscribe())
        await asyncio.sleep(0.3)
        scene.world.move(limit=1)
        entries.append(scene.world.write())
        scene.world.move()
        await task

    scene.run(both())
    scene.loop.pass_time(1.1)
    assert sorted(client.rows) == entries
    assert client.position.epoch == scene.world.epoch


def test_rows_whose_news_does_not_come_are_skipped_later_and_never_recovered(scene):
    entries = [scene.world.write()]
    client = scene.client()
    assert client.position.epoch.endswith("!")
    entries += write(scene)
    scene.loop.pass_time(1.1)
    assert client.rows == entries


def test_who_missed_little_is_recovered_from_the_ring(scene):
    stays, client = scene.client("grace"), scene.client()
    scene.call(client.leave)
    entries = write(scene, 3)
    scene.deliver_all()
    scene.world.asked.clear()
    scene.run(client.subscribe())
    assert client.rows == stays.rows == entries
    assert scene.world.asked == [("authorise", "ada")]


def test_a_drained_hub_sends_everybody_elsewhere(scene):
    clients = [scene.client() for _ in range(25)]
    scene.run(scene.hub.drain(5))
    assert {client.closed for client in clients} == {Disconnect.SHUTDOWN}
    assert scene.loop.now == pytest.approx(4, abs=0.5)


def test_more_members_than_are_served_at_once_all_get_everything(scene):
    clients = [scene.client() for _ in range(SLICE + 1)]
    entries = write(scene, 2)
    scene.deliver_all()
    assert all(client.rows == entries for client in clients)


def test_who_comes_and_goes_is_shown_and_told(scene):
    watcher, other = scene.client("grace"), scene.client()
    watcher.member.join_leave = True
    other.member.present = other.member.announced = True
    other.client, other.info, said = "c1", None, []
    watcher.push = lambda pushes: said.append(json.loads(pushes.frame(Form(text)))["push"])

    async def come_and_go():
        scene.hub.movements.note(other.member, came=True)
        here = await scene.hub.doors.presence.everybody(TOPIC)
        scene.hub.quit(other.member)
        await scene.hub.settled()
        return here

    assert list(scene.run(come_and_go())) == ["c1"]
    assert scene.world.presence.topics[TOPIC] == {}
    scene.deliver_all()
    assert [sorted(push.keys() - {"channel"}) for push in said] == [["join"], ["leave"]]


async def test_a_process_has_one_hub_from_its_first_connection_on():
    assert hub.running() is None
    assert hub.current() is hub.current() is hub.running()
    await hub.running().stop()


# --- The newest of each key: who has much to read gets less


def change(scene, key, op="u"):
    """A change, and its news."""
    entry = scene.world.write(key, op)
    scene.world.move()
    scene.deliver_all()
    return entry


def test_a_busy_reader_gets_the_newest_of_each_key_in_order_when_it_has_read():
    scene = Scene(World(latest=True))
    busy, healthy = scene.client(), scene.client("grace")
    busy.busy = True
    entries = [change(scene, *one) for one in ("a", "b", "a", "c", ("b", "d"), "c")]
    assert busy.rows == []
    assert healthy.rows == entries
    busy.busy = False
    scene.call(scene.hub.resume, busy)
    assert busy.rows == [entries[2], entries[4], entries[5]]
    assert scene.world.values(busy.rows) == {"a": entries[2], "c": entries[5]}
    entries.append(change(scene, "a"))
    assert busy.rows[-1] == healthy.rows[-1] == entries[-1]
    scene.close()


KEYS = st.tuples(st.sampled_from("abcd"), st.sampled_from("uud"))
BUSY, IDLE, LOST, COMPACT, AWAY = "busy", "idle", "lost", "compact", "away"


@given(st.lists(KEYS | st.sampled_from([BUSY, IDLE, LOST, COMPACT, AWAY]), max_size=40))
@settings(max_examples=100, deadline=None)
def test_however_slowly_it_reads_its_end_state_is_a_fresh_read(happenings):
    scene = Scene(World(latest=True), ring_size=4)
    slow = scene.client()
    for happening in happenings:
        if happening == BUSY:
            slow.busy = True
        elif happening == IDLE:
            slow.busy = False
            scene.call(scene.hub.resume, slow)
        elif happening == LOST:
            scene.world.move()
            scene.world.flying.clear()
        elif happening == COMPACT:
            scene.world.compact()
        elif happening == AWAY:
            scene.call(slow.leave)
            slow.busy = False
            scene.run(slow.subscribe())
        else:
            change(scene, *happening)
    slow.busy = False
    scene.call(scene.hub.resume, slow)
    scene.loop.pass_time(1.5)
    fresh = scene.client("grace")
    assert slow.told == []
    assert scene.world.values(slow.rows) == scene.world.values(fresh.rows)
    assert scene.world.values(fresh.rows) == scene.world.values(scene.world.changes)
    scene.close()


# --- All of it at any moment


def test_who_is_held_too_long_for_what_no_log_keeps_is_told(scene):
    client = scene.client()
    client.member.grant.raise_to(10**6)
    scene.hub.rights._hold(client.member)
    scene.deliver(*[Passing(TOPIC, str(n)) for n in range(scene.hub.tuning.ring_size + 1)])
    assert client.told == [Unsubscribe.INSUFFICIENT_STATE]


@pytest.fixture
def passers(scene):
    """Clients who write down what no log keeps, by user."""
    heard = defaultdict(list)
    for user in ("ada", "grace"):
        client = scene.client(user)
        client.push = lambda pushes, user=user: heard[user].extend(
            reply["push"]["pub"]["data"] for reply in frames.replies(pushes.frame(Form(text)))
        )
        heard[f"client of {user}"] = client
    return heard


def test_what_no_log_keeps_comes_after_the_revocations_before_it(scene, passers):
    scene.world.revoke("ada")
    scene.world.move()
    scene.world.flying.clear()  # that there is one the mark alone tells
    scene.deliver(Passing(TOPIC, "1"), Passing(TOPIC, "2", mark=1), Passing(TOPIC, "3"))
    scene.loop.pass_time(1.5)
    assert passers["ada"] == [1]
    assert passers["grace"] == [1, 2, 3]
    assert passers["client of ada"].told == [Unsubscribe.SERVER]


def test_what_waits_for_a_revocation_that_cannot_be_read_has_a_bound(scene, passers):
    scene.world.revoke("eve")
    scene.world.move()
    scene.world.broken = True
    most = scene.hub.tuning.ring_size

    async def take():
        for _ in range(most + 1):
            scene.hub.take(Passing(TOPIC, "1", mark=1))

    scene.run(take())
    assert passers["grace"] == []
    assert passers["client of grace"].told == [Unsubscribe.INSUFFICIENT_STATE]
    scene.world.broken = False


def test_joins_and_leaves_reach_who_asked_for_them(scene):
    client, other = scene.client(), scene.client("grace")
    heard = {"ada": [], "grace": []}
    for one in (client, other):
        one.push = lambda saying, one=one: heard[one.user].append(saying.frame(Form(text)))
    client.member.join_leave = True
    info = other.member.client_info
    scene.deliver(Movement(TOPIC, True, info), Movement(TOPIC, False, info))
    assert ["leave" in frame for frame in heard["ada"]] == [False, True]
    assert heard["grace"] == []


def test_a_message_goes_to_all_connections_of_its_user_and_waits_for_who_may_be_gone(scene):
    heard = []
    clients = [scene.client(user) for user in ("ada", "ada", "grace", "eve")]
    for client in clients:
        client.say = lambda data, client=client: heard.append((client.user, data))
    for user in ("ada", "eve"):
        scene.call(orders.obey, orders.Say(user=user, data="1"), scene.hub)
    assert heard == [("ada", "1")] * 2 + [("eve", "1")]
    scene.world.revoke("eve", session=True)
    scene.world.revoke("ada")  # a right of hers, but she is still who she is
    scene.world.move()

    async def revoke_and_say():
        scene.hub.rights.handle(Event("session", "eve"), 1)
        scene.hub.rights.handle(Event("user", "ada"), 2)
        for user in ("ada", "eve"):
            orders.obey(orders.Say(user=user, data="2"), scene.hub)
        assert heard[3:] == []
        await scene.hub.settled()

    scene.run(revoke_and_say())
    assert heard[3:] == [("ada", "2")] * 2


LATEST = 300.0


class HubMachine(RuleBasedStateMachine):
    """Whatever the layer, the log, the database and the administrators do at whatever moment.

    The clients check themselves that nothing comes twice, out of order, outside of a subscription
    or after the right was lost. Here: in the end they have it all, or were told.
    """

    def make_world(self, lots, delays):
        return World(lots, delays, limit=6)

    def all_of(self, rows):
        """What of its rows a client must have in the end."""
        return sorted(rows)

    @initialize(
        seed=st.integers(0, 2**16), slow=st.booleans(), ring_size=st.sampled_from([1, 3, 8])
    )
    def begin(self, seed, slow, ring_size):
        delays = (0, 0, 0.01, 0.3, 0.7) if slow else (0, 0, 0.01, 0.05)
        self.scene = Scene(self.make_world(random.Random(seed), delays), ring_size=ring_size)
        self.world, self.hub = self.scene.world, self.scene.hub
        self.clients = []
        self.someone_comes("ada", text, deltas=True)
        self.someone_comes("grace", binary, deltas=False)
        self.scene.loop.pass_time(3)

    @rule(
        user=st.sampled_from(["ada", "grace"]),
        codec=st.sampled_from([text, binary]),
        deltas=st.booleans(),
    )
    @precondition(lambda self: len(self.clients) < 4)
    def someone_comes(self, user, codec, deltas):
        client = FakeClient(self.world, self.hub, user, codec=codec, deltas=deltas)

        async def come():
            await client.connect()
            await client.subscribe()

        self.clients.append(client)
        client.joining = self.scene.loop.create_task(come())

    @rule(data=st.data())
    @precondition(lambda self: self.clients)
    def someone_subscribes_again(self, data):
        client = data.draw(st.sampled_from(self.clients))
        if client.joining.done() and client in self.hub.rights.register:
            client.joining = self.scene.loop.create_task(client.subscribe())

    @rule(data=st.data())
    @precondition(lambda self: self.clients)
    def someone_unsubscribes(self, data):
        self.scene.call(data.draw(st.sampled_from(self.clients)).leave)

    @rule(count=st.integers(1, 4))
    def rows_are_written(self, count):
        for _ in range(count):
            self.world.write()

    @rule(limit=st.integers(1, 5))
    def the_relay_moves(self, limit):
        self.world.move(limit)

    @rule(user=st.sampled_from(["ada", "grace"]), session=st.booleans())
    def a_right_is_lost(self, user, session):
        if not session or len(self.world.gone) == 0:
            self.world.revoke(user, session=session)

    @rule(user=st.sampled_from(["ada", "grace"]))
    def a_right_is_given(self, user):
        if user not in self.world.gone:
            self.world.grant(user)

    @rule(data=st.data(), again=st.booleans())
    @precondition(lambda self: self.world.flying)
    def a_message_arrives(self, data, again):
        message = data.draw(st.sampled_from(self.world.flying))
        if not again:
            self.world.flying.remove(message)
        self.scene.call(self.hub.take, message)

    @rule()
    def the_layer_forgets(self):
        self.world.flying.clear()

    @rule(keep=st.integers(0, 5))
    def the_log_is_trimmed(self, keep):
        self.world.trim(keep)

    @rule()
    def the_table_is_truncated(self):
        self.world.reset()

    @rule(limit=st.integers(1, 5))
    def rows_are_written_and_moved(self, limit):
        self.rows_are_written(limit)
        self.the_relay_moves(limit)

    @rule(seconds=st.sampled_from([0.02, 0.3, 1.5]))
    def the_database_is_away(self, seconds):
        self.world.broken = True
        self.scene.loop.pass_time(seconds)
        self.world.broken = False

    @rule(healthy=st.booleans())
    def redis_comes_and_goes(self, healthy):
        self.world.broker.healthy = healthy

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.3, 1.1]))
    def time_passes(self, seconds):
        self.scene.loop.pass_time(seconds)

    @invariant()
    def nobody_is_held_for_ever(self):
        now = self.scene.loop.now
        for client in getattr(self, "clients", ()):
            member = client.member
            assert not (member and member.deadline and now > member.deadline + 0.1)

    @invariant()
    def nobody_complains(self):
        if hasattr(self, "world"):
            assert self.world.complaints == []

    def behind(self):
        clients = [client for client in self.clients if client.subscribed]
        return any(self.all_of(c.rows) != self.all_of(self.world.rows) for c in clients)

    def teardown(self):
        if not hasattr(self, "scene"):
            return
        self.world.move(1000)
        self.scene.loop.pass_time(8)
        # a long gap in pages of six, each from a slow database, takes its (virtual) time
        while self.behind() and self.scene.loop.now < LATEST:
            self.scene.loop.pass_time(1)
        for client in self.clients:
            if client.subscribed:
                assert client.user not in self.world.denied | self.world.gone
                rows = self.all_of(client.rows)
                assert rows == self.all_of(self.world.rows), client.position
            assert client.joining.done()
            assert client.joining.exception() is None
        self.scene.close()


class NewestMachine(HubMachine):
    """The same where who comes back is brought the newest publication alone: in the end they have
    that one, and what came after they came back, came once.
    """

    def make_world(self, lots, delays):
        return World(lots, delays, limit=6, newest=True)

    def all_of(self, rows):
        return sorted(rows)[-1:]


HubMachine.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
NewestMachine.TestCase.settings = settings(HubMachine.TestCase.settings, max_examples=50)
test_anything_at_any_moment = HubMachine.TestCase
test_the_newest_at_any_moment = NewestMachine.TestCase
