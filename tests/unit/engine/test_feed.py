"""One topic in one process: what the log says, each once, in order, to every live member."""

import json

import pytest

from realtime.engine.envelope import Movement, Passing
from realtime.engine.feed import SLICE, Broken, Feed, MarkFell
from realtime.engine.frames import Form, Style
from realtime.engine.history import Page
from realtime.engine.members import Grant, Member, nobody
from realtime.protocol import filters
from realtime.protocol.codec import text
from realtime.protocol.commands import Node
from realtime.protocol.messages import ClientInfo, Position, Publication
from tests.frames import Undelta, replies
from tests.unit.engine.world import offsets_in

EPOCH = "epoch001"


class Listener:
    """A reader that only listens."""

    def __init__(self):
        self.busy = False
        self.person = nobody()
        self.client, self.info = "a client", None
        self.packets, self.styles, self.frames = [], [], []
        self.stop_after = None
        self.member = Member(self, "t:1", grant=Grant(covers=0), joined=True)

    def push(self, pushes, style=Style.PLAIN):
        self.packets.append(pushes)
        self.frames.append(pushes.frame(Form(text, style)))
        self.styles.append(style)
        if len(self.packets) == self.stop_after:
            self.member.ended = True
            self.member.live = False

    @property
    def offsets(self):
        return [offset for pushes in self.packets for offset in offsets_in(pushes)]


def pub(offset, key="a", *, mark=0, op="u", data="{}", entry=None):
    return Publication(offset, data, key, op, entry or offset, mark)


def page(*publications, top=None, whole=True, complete=True, epoch=EPOCH):
    offset = top if top is not None else publications[-1].offset
    return Page(Position(epoch, offset), publications, whole, 0, complete)


@pytest.fixture
def feed():
    return begun()


def begun(offset=0, *, compacted=False, most=8):
    feed = Feed("t:1", compacted=compacted, most=most, most_bytes=1 << 20)
    feed.begin(Position(EPOCH, offset))
    return feed


def listen(feed):
    listener = Listener()
    feed.add(listener.member)
    listener.member.offset = feed.offset
    assert feed.go(listener.member)
    return listener


def deliver(feed):
    while feed.deliver():
        pass


def pass_on(feed, publication):
    feed.aside.put(Passing(feed.topic, publication.data, publication.about))
    return feed.aside.pass_on(0)


def test_what_is_next_is_delivered_and_what_was_seen_is_not(feed):
    listener = listen(feed)
    feed.hear(EPOCH, [pub(1), pub(2)], 0)
    feed.hear(EPOCH, [pub(1), pub(2), pub(3)], 0)
    deliver(feed)
    assert listener.offsets == [1, 2, 3]
    assert not feed.dirty


@pytest.mark.parametrize(
    ("epoch", "rumour"),
    [(EPOCH, pub(3)), ("foreign", pub(2)), (EPOCH, pub(2, mark=3))],
    ids=["a gap", "another epoch", "a mark that fell"],
)
def test_what_does_not_follow_makes_the_log_the_judge(feed, epoch, rumour):
    listener = listen(feed)
    feed.hear(EPOCH, [pub(1, mark=4)], 4)
    feed.hear(epoch, [rumour], 4)
    deliver(feed)
    assert feed.dirty
    assert listener.offsets == [1]


def test_before_it_has_a_position_it_only_remembers_that_something_came():
    feed = Feed("t:1", compacted=False, most=8, most_bytes=100)
    feed.hear(EPOCH, [pub(5)], 0)
    assert feed.offset == 0
    assert feed.read(page(pub(5)), 0)
    feed.begin(Position(EPOCH, 5))
    assert not feed.dirty
    feed.begin(Position(EPOCH, 4))
    assert not feed.dirty
    again = Feed("t:1", compacted=False, most=8, most_bytes=100)
    again.hear(EPOCH, [pub(5)], 0)
    again.begin(Position(EPOCH, 4))
    assert again.dirty


def test_nothing_goes_out_before_the_revocations_its_mark_names(feed):
    listener = listen(feed)
    feed.hear(EPOCH, [pub(1), pub(2, mark=7)], 6)
    deliver(feed)
    assert listener.offsets == [1]
    assert feed.wanted_mark == 7
    feed.release(7)
    deliver(feed)
    assert listener.offsets == [1, 2]
    assert feed.wanted_mark == 0


def test_the_log_closes_a_gap_and_says_when_it_is_closed(feed):
    listener = listen(feed)
    assert not feed.read(page(pub(1), pub(2), top=3, complete=False), 0)
    assert feed.read(page(pub(2), pub(3)), 0)
    deliver(feed)
    assert listener.offsets == [1, 2, 3]


@pytest.mark.parametrize(
    "answer",
    [page(pub(2)), page(pub(1), epoch="another1"), page(top=9, whole=False, complete=False)],
    ids=["a hole", "another epoch", "trimmed"],
)
def test_a_log_that_does_not_continue_what_was_delivered_is_told(feed, answer):
    with pytest.raises(Broken):
        feed.read(answer, 0)


def test_a_mark_that_falls_in_the_log_is_told(feed):
    with pytest.raises(MarkFell):
        feed.read(page(pub(1, mark=5), pub(2, mark=4)), 9)


def test_what_waits_has_a_bound_and_the_rest_is_read_later():
    feed = begun(most=2)
    listener = listen(feed)
    feed.hear(EPOCH, [pub(n, mark=1) for n in (1, 2, 3)], 0)
    assert feed.full
    assert feed.dirty
    assert not feed.read(page(pub(3, mark=1)), 0)
    feed.release(1)
    deliver(feed)
    assert feed.read(page(pub(3, mark=1)), 1)
    deliver(feed)
    assert listener.offsets == [1, 2, 3]


def test_a_burst_waits_until_what_went_before_has_been_pushed():
    feed = begun(most=2)
    listener = listen(feed)
    feed.hear(EPOCH, [pub(1), pub(2)], 0)
    feed.hear(EPOCH, [pub(3)], 0)
    assert feed.offset == 2
    deliver(feed)
    feed.release(0)
    deliver(feed)
    assert listener.offsets == [1, 2, 3]


def test_whoever_waits_for_the_topic_to_move_is_woken_once(feed):
    woken = []
    feed.moved.append(lambda: woken.append(feed.offset))
    feed.hear(EPOCH, [pub(1, mark=1)], 0)
    assert woken == []
    feed.release(1)
    feed.hear(EPOCH, [pub(2)], 1)
    assert woken == [1]


def test_a_lost_topic_tells_who_must_hear_of_it_and_begins_anew(feed):
    listener, woken = listen(feed), []
    feed.hear(EPOCH, [pub(1)], 0)
    feed.moved.append(lambda: woken.append("woken"))
    assert feed.lose() == [listener.member]
    assert woken == ["woken"]
    assert listener.member.ended
    feed.release(0)
    deliver(feed)
    assert listener.offsets == []
    feed.begin(Position("another1", 40))
    assert (feed.offset, feed.members) == (40, set())


def test_one_that_is_held_goes_on_where_it_stood(feed):
    listener, other = listen(feed), listen(feed)
    feed.hold(listener.member)
    feed.hear(EPOCH, [pub(1), pub(2)], 0)
    deliver(feed)
    assert (listener.offsets, other.offsets) == ([], [1, 2])
    assert feed.go(listener.member)
    feed.hear(EPOCH, [pub(3)], 0)
    deliver(feed)
    assert listener.offsets == other.offsets == [1, 2, 3]


def test_one_behind_the_ring_needs_the_log():
    feed = begun(most=2)
    listener = listen(feed)
    feed.hold(listener.member)
    for n in range(1, 5):
        feed.hear(EPOCH, [pub(n)], 0)
        deliver(feed)
    assert not feed.go(listener.member)
    listener.member.offset = 2
    assert feed.go(listener.member)
    assert listener.offsets == [3, 4]


def test_what_its_rows_contain_comes_to_nobody_twice(feed):
    listener, other = listen(feed), listen(feed)
    listener.member.skip = {11}
    feed.hear(EPOCH, [pub(1, entry=11), pub(2, entry=12)], 0)
    deliver(feed)
    assert (listener.offsets, other.offsets) == ([2], [1, 2])
    assert listener.member.skip == set()


class Wants:
    """A filter that wants these offsets, which are in the tags."""

    def __init__(self, *offsets):
        self.offsets = {str(offset) for offset in offsets}

    def matches(self, tags):
        return tags["n"] in self.offsets


def tagged(offset):
    return Publication(offset, "{}", "a", "u", offset, 0, f'{{"tags":{{"n":"{offset}"}}}}')


def said(listener):
    return [
        (style, slot.offset)
        for pushes, style in zip(listener.packets, listener.styles, strict=True)
        for slot in pushes.slots
    ]


def test_a_difference_is_to_what_it_got_last_and_never_to_what_it_did_not_want(feed):
    listener = listen(feed)
    listener.member.deltas = True
    listener.member.filter = Wants(1, 2, 4)
    feed.hear(EPOCH, [tagged(n) for n in (1, 2, 3, 4)], 0)
    deliver(feed)
    assert said(listener) == [(Style.WHOLE, 1), (Style.DELTA, 2), (Style.WHOLE, 4)]


def test_nor_to_what_its_rows_contain(feed):
    listener, other = listen(feed), listen(feed)
    listener.member.deltas = other.member.deltas = True
    listener.member.skip = {2}
    feed.hear(EPOCH, [pub(1), pub(2)], 0)
    deliver(feed)
    feed.hear(EPOCH, [pub(3), pub(4)], 0)
    deliver(feed)
    assert said(listener) == [(Style.WHOLE, 1), (Style.WHOLE, 3), (Style.DELTA, 4)]
    assert said(other) == [(Style.WHOLE, 1), *((Style.DELTA, n) for n in (2, 3, 4))]


def test_thousands_are_served_in_slices_and_who_comes_meanwhile_gets_each_once(feed):
    listeners = [listen(feed) for _ in range(SLICE + 1)]
    feed.hear(EPOCH, [pub(1)], 0)
    assert feed.deliver()
    assert sum(bool(one.offsets) for one in listeners) == SLICE
    late = listen(feed)
    feed.hear(EPOCH, [pub(2)], 0)
    deliver(feed)
    assert {tuple(one.offsets) for one in listeners} == {(1, 2)}
    assert late.offsets == [2]


def test_who_ends_in_the_middle_of_a_delivery_gets_no_more(feed):
    listener = listen(feed)
    listener.stop_after = 1
    large = "x" * 50_000
    feed.hear(EPOCH, [pub(n, data=f'"{large}"') for n in (1, 2, 3)], 0)
    deliver(feed)
    assert listener.offsets == [1]
    behind = listen(feed)
    behind.stop_after, behind.member.offset = 1, 0
    feed.hold(behind.member)
    assert feed.go(behind.member)
    assert behind.offsets == [1]
    assert not behind.member.live


# --- What no log keeps


def test_what_is_kept_nowhere_goes_to_whoever_is_there_now(feed):
    here, held, coming = listen(feed), listen(feed), listen(feed)
    held.member.grant.raise_to(5)
    coming.member.joined = False
    pass_on(feed, pub(0))
    assert (here.offsets, held.offsets, coming.offsets) == ([0], [], [])


def test_only_who_asked_for_it_hears_who_comes_and_goes(feed):
    curious, other, held = listen(feed), listen(feed), listen(feed)
    curious.member.join_leave = held.member.join_leave = True
    held.member.grant.raise_to(5)
    feed.aside.announce(Movement("t:1", True, ClientInfo("someone", "7")))
    assert [len(listener.packets) for listener in (curious, other, held)] == [1, 0, 0]


# --- The newest of each key


def test_compacted_a_hole_in_the_log_is_none():
    feed = begun(compacted=True)
    listener = listen(feed)
    assert feed.read(page(pub(3, "a"), pub(5, "b"), top=6), 0)
    deliver(feed)
    assert listener.offsets == [3, 5]
    assert feed.offset == 6


def test_a_busy_reader_gets_the_newest_of_each_key_when_it_has_read():
    feed = begun(compacted=True)
    busy, healthy = listen(feed), listen(feed)
    busy.busy = True
    for change in (pub(1, "a"), pub(2, "b"), pub(3, "a"), pub(4, "b", op="d"), pub(5, "c")):
        feed.hear(EPOCH, [change], 0)
        deliver(feed)
    assert busy.offsets == []
    assert healthy.offsets == [1, 2, 3, 4, 5]
    busy.busy = False
    assert feed.go(busy.member)
    assert busy.offsets == [3, 4, 5]


def test_changes_of_one_moment_are_conflated_for_everybody():
    feed = begun(compacted=True)
    listener = listen(feed)
    feed.hear(EPOCH, [pub(1, "a"), pub(2, "b"), pub(3, "a")], 0)
    deliver(feed)
    assert listener.offsets == [2, 3]
    assert listener.member.offset == 3


def test_where_every_change_counts_a_busy_reader_gets_them_all(feed):
    listener = listen(feed)
    listener.busy = True
    feed.hear(EPOCH, [pub(1), pub(2)], 0)
    deliver(feed)
    assert listener.offsets == [1, 2]


def test_an_idle_topic_is_idle_no_more_when_somebody_comes(feed):
    feed.idle_since = 3.0
    feed.add(Listener().member)
    assert feed.idle_since is None


# --- What is said in another way --------------------------------------------------------------


def heard(listener):
    return [reply["push"] for frame in listener.frames for reply in replies(frame)]


def data_heard(listener):
    undelta = Undelta()
    return [undelta.data(push["pub"]).decode() for push in heard(listener)]


SAID = {n: json.dumps({"number": n, "text": "the same again and again " * 4}) for n in range(9)}


def tell(feed, *offsets):
    feed.hear(EPOCH, [pub(n, data=SAID[n]) for n in offsets], 0)
    deliver(feed)


def test_differences_give_the_true_data_whoever_came_when(feed):
    """One is there, one comes, one is held and misses the ring, one has rows ahead of the log."""
    there = listen(feed)
    there.member.deltas = True
    tell(feed, 1, 2)
    newcomer, ahead = listen(feed), listen(feed)
    newcomer.member.deltas = ahead.member.deltas = True
    ahead.member.skip = {4}
    feed.hold(newcomer.member)
    tell(feed, 3, 4, 5)
    feed.go(newcomer.member)
    tell(feed, 6)
    assert data_heard(there) == [SAID[n] for n in (1, 2, 3, 4, 5, 6)]
    assert data_heard(newcomer) == [SAID[n] for n in (3, 4, 5, 6)]
    assert data_heard(ahead) == [SAID[n] for n in (3, 5, 6)]
    assert [push["pub"].get("delta", False) for push in heard(there)] == [False, *[True] * 5]
    assert [push["pub"].get("delta", False) for push in heard(newcomer)] == [False, *[True] * 3]
    assert [push["pub"].get("delta", False) for push in heard(ahead)] == [False, False, True]


def test_what_no_log_keeps_is_the_base_of_no_difference(feed):
    listener = listen(feed)
    listener.member.deltas = True
    tell(feed, 1, 2)
    pass_on(feed, pub(0, data='{"in":"between"}'))
    tell(feed, 3, 4)
    assert data_heard(listener) == [SAID[1], SAID[2], '{"in":"between"}', SAID[3], SAID[4]]


def with_tags(offset, **tags):
    about = json.dumps({"tags": tags})
    return Publication(offset, str(offset), None, "p", offset, 0, about)


def test_who_filters_hears_what_it_wants_and_stands_where_all_stand(feed):
    one, other = listen(feed), listen(feed)
    one.member.filter = filters.build(Node(key="lang", cmp="eq", val="de"))
    feed.hear(EPOCH, [with_tags(1, lang="en"), with_tags(2, lang="de"), with_tags(3)], 0)
    deliver(feed)
    pass_on(feed, with_tags(0, lang="en"))
    pass_on(feed, with_tags(0, lang="de"))
    assert one.offsets == [2, 0]
    assert one.member.offset == other.member.offset == 3
    assert other.offsets == [1, 2, 3, 0, 0]


def test_one_that_is_held_hears_afterwards_what_no_log_keeps(feed):
    listener, coming = listen(feed), listen(feed)
    coming.member.joined = False
    listener.member.grant.raise_to(1)
    feed.hold(listener.member)
    assert pass_on(feed, pub(0, data="1")) == []
    assert listener.frames == []
    listener.member.grant.answered(1)
    pass_on(feed, pub(0, data="2"))
    feed.go(listener.member)
    pass_on(feed, pub(0, data="3"))
    assert [push["pub"]["data"] for push in heard(listener)] == [1, 2, 3]
    assert coming.frames == []


def test_one_that_is_held_for_too_much_is_to_be_told(feed):
    listener = listen(feed)
    listener.member.grant.raise_to(1)
    feed.hold(listener.member)
    full = [pass_on(feed, pub(0, data=str(n))) for n in range(9)]
    assert full == [[]] * 8 + [[listener.member]]


def test_one_that_ends_hears_no_more_of_what_was_kept_for_it(feed):
    listener = listen(feed)
    listener.member.grant.raise_to(1)
    feed.hold(listener.member)
    pass_on(feed, pub(0, data="1"))
    pass_on(feed, pub(0, data="2"))
    listener.stop_after = 1
    listener.member.grant.answered(1)
    feed.go(listener.member)
    assert len(listener.frames) == 1
    assert not listener.member.live


def test_who_comes_and_goes_is_told_as_it_is_said_on_the_wire(feed):
    curious, other = listen(feed), listen(feed)
    curious.member.join_leave = True
    curious.member.deltas = True
    info = ClientInfo("c1", "5")
    feed.aside.announce(Movement("t:1", True, info))
    feed.aside.announce(Movement("t:1", False, info))
    said = {"info": {"client": "c1", "user": "5"}}
    assert heard(curious) == [{"channel": "t:1", "join": said}, {"channel": "t:1", "leave": said}]
    assert other.frames == []
