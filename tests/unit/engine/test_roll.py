"""What is to be written is what differs: whoever applies what is taken has the same roll."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.roll import RENEW_S, Roll
from realtime.protocol.messages import ClientInfo

ADA, GRACE = ClientInfo("a", "5"), ClientInfo("g", "6")


@pytest.fixture
def roll():
    return Roll()


def apply(changes, written):
    for topic, infos in changes.items():
        for client, info in infos.items():
            written.pop((topic, client), None)
            if info is not None:
                written[topic, client] = info


def test_who_is_added_is_there_and_is_to_be_written(roll):
    roll.add("t:1", ADA)
    assert roll.of("t:1") == {"a": ADA}
    assert roll.take(10, 0) == {"t:1": {"a": ADA}}
    assert not roll.unwritten


def test_who_comes_and_goes_in_one_moment_costs_nothing(roll):
    roll.add("t:1", ADA)
    roll.remove("t:1", "a")
    assert not roll.unwritten
    assert roll.take(10, 0) == {}
    assert roll.of("t:1") == {}


def test_who_was_written_and_goes_is_dropped_even_if_back_in_between(roll):
    roll.add("t:1", ADA)
    roll.take(10, 0)
    roll.remove("t:1", "a")
    roll.add("t:1", ADA)
    roll.remove("t:1", "a")
    assert roll.take(10, 0) == {"t:1": {"a": None}}


def test_who_says_the_same_again_costs_nothing(roll):
    roll.add("t:1", ADA)
    roll.take(10, 0)
    roll.add("t:1", ADA)
    assert not roll.unwritten
    roll.add("t:1", ClientInfo("a", "5", '{"name":"Ada"}'))
    assert roll.unwritten


def test_nobody_is_missed_who_was_never_there(roll):
    roll.remove("t:1", "a")
    assert not roll.unwritten


def test_the_oldest_are_taken_first_and_no_more_than_asked_for(roll):
    for n in range(5):
        roll.add(f"t:{n}", ADA)
    assert list(roll.take(3, 0)) == ["t:0", "t:1", "t:2"]
    assert list(roll.take(3, 0)) == ["t:3", "t:4"]


def test_a_topic_that_rests_is_renewed_now_and_then(roll):
    roll.add("t:1", ADA)
    roll.add("t:2", ADA)
    roll.take(10, 0)
    roll.add("t:2", GRACE)
    roll.take(10, 10)
    assert roll.take(10, RENEW_S - 1) == {}
    assert roll.take(10, RENEW_S) == {"t:1": {}}
    assert roll.take(10, RENEW_S + 9) == {}
    roll.remove("t:2", "a")
    roll.remove("t:2", "g")
    roll.take(10, RENEW_S + 9)
    assert roll.take(10, 2 * RENEW_S) == {"t:1": {}}


def test_what_was_lost_is_written_again(roll):
    roll.add("t:1", ADA)
    roll.add("t:2", GRACE)
    roll.take(10, 0)
    roll.remove("t:1", "a")
    roll.lost("t:1")
    assert roll.take(10, 0) == {"t:1": {"a": None}}
    roll.lost("t:2")
    assert roll.take(10, 0) == {"t:2": {"g": GRACE}}
    roll.add("t:1", ADA)
    roll.lost_all()
    assert len(roll) == 2
    assert roll.take(10, 0) == {"t:1": {"a": ADA}, "t:2": {"g": GRACE}}


acts = st.tuples(
    st.sampled_from(["add", "remove", "take", "lost"]),
    st.sampled_from(["t:1", "t:2"]),
    st.sampled_from("abc"),
    st.sampled_from("12"),
)


@given(st.lists(acts, max_size=40))
def test_whoever_applies_what_is_taken_has_the_same_roll(acts):
    roll, written = Roll(), {}
    for act, topic, client, user in acts:
        if act == "add":
            roll.add(topic, ClientInfo(client, user))
        elif act == "remove":
            roll.remove(topic, client)
        elif act == "take":
            apply(roll.take(2, 0), written)
        else:
            written.clear()
            roll.lost_all()
    while roll.unwritten:
        apply(roll.take(2, 0), written)
    assert written == {(t, c): i for t in ("t:1", "t:2") for c, i in roll.of(t).items()}
