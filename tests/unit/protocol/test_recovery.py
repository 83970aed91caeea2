"""Nothing is repeated, nothing is left out, or the reader is told."""

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from realtime.protocol.messages import Position, Publication, Subscribed
from realtime.protocol.recovery import Start, Verdict, give_up, judge, merge, newest, recover

E = "abcdefgh"
LIMIT = 4


def pub(offset, entry=None):
    return Publication(offset, f'{{"n":{offset}}}', "5", "u", offset if entry is None else entry, 0)


def pubs(*offsets):
    return tuple(pub(offset) for offset in offsets)


# --- judge ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epoch", "offset", "verdict"),
    [
        (E, 6, Verdict.NEXT),
        (E, 5, Verdict.SEEN),
        (E, 1, Verdict.SEEN),
        (E, 7, Verdict.GAP),
        ("other", 6, Verdict.OTHER_EPOCH),
        ("other", 5, Verdict.OTHER_EPOCH),
        ("", 6, Verdict.OTHER_EPOCH),
    ],
)
def test_a_publication_is_next_or_seen_or_shows_a_gap(epoch, offset, verdict):
    assert judge(Position(E, 5), epoch, offset) is verdict


# --- recover: the state table of the protocol -------------------------------------------------


@pytest.mark.parametrize(
    ("since", "missed"),
    [
        (Position(E, 7), ()),
        (Position("", 7), ()),
        (Position(E, 4), pubs(5, 6, 7)),
        (Position("", 0), pubs(1, 2, 3, 4, 5, 6, 7)),
    ],
)
def test_a_reader_back_in_time_gets_what_it_missed(since, missed):
    start = recover(since, Position(E, 7), missed)
    assert start == Start(Position(E, since.offset), 7, True, True, missed)
    # The client moves its own offset by each of them, from where it asked.
    assert start.result('{"rows":[]}') == Subscribed(
        Position(E, since.offset), True, True, missed, None
    )


@pytest.mark.parametrize(
    ("since", "missed"),
    [
        (Position(E, 4), pubs(6, 7)),  # trimmed: the oldest kept is beyond the next
        (Position(E, 4), pubs(5, 7)),
        (Position(E, 4), ()),  # nothing kept
        (Position(E, 4), pubs(5, 6)),  # more missed than the limit
        (Position(E, 4), pubs(5, 6, 7, 8)),
        (Position(E, 8), ()),  # ahead of the log
        (Position("other", 7), ()),
        (Position("_", 0), ()),  # how a client asks after its state was invalidated
        (Position(E + "!", 7), ()),  # a position handed out by give_up
    ],
)
def test_a_reader_back_after_a_trim_is_told_it_missed_some(since, missed):
    assert recover(since, Position(E, 7), missed) is None


def test_a_topic_never_used_is_recovered_from_its_beginning():
    assert recover(Position("", 0), Position(E, 0), ()).recovered


def test_a_compacted_log_has_holes_that_mean_nothing():
    since, top = Position(E, 2), Position(E, 9)
    assert recover(since, top, pubs(4, 9), compacted=True).publications == pubs(4, 9)
    assert recover(since, top, (), compacted=True).offset == 9
    for wrong in [pubs(9, 4), pubs(4, 4), pubs(2, 9), pubs(9, 10)]:
        assert recover(since, top, wrong, compacted=True) is None
    assert recover(Position(E, 10), top, (), compacted=True) is None


# --- newest: the same where only the newest publication counts --------------------------------


@pytest.mark.parametrize("since", [Position(E, 3), Position("old", 9), Position("", 0)])
def test_who_stands_elsewhere_gets_the_newest_and_keeps_its_own_offset(since):
    start = newest(since, Position(E, 7), pubs(7))
    assert start == Start(Position(E, since.offset), 7, True, True, pubs(7))


@pytest.mark.parametrize(
    ("top", "publications"), [(Position(E, 7), pubs(7)), (Position(E, 7), ()), (Position(E, 0), ())]
)
def test_who_stands_at_the_top_gets_nothing_whether_it_is_kept_or_not(top, publications):
    assert newest(top, top, publications) == Start(top, top.offset, True, True)


@pytest.mark.parametrize("since", [Position(E, 3), Position("old", 7), Position("", 0)])
def test_where_the_newest_is_not_kept_who_stands_elsewhere_is_told(since):
    top = Position(E, 7)
    assert newest(since, top, ()) == Start(top, 7, was_recovering=True)


# --- merge: rows, and the publications behind them --------------------------------------------


@pytest.mark.parametrize("since", [None, Position(E, 1)])
def test_rows_with_nothing_under_way_begin_at_their_own_position(since):
    start = merge(since, Position(E, 5), frozenset(), pubs(4, 5, 6))
    assert start == Start(Position(E, 5), 5, was_recovering=since is not None)
    assert start.result("{}") == Subscribed(
        Position(E, 5), was_recovering=since is not None, data="{}"
    )


def test_rows_wait_for_what_they_contain_and_begin_behind_it():
    top = Position(E, 5)
    pending = {60, 80}
    known = [pub(5), pub(6, 60), pub(7, 70)]
    assert merge(None, top, pending) is None
    assert merge(None, top, pending, known) is None
    known += [pub(8, 80), pub(9, 90)]
    # 70 is not in the rows: it goes behind them; 90 is for the pushes.
    assert merge(None, top, pending, known) == Start(
        Position(E, 8), 8, publications=(pub(7, 70),), skip=frozenset()
    )


def test_a_hole_behind_the_last_one_under_way_means_nothing():
    """In a compacted topic it is a replaced value; the pushes go on from the log all the same."""
    assert merge(None, Position(E, 5), frozenset(), pubs(7, 9)) == Start(Position(E, 5), 5)
    start = merge(None, Position(E, 5), {60}, [pub(6, 60), pub(9)])
    assert start == Start(Position(E, 6), 6)


def test_a_hole_behind_the_rows_is_waited_for():
    assert merge(None, Position(E, 5), {80}, [pub(6), pub(8, 80)]) is None


def test_who_waited_in_vain_skips_what_the_rows_contain_and_can_never_recover():
    start = give_up(Position(E, 2), Position(E, 5), {60, 80})
    assert start == Start(Position(E + "!", 5), 5, was_recovering=True, skip=frozenset({60, 80}))
    assert recover(start.position, Position(E, 5), ()) is None
    assert not give_up(None, Position(E, 5), {60}).was_recovering


# --- All of it together -----------------------------------------------------------------------


class Reader:
    """A page: rows from a snapshot, then publications; it keeps the position its SDK would."""

    def __init__(self):
        self.rows = None  # how often each entry was applied, in the present life of the rows
        self.position = None
        self.told = False

    def take(self, start, rows):
        """A subscribe reply: the rows of its data, if any, and the publications with it."""
        if not start.recovered:
            self.rows = list(rows)
        self.position = start.position
        for publication in start.publications:
            self.apply(publication, moves=start.recovered)

    def apply(self, publication, *, moves=True):
        self.rows.append(publication.entry)
        if moves:
            self.position = Position(self.position.epoch, publication.offset)


class RecoveryMachine(RuleBasedStateMachine):
    """A log that is trimmed or begun anew, a layer that loses, repeats and reorders, and one reader
    that comes and goes. Writers' entries reach the log late and out of order.

    The rows of a snapshot are the entries committed so far; what the reader has must always be a
    correct history: each entry at most once, and none missing up to its position.
    """

    @initialize()
    def begin(self):
        self.entries = itertools.count(1)
        self.epochs = (f"{letter}bcdefgh" for letter in itertools.cycle("ijklmnopqrst"))
        self.epoch = next(self.epochs)
        self.outbox = []  # committed, not yet in the log
        self.log = []
        self.floor = 0
        self.before = []  # committed in an earlier life of the log
        self.layer = []
        self.reader = Reader()
        self.member = None  # how the hub sees the subscription: (position, skip)
        self.waiting = None  # a snapshot whose pending entries are under way

    @property
    def top(self):
        return Position(self.epoch, len(self.log))

    @property
    def committed(self):
        return self.before + [p.entry for p in self.log] + self.outbox

    def kept(self, after):
        return [p for p in self.log if p.offset > max(after, self.floor)]

    def recovered(self, since):
        return recover(since, self.top, self.kept(since.offset)[:LIMIT])

    # --- The world

    @rule(count=st.integers(1, 3))
    def write(self, count):
        self.outbox += itertools.islice(self.entries, count)

    @rule(data=st.data(), count=st.integers(1, 3))
    def move(self, data, count):
        for _ in range(min(count, len(self.outbox))):
            entry = self.outbox.pop(data.draw(st.integers(0, len(self.outbox) - 1)))
            publication = pub(len(self.log) + 1, entry)
            self.log.append(publication)
            self.layer.append((self.epoch, publication))

    @rule(keep=st.integers(0, 3))
    def trim(self, keep):
        self.floor = max(self.floor, len(self.log) - keep)

    @precondition(lambda self: len(self.log) > 4)
    @rule()
    def begin_anew(self):
        self.before = [*self.before, *(p.entry for p in self.log)]
        self.log, self.floor, self.epoch = [], 0, next(self.epochs)

    @precondition(lambda self: self.layer)
    @rule(data=st.data(), keep=st.booleans())
    def hear(self, data, keep):
        """Any message at any time, perhaps again; what is never drawn is lost."""
        index = data.draw(st.integers(0, len(self.layer) - 1))
        epoch, publication = self.layer[index] if keep else self.layer.pop(index)
        if self.member is None:
            return
        position, _ = self.member
        match judge(position, epoch, publication.offset):
            case Verdict.NEXT:
                self.deliver([publication])
            case Verdict.GAP | Verdict.OTHER_EPOCH:
                self.repair()
            case Verdict.SEEN:
                pass

    @rule()
    def repair(self):
        """From a gap, or on a clock."""
        if self.member is None:
            return
        start = self.recovered(self.member[0])
        if start is None:
            self.member = None
            self.reader.told = True
        else:
            self.deliver(start.publications)

    def deliver(self, publications):
        position, skip = self.member
        for publication in publications:
            position = Position(position.epoch, publication.offset)
            if publication.entry not in skip:
                self.reader.apply(publication)
        self.member = (position, skip)

    # --- The reader

    @precondition(lambda self: self.member is None and self.waiting is None)
    @rule(recovering=st.booleans())
    def come(self, recovering):
        since = self.reader.position if recovering else None
        if since is not None:
            start = self.recovered(since)
            if start is not None:
                self.start(start, None)
                return
        self.waiting = (since, self.top, list(self.outbox), self.committed)
        self.answer()

    @precondition(lambda self: self.waiting is not None)
    @rule()
    def answer(self):
        since, top, pending, rows = self.waiting
        if self.epoch != top.epoch:
            self.waiting = None  # error 100
            return
        start = merge(since, top, pending, self.kept(top.offset))
        if start is not None:
            self.start(start, rows)

    @precondition(lambda self: self.waiting is not None)
    @rule(data=st.data(), written=st.integers(0, 3), keep=st.integers(0, 9))
    def wait(self, data, written, keep):
        """Much happens in the second that an answer may take."""
        self.write(written)
        self.move(data, 9)
        self.trim(keep)
        self.answer()

    @precondition(lambda self: self.waiting is not None)
    @rule()
    def time_out(self):
        since, top, pending, rows = self.waiting
        self.start(give_up(since, top, pending), rows)

    def start(self, start, rows):
        self.waiting = None
        epoch = start.position.epoch.removesuffix("!")
        self.member = (Position(epoch, start.offset), start.skip)
        self.reader.told = False
        self.reader.take(start, rows)

    @precondition(lambda self: self.member is not None or self.waiting is not None)
    @rule()
    def go(self):
        self.member = self.waiting = None

    # --- What must hold

    @invariant()
    def nothing_twice(self):
        rows = self.reader.rows or []
        assert len(rows) == len(set(rows)), rows

    @invariant()
    def nothing_left_out(self):
        if self.member is None or self.member[0].epoch != self.epoch:
            return
        had = set(self.reader.rows)
        assert had.issuperset(self.before)
        assert had.issuperset(p.entry for p in self.log[: self.member[0].offset])

    @invariant()
    def a_position_says_what_the_reader_has(self):
        """Whatever a later recovery brings, it repeats nothing: `nothing_twice` would see it."""
        position = self.reader.position
        if position is not None and position.epoch == self.epoch:
            older = {p.entry for p in self.log if p.offset <= position.offset}
            newer = {p.entry for p in self.log if p.offset > position.offset}
            assert older <= set(self.reader.rows)
            assert not newer & set(self.reader.rows)

    def teardown(self):
        """Once all is in the log and read, the reader has everything, or was told."""
        if getattr(self, "member", None) is None:
            return
        while self.outbox:
            self.log.append(pub(len(self.log) + 1, self.outbox.pop()))
        self.repair()
        if self.member is not None:
            assert sorted(self.reader.rows) == sorted(self.committed)
        else:
            assert self.reader.told


RecoveryMachine.TestCase.settings = settings(
    max_examples=200, stateful_step_count=30, deadline=None
)
TestRecovery = RecoveryMachine.TestCase
