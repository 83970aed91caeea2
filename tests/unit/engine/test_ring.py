"""What is kept of a topic in memory, and how several pushes become one frame."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.frames import Form, Slot
from realtime.engine.ring import Ring, newest_of_each_key, pack
from realtime.protocol.codec import text
from realtime.protocol.messages import Publication

JSON = Form(text)


def slot(offset, key="a", size=10):
    return Slot("t", Publication(offset, f'"{"x" * size}"', key, "u", offset, 0))


@given(st.integers(1, 40), st.integers(1, 10), st.integers(100, 900), st.integers(0, 40))
def test_whoever_stands_at_the_base_or_after_it_misses_nothing(count, most, most_bytes, offset):
    ring = Ring(0, most, most_bytes)
    for number in range(1, count + 1):
        ring.append(slot(number))
    assert len(ring) <= most
    assert len(ring) * slot(1).size <= most_bytes
    if ring.covers(offset):
        assert [s.offset for s in ring.after(offset)] == list(range(offset + 1, count + 1))


def test_conflated_the_newest_of_each_key_stays_in_the_order_of_offsets():
    slots = [slot(1, "a"), slot(2, "b"), slot(3, "a"), slot(4, "c"), slot(5, "b")]
    assert [s.offset for s in newest_of_each_key(slots)] == [3, 4, 5]


@given(st.lists(st.integers(1, 50)), st.integers(1, 500))
def test_packed_frames_say_the_same_in_the_same_order(sizes, most_bytes):
    slots = [slot(n, size=size) for n, size in enumerate(sizes)]
    packed = pack(slots, most_bytes)
    lines = [line for pushes in packed for line in pushes.frame(JSON).split("\n")]
    assert lines == [one.frame(JSON) for one in slots]
    assert sum(len(pushes) for pushes in packed) == len(slots)
    assert all(sum(s.size for s in p.slots) <= most_bytes or len(p) == 1 for p in packed)
