"""Sealed messages: what one process seals every other opens, and nobody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine import envelope
from realtime.engine.envelope import (
    Batch,
    Echo,
    Movement,
    Passing,
    Refused,
    Reset,
    Seal,
    batches,
    seal,
    unseal,
)
from realtime.protocol.messages import ClientInfo, Publication

publications = st.builds(
    Publication,
    st.integers(1, 2**53),
    st.text(),
    st.none() | st.text(),
    st.sampled_from("iudop"),
    st.integers(0, 2**62),
    st.integers(0, 2**53),
    st.none() | st.text(),
)
messages = st.one_of(
    st.builds(Batch, st.text(), st.text(), st.lists(publications, max_size=5).map(tuple)),
    st.builds(Reset, st.text(), st.text()),
    st.builds(Echo, st.text()),
    st.builds(Passing, st.text(), st.text(), st.none() | st.text(), st.none() | st.binary()),
    st.builds(Movement, st.text(), st.booleans(), st.builds(ClientInfo, st.text(), st.text())),
)


@given(messages)
def test_what_was_sealed_is_opened_unchanged(message):
    assert unseal(seal(message)) == message


@given(messages, st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_refused(message, place, change):
    sealed = bytearray(seal(message))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(Refused):
        unseal(bytes(sealed))


@given(st.none() | st.text() | st.binary() | st.integers())
def test_what_nobody_sealed_is_refused(value):
    with pytest.raises(Refused):
        unseal(value)


def test_a_signature_over_something_else_is_refused():
    payload = b"\x93\x01\x02\x03"
    with pytest.raises(Refused):
        unseal(envelope._signature(payload, envelope._keys(b"tocsin broker")[0]) + payload)


def test_another_project_is_refused_and_a_former_key_is_not(settings):
    before = settings.SECRET_KEY
    sealed = seal(Echo("n"))
    settings.SECRET_KEY = "another"
    with pytest.raises(Refused):
        unseal(sealed)
    settings.SECRET_KEY_FALLBACKS = [before]
    assert unseal(sealed) == Echo("n")


def test_publications_travel_in_order_in_messages_of_a_bounded_size():
    some = [Publication(n, "x" * 100_000, "1", "u", n, 0) for n in range(1, 13)]
    huge = Publication(13, "x" * 2_000_000, "1", "u", 13, 0)
    parts = list(batches("t:1", "E", [*some, huge]))
    assert [len(part.publications) for part in parts] == [5, 5, 2, 1]
    assert [p for part in parts for p in part.publications] == [*some, huge]
    assert list(batches("t:1", "E", [])) == []


def test_what_is_kept_is_believed_at_its_own_place_alone():
    here, there = Seal("topic:1", "node"), Seal("topic:2", "node")
    assert here.open(here.close(b"ada")) == b"ada"
    for forged in (there.close(b"ada"), here.close(b"ada")[:-1], b"ada", "ada", None):
        with pytest.raises(Refused):
            here.open(forged)


def test_what_is_kept_outlives_a_change_of_the_key(settings):
    before = Seal("topic:1").close(b"ada")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a" * 50, [settings.SECRET_KEY]
    assert Seal("topic:1").open(before) == b"ada"
    assert Seal("topic:1").close(b"ada") != before
