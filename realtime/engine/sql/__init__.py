"""Loads the named SQL of a database: one file a statement, `<vendor>/<name>.sql`.

`{{part}}` stands for SQL text that the caller has quoted; values always travel as parameters.
"""

import re
from functools import cache
from pathlib import Path

PART = re.compile(r"\{\{(\w+)\}\}")
FOLDER = Path(__file__).resolve().parent


@cache
def read(vendor: str, name: str) -> str:
    """The text of `<vendor>/<name>.sql`, without its comment lines."""
    text = (FOLDER / vendor / f"{name}.sql").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return "\n".join(lines).strip()


def render(vendor: str, name: str, /, **parts: str) -> str:
    """`read` with each `{{part}}` replaced, once: what a part brings is never looked into."""
    return fill(read(vendor, name), **parts)


def fill(text: str, /, **parts: str) -> str:
    """`render` for a statement that was read before."""
    return PART.sub(lambda found: parts[found[1]], text)


def statements(vendor: str, name: str) -> list[str]:
    """The single statements of a script, which end with `;` at the end of a line."""
    return [part.strip() for part in (read(vendor, name) + "\n").split(";\n") if part.strip()]
