"""A reader gets the publications whose tags it asked for, and is told if it asked wrongly."""

import sys
from contextlib import suppress
from decimal import Context, Decimal

import pytest
from centrifuge.filter import Filter as Asked
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol import filters
from realtime.protocol.commands import Node
from realtime.protocol.filters import BadFilter, build

TAGS = {"ticker": "BTC", "price": "64123.10", "lang": "", "name": "Zoë", "big": "9" * 65}
MISSING = "missing"
EXACT = Context(prec=50)


def leaf(key, cmp, value=""):
    if isinstance(value, str):
        return Node(key=key, cmp=cmp, val=value)
    return Node(key=key, cmp=cmp, vals=tuple(value))


# --- Each comparison --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "cmp", "value", "wanted"),
    [
        ("ticker", "eq", "BTC", True),
        ("ticker", "eq", "btc", False),
        (MISSING, "eq", "BTC", False),
        ("lang", "eq", "BTC", False),
        ("ticker", "neq", "BTC", False),
        ("ticker", "neq", "ETH", True),
        (MISSING, "neq", "BTC", True),
        ("ticker", "in", ["ETH", "BTC"], True),
        ("ticker", "in", ["ETH"], False),
        ("lang", "in", [""], True),
        (MISSING, "in", ["ETH"], False),
        (MISSING, "in", ["ETH", ""], True),
        ("ticker", "nin", ["ETH", "BTC"], False),
        ("ticker", "nin", ["ETH"], True),
        (MISSING, "nin", ["ETH"], True),
        (MISSING, "nin", ["ETH", ""], False),
        ("lang", "ex", "", True),
        (MISSING, "ex", "", False),
        ("lang", "nex", "", False),
        (MISSING, "nex", "", True),
        ("name", "sw", "Zo", True),
        ("name", "sw", "oë", False),
        (MISSING, "sw", "Zo", False),
        ("name", "ew", "oë", True),
        ("name", "ew", "Zo", False),
        (MISSING, "ew", "oë", False),
        ("name", "ct", "o", True),
        ("name", "ct", "e", False),
        (MISSING, "ct", "o", False),
        ("price", "gt", "64123.0999", True),
        ("price", "gt", "64123.1", False),
        ("price", "gte", "64123.1", True),
        ("price", "gte", "64123.11", False),
        ("price", "lt", "64123.11", True),
        ("price", "lt", "64123.1", False),
        ("price", "lte", "64123.100", True),
        ("price", "lte", "9", False),  # as numbers, not as texts
        ("price", "lte", "seven", False),
        ("price", "gt", "-seven", False),
        ("name", "gt", "1", False),
        ("name", "lt", "1", False),
        ("lang", "lte", "1", False),
        (MISSING, "gt", "-1", False),
        (MISSING, "lt", "1", False),
        ("big", "gt", "1", False),
    ],
)
def test_a_tag_is_compared_thus(key, cmp, value, wanted):
    assert build(leaf(key, cmp, value)).matches(TAGS) is wanted


@pytest.mark.parametrize(
    "text",
    ["0", "-0", "+7", "007", "1.", ".5", "-.5", "0E-8", "1e-07", "1.5E+3", "9" * 64, "1e999"],
)
def test_a_number_is_what_a_program_writes_for_a_decimal(text):
    tags = {"n": text}
    assert build(leaf("n", "gte", text)).matches(tags)
    assert not build(leaf("n", "gt", text)).matches(tags)
    assert build(leaf("n", "gt", "-1e3")).matches(tags)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            ".",
            "-",
            "+-1",
            "1 ",
            " 1",
            "1\n",
            "1_000",
            "1,5",
            "0x10",
            "\u0661",
            "²",
            "½",
            "e3",
        ),
        *("NaN", "sNaN", "-sNaN123", "Infinity", "-inf", "1e1000", "1e", "1.2.3", "9" * 65),
    ],
)
def test_what_is_no_number_is_neither_more_nor_less(text):
    for cmp in ["gt", "gte", "lt", "lte"]:
        assert not build(leaf("n", cmp, "1")).matches({"n": text})
        if text:
            assert not build(leaf("n", cmp, text)).matches({"n": "1"})


UNITS = st.integers(-(10**40), 10**40)


@given(UNITS, UNITS | st.integers(-1, 1))
def test_numbers_are_compared_to_their_last_digit(units, distance):
    """Far beyond what a float, or a Decimal that was calculated with, would keep."""
    other = units + distance
    tags, bound = {"n": str(Decimal(units).scaleb(-9, EXACT))}, f"{other}e-9"
    said = {cmp: build(leaf("n", cmp, bound)).matches(tags) for cmp in ["gt", "gte", "lt", "lte"]}
    assert said == {
        "gt": units > other,
        "gte": units >= other,
        "lt": units < other,
        "lte": units <= other,
    }


# --- Together ---------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["", "1", "2", "10", "-3.5", "x", "xy", "NaN"]) | st.text(max_size=5)
TAG_SETS = st.dictionaries(NAMES, VALUES)
GIVEN = VALUES.filter(bool)
LEAVES = st.one_of(
    st.builds(
        leaf,
        NAMES,
        st.sampled_from(["eq", "neq", "sw", "ew", "ct", "gt", "gte", "lt", "lte"]),
        GIVEN,
    ),
    st.builds(
        leaf, NAMES, st.sampled_from(["in", "nin"]), st.lists(VALUES, min_size=1, max_size=3)
    ),
    st.builds(leaf, NAMES, st.sampled_from(["ex", "nex"])),
)


def joined(op, nodes):
    return Node(op=op, nodes=tuple(nodes))


def negated(node):
    return joined("not", [node])


TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3))
        | st.builds(negated, inner)
    ),
    max_leaves=8,
)


@given(TREES, TAG_SETS)
def test_not_says_the_opposite(node, tags):
    assert build(negated(node)).matches(tags) is not build(node).matches(tags)


@given(st.lists(TREES, min_size=1, max_size=3), TAG_SETS)
def test_and_wants_all_and_or_wants_any(nodes, tags):
    said = [build(node).matches(tags) for node in nodes]
    assert build(joined("and", nodes)).matches(tags) is all(said)
    assert build(joined("or", nodes)).matches(tags) is any(said)


@given(st.lists(TREES, min_size=1, max_size=3), TAG_SETS)
def test_not_goes_inside_and_changes_and_to_or(nodes, tags):
    outside = build(negated(joined("and", nodes)))
    inside = build(joined("or", [negated(node) for node in nodes]))
    assert outside.matches(tags) is inside.matches(tags)


@given(TREES)
def test_the_same_filter_is_the_same_value(node):
    assert len({build(node), build(node)}) == 1
    assert build(node) != build(negated(node))


NODES = st.recursive(
    st.builds(
        Node,
        op=st.sampled_from(["", "", "and", "or", "not", "xor"]) | st.text(max_size=3),
        key=NAMES | st.just(""),
        cmp=st.sampled_from([*filters._KNOWN, ""]) | st.text(max_size=3),
        val=VALUES,
        vals=st.lists(VALUES, max_size=2).map(tuple),
    ),
    lambda inner: st.builds(
        joined, st.sampled_from(["", "and", "or", "not"]), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


@given(NODES, st.dictionaries(NAMES, st.text(max_size=5)))
def test_any_tree_is_refused_or_answers_any_tags(node, tags):
    with suppress(BadFilter):
        assert build(node).matches(tags) in {True, False}


# --- Refused ----------------------------------------------------------------------------------

YES = leaf("a", "ex")


def deep(depth):
    node = YES
    for _ in range(depth - 1):
        node = negated(node)
    return node


def many(values):
    return joined("or", [leaf("a", "in", ["x"] * values), leaf("a", "nin", ["x"])])


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            Node(op="xor", nodes=(YES,)),
            'unknown op "xor"; known: and, or, not, and none for a leaf',
        ),
        (
            Node(op="AND", nodes=(YES,)),
            'unknown op "AND"; known: and, or, not, and none for a leaf',
        ),
        (Node(op="x" * 999), f'unknown op "{"x" * 20}"; known: and, or, not, and none for a leaf'),
        (joined("and", []), '"and" needs at least one node'),
        (joined("or", []), '"or" needs at least one node'),
        (joined("not", []), '"not" takes exactly one node, here are 0'),
        (joined("not", [YES, YES]), '"not" takes exactly one node, here are 2'),
        (
            leaf("a", "like", "x"),
            'unknown cmp "like"; known: eq, in, ex, neq, nin, nex, sw, ew, ct, gt, gte, lt, lte',
        ),
        (
            Node(),
            'unknown cmp ""; known: eq, in, ex, neq, nin, nex, sw, ew, ct, gt, gte, lt, lte',
        ),
        (leaf("", "eq", "x"), '"eq" needs a key'),
        (leaf("", "nex"), '"nex" needs a key'),
        *(
            (leaf("a", cmp), f'"{cmp}" needs a val')
            for cmp in ["eq", "neq", "sw", "ew", "ct", "gt", "gte", "lt", "lte"]
        ),
        (leaf("a", "eq", ["x"]), '"eq" needs a val'),
        (leaf("a", "in"), '"in" needs vals'),
        (leaf("a", "nin", "x"), '"nin" needs vals'),
        (leaf("a", "ex", "x"), '"ex" takes neither val nor vals'),
        (leaf("a", "nex", ["x"]), '"nex" takes neither val nor vals'),
        (negated(joined("and", [YES, leaf("a", "eq")])), '"eq" needs a val'),
        (deep(17), "a filter is at most 16 nodes deep"),
        (deep(sys.getrecursionlimit() * 2), "a filter is at most 16 nodes deep"),
        (joined("or", [YES] * 100), "a filter has at most 100 nodes"),
        (joined("or", [joined("or", [YES] * 49)] * 2), "a filter has at most 100 nodes"),
        (many(1000), "a filter has at most 1000 vals in all"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_wrong_filter_is_refused_and_told_why(node, message):
    with pytest.raises(BadFilter) as refused:
        build(node)
    assert str(refused.value) == message


def test_a_filter_at_its_bounds_is_taken():
    assert build(deep(16)).matches({"a": "x"}) is False
    assert build(joined("or", [YES] * 99)).matches({"a": "x"})
    assert build(many(999)).matches({"a": "x"})


# --- As an SDK asks ---------------------------------------------------------------------------


def read(node):
    """A node as it arrives: the SDK leaves out what is empty."""
    rest = {name: node[name] for name in ("op", "key", "cmp", "val") if name in node}
    vals, nodes = node.get("vals", ()), node.get("nodes", ())
    return Node(**rest, vals=tuple(vals), nodes=tuple(map(read, nodes)))


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (Asked.eq("ticker", "BTC"), True),
        (Asked.all(Asked.eq("ticker", "BTC"), Asked.gte("price", "64000")), True),
        (Asked.all(Asked.eq("ticker", "BTC"), Asked.gte("price", "65000")), False),
        (Asked.any(Asked.eq("ticker", "ETH"), Asked.is_in("name", ["Zoë"])), True),
        (Asked.negate(Asked.eq("ticker", "BTC")), False),
    ],
)
def test_what_the_python_sdk_builds_is_understood(asked, wanted):
    assert build(read(asked.node)).matches(TAGS) is wanted
