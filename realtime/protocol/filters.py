"""Which publications a subscription wants, by their tags.

Guarantee: what `build` accepts says yes or no to any tags and never fails, in a time bounded by the
limits below. Filters that say the same of the same tags in the same way are equal, so an answer can
be given once for many subscriptions. Source: protocol.md, section 10.1.
"""

import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from realtime.protocol.commands import Node

MAX_DEPTH = 16
MAX_NODES = 100
MAX_VALUES = 1000  # in all of its lists together
MAX_NUMBER = 64  # characters; what is longer counts as no number

_Tags = Mapping[str, str]

# Decimal would also take NaN, Infinity, underscores and the digits of every script.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")

_TEXT: dict[str, Callable[[str, str], bool]] = {
    "sw": str.startswith,
    "ew": str.endswith,
    "ct": operator.contains,
}
_ORDER: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
# Each says exactly what the other does not, of a missing tag too.
_OPPOSITE = {"neq": "eq", "nin": "in", "nex": "ex"}
_KNOWN = ("eq", "in", "ex", *_OPPOSITE, *_TEXT, *_ORDER)


class BadFilter(ValueError):  # noqa: N818 - it names the filter, not the mishap
    """The filter is none: error 107, and the message says why."""


@dataclass(frozen=True, slots=True)
class Filter(ABC):
    """A checked filter; `build` makes it."""

    @abstractmethod
    def matches(self, tags: _Tags) -> bool:
        """Is a publication with these tags wanted?"""


@dataclass(frozen=True, slots=True)
class _All(Filter):
    parts: tuple[Filter, ...]

    def matches(self, tags: _Tags) -> bool:
        return all(part.matches(tags) for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Any(Filter):
    parts: tuple[Filter, ...]

    def matches(self, tags: _Tags) -> bool:
        return any(part.matches(tags) for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Not(Filter):
    part: Filter

    def matches(self, tags: _Tags) -> bool:
        return not self.part.matches(tags)


@dataclass(frozen=True, slots=True)
class _Exists(Filter):
    key: str

    def matches(self, tags: _Tags) -> bool:
        return self.key in tags


@dataclass(frozen=True, slots=True)
class _In(Filter):
    key: str
    values: frozenset[str]

    def matches(self, tags: _Tags) -> bool:
        return tags.get(self.key, "") in self.values


@dataclass(frozen=True, slots=True)
class _Text(Filter):
    key: str
    cmp: str
    piece: str

    def matches(self, tags: _Tags) -> bool:
        value = tags.get(self.key)
        return value is not None and _TEXT[self.cmp](value, self.piece)


@dataclass(frozen=True, slots=True)
class _Order(Filter):
    key: str
    cmp: str
    bound: Decimal | None

    def matches(self, tags: _Tags) -> bool:
        number = _number(tags.get(self.key, ""))
        if number is None or self.bound is None:
            return False
        return _ORDER[self.cmp](number, self.bound)


def _number(text: str) -> Decimal | None:
    if len(text) > MAX_NUMBER or not _NUMBER.fullmatch(text):
        return None
    return Decimal(text)  # exact: only arithmetic rounds


# --- From what the client wrote ---------------------------------------------------------------


def build(node: Node) -> Filter:
    """The filter of this tree; raises BadFilter. What a node has and does not use is ignored."""
    _check_size(node)
    return _build(node)


def _check_size(root: Node) -> None:
    nodes = values = 0
    left = [(root, 1)]
    while left:
        node, depth = left.pop()
        nodes, values = nodes + 1, values + len(node.vals)
        left += [(inner, depth + 1) for inner in node.nodes]
        if depth > MAX_DEPTH:
            raise BadFilter(f"a filter is at most {MAX_DEPTH} nodes deep")
        if nodes + len(left) > MAX_NODES:
            raise BadFilter(f"a filter has at most {MAX_NODES} nodes")
        if values > MAX_VALUES:
            raise BadFilter(f"a filter has at most {MAX_VALUES} vals in all")


def _build(node: Node) -> Filter:
    if node.op == "":
        return _leaf(node)
    if node.op not in {"and", "or", "not"}:
        raise BadFilter(f'unknown op "{_short(node.op)}"; known: and, or, not, and none for a leaf')
    parts = tuple(_build(inner) for inner in node.nodes)
    if node.op == "not":
        if len(parts) != 1:
            raise BadFilter(f'"not" takes exactly one node, here are {len(parts)}')
        return _Not(parts[0])
    if not parts:
        raise BadFilter(f'"{node.op}" needs at least one node')
    return _All(parts) if node.op == "and" else _Any(parts)


def _leaf(node: Node) -> Filter:
    cmp = node.cmp
    if cmp not in _KNOWN:
        raise BadFilter(f'unknown cmp "{_short(cmp)}"; known: {", ".join(_KNOWN)}')
    if not node.key:
        raise BadFilter(f'"{cmp}" needs a key')
    positive = _OPPOSITE.get(cmp)
    return _Not(_compare(positive, node)) if positive else _compare(cmp, node)


def _compare(cmp: str, node: Node) -> Filter:
    if cmp == "ex":
        if node.val or node.vals:
            raise BadFilter(f'"{node.cmp}" takes neither val nor vals')
        return _Exists(node.key)
    if cmp == "in":
        if not node.vals:
            raise BadFilter(f'"{node.cmp}" needs vals')
        return _In(node.key, frozenset(node.vals))
    if not node.val:
        raise BadFilter(f'"{node.cmp}" needs a val')
    if cmp == "eq":
        return _In(node.key, frozenset([node.val]))
    if cmp in _TEXT:
        return _Text(node.key, cmp, node.val)
    return _Order(node.key, cmp, _number(node.val))


def _short(text: str) -> str:
    """No more of a client's text than a message bears."""
    return text[:20]
