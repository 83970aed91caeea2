"""Names of topics: templates, percent-encoding, the one canonical form of a name.

A value from a row is percent-encoded, all but `A-Z a-z 0-9 _ . - ~`, so that no value can hold a
`:`, `#` or `,` and make the row somebody else's. A name that is not its own re-encoding is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote as percent
from urllib.parse import unquote

UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
LIMIT = "#"
# the topic of the revocations, numbered like all (correctness.md, section 7)
CONTROL = "!control"
COLUMN = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def quote(value: str) -> str:
    """A value as it stands in a name: `a:b` is `a%3Ab`."""
    return percent(value, safe="")


def is_canonical(part: str) -> bool:
    """Whether a part of a name is what `quote` would have made of it."""
    return quote(unquote(part)) == part


def namespace_of(topic: str) -> str:
    """The text before the first colon; without a colon the default namespace, `` ``."""
    return topic.partition(":")[0] if ":" in topic else ""


def limited_to(topic: str) -> frozenset[str] | None:
    """The ids of the people the topic is limited to: after the last `#`; None: not limited."""
    _, mark, people = topic.rpartition(LIMIT)
    return frozenset(people.split(",")) if mark else None


@dataclass(frozen=True)
class Template:
    """`inbox:#{recipient_id}`: constants, and columns in braces."""

    text: str

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Constants at even places, columns at odd ones."""
        return tuple(COLUMN.split(self.text))

    @property
    def constants(self) -> tuple[str, ...]:
        return self.parts[::2]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.parts[1::2]

    @property
    def namespace(self) -> str | None:
        """None when the namespace itself would come from a column."""
        constant = self.constants[0]
        if ":" in constant:
            return namespace_of(constant)
        return None if any(":" in part for part in self.constants[1:]) else ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        columns: set[str] = set()
        pattern = ""
        for place, part in enumerate(self.parts):
            if place % 2 == 0:
                pattern += re.escape(part)
            elif part in columns:
                pattern += f"(?P={part})"
            else:
                columns.add(part)
                pattern += rf"(?P<{part}>[^:#,/]*)"
        return re.compile(pattern)

    def match(self, topic: str) -> dict[str, str] | None:
        """The still encoded values of the columns, or None."""
        found = self._pattern.fullmatch(topic)
        return found.groupdict() if found else None

    def fill(self, values: dict[str, str]) -> str:
        """The name with these values, which it encodes."""
        return COLUMN.sub(lambda found: quote(values[found[1]]), self.text)

    def clashes(self, other: Template) -> bool:
        """Whether some name could belong to both: their shapes agree where both are constant."""
        return bool(
            self._pattern.fullmatch(other.fill(dict.fromkeys(other.columns, "0")))
            or other._pattern.fullmatch(self.fill(dict.fromkeys(self.columns, "0")))
        )
