"""Both SDKs' decoders get from a delta what was published, byte for byte."""

import itertools
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from centrifuge.fossil import apply_delta
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.protocol.delta import create, shorter

UNDELTA = Path(__file__).resolve().parents[2] / "js" / "undelta.js"

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDE"
# One alphabet of characters of one to four bytes, few enough to repeat.
TEXTS = st.text("ab,é–𝄞", max_size=200)


@st.composite
def alike(draw):
    """A text, and the same after a few edits."""
    source = draw(TEXTS) * draw(st.integers(1, 5))
    target = source
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(target)))
        gone = draw(st.integers(0, 40))
        moved = draw(st.booleans())
        piece = draw(TEXTS) if not moved else target[at : at + gone]
        rest = target[:at] + target[at + gone :]
        to = draw(st.integers(0, len(rest))) if moved else at
        target = rest[:to] + piece + rest[to:]
    return source, target


PAIRS = st.one_of(alike(), st.tuples(TEXTS, TEXTS))


# --- The format -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "delta"),
    [
        ('{"n":1,"s":"abc"}', '{"n":2,"s":"abc"}', "H\n5@0,1:2B@6,6rJU8;"),
        ("", "", "0\n0;"),
        ("abcdefgh", "", "0\n0;"),
        ("", "abc", "3\n3:abc1XObC0;"),
        ("abcdefgh", "abcdefgh", "8\n8@0,36nCgC;"),
        ("0123456789", "0123456789" * 2, "K\nA@0,A@0,52WK9;"),
        # a copy no longer than its command is none
        ("abcd--", "abcd++", "6\n6:abcd++2CZMD_;"),
        ("abcde--", "abcde++", "7\n5@0,2:++36ZOu_;"),
        # what moved is found where it was, from 31 bytes on wherever it stood
        ("." + LETTERS + "!", "<>" + LETTERS + "?", "Y\n2:<>V@1,1:?1JL_56;"),
        # é and è begin with the same byte, è and Ĩ end with the same
        ("abcdeé", "abcdeè", "7\n5@0,2:è379Wi_;"),
        ("èabcde", "Ĩabcde", "7\n2:Ĩ5@2,d3CPY;"),
    ],
)
def test_a_delta_is_written_thus(source, target, delta):
    assert create(source.encode(), target.encode()).decode() == delta
    assert apply_delta(source.encode(), delta.encode()) == target.encode()


# --- The guarantee ----------------------------------------------------------------------------


@given(PAIRS)
@example(("é", "è"))  # the first of two bytes is the same
@example(("–" * 9 + "a", "—" * 9 + "a"))  # the first two of three are
@example(("a" + "𝄞" * 9, "b" + "𝄢" * 9))
@example(("𝄞abcdefgh", "\U0005d11eabcdefgh"))  # the last three of four are
@example(("a" * 99, "b" + "a" * 99 + "b"))
def test_a_reader_gets_the_text_and_no_character_is_cut(pair):
    source, target = (text.encode() for text in pair)
    delta = create(source, target)
    assert apply_delta(source, delta) == target
    assert delta.decode()


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=40))
def test_a_reader_gets_any_bytes(source, target, both):
    source, target = source + both + source, target + both + target
    assert apply_delta(source, create(source, target)) == target


@given(PAIRS)
def test_a_delta_that_saves_nothing_is_not_sent(pair):
    source, target = (text.encode() for text in pair)
    delta = create(source, target)
    assert shorter(source, target) == (delta if len(delta) < len(target) else None)


def test_a_few_changed_fields_of_a_long_body_cost_a_few_bytes():
    before = [{"key": str(n), "price": f"64{n}.10", "name": "Bitcoin – Tether"} for n in range(99)]
    after = [*before[1:50], before[50] | {"price": "1.5"}, *before[51:], before[0]]
    source, target = (json.dumps(rows, ensure_ascii=False).encode() for rows in (before, after))
    delta = shorter(source, target)
    assert apply_delta(source, delta) == target
    assert len(target) > 5_000
    assert len(delta) < 250


# --- The price --------------------------------------------------------------------------------


class Counting(bytes):
    """Bytes that know how many of them were read."""

    read = 0

    def __getitem__(self, key):
        piece = super().__getitem__(key)
        Counting.read += len(piece) if isinstance(key, slice) else 1
        return piece


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (b"a", b"a"),
        (b"a", b"b"),
        (b"a", b"aaaaaaaaaaaaaaaaab"),
        (b"aaaaaaaaaaaaaaaaab", b"a"),
        (b"a", b"aaaaaaaaaaaaaaaab"),
        (b"ab", b"ba"),
        (b"\x80", b"\x80"),  # no text at all
        ("é".encode(), "aé".encode()),
        (b"0123456789abcdef", b"0123456789abcdef~"),
    ],
)
def test_whatever_repeats_a_byte_is_read_a_few_times_at_most(source, target):
    source = Counting(source * (20_000 // len(source)))
    target = Counting(b"<" + target * (20_000 // len(target)) + b">")
    Counting.read = 0
    create(source, target)
    assert Counting.read < 40 * (len(source) + len(target))


# --- The other decoder ------------------------------------------------------------------------


def test_the_pages_sdk_reads_a_chain_of_deltas():
    chance = random.Random(10)
    rows = [{"key": str(n), "price": f"64{n}.10", "name": "Zoë – 𝄞"} for n in range(20)]
    bodies = []
    for _ in range(500):
        row = chance.randrange(20)
        rows[row] = {**rows[row], "price": f"{chance.random():.8f}", "name": chance.choice("ëé–𝄞𝄢")}
        chance.shuffle(rows) if chance.random() < 0.1 else rows.append(rows.pop(0))
        bodies.append(json.dumps(rows, ensure_ascii=False))
    pairs = itertools.pairwise(bodies)
    deltas = [create(one.encode(), other.encode()).decode() for one, other in pairs]
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    done = subprocess.run(
        [node, str(UNDELTA)],
        input=json.dumps({"first": bodies[0], "deltas": deltas}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == bodies[1:]
