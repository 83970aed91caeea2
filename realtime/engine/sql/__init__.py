"""The SQL of one database, by file and name: `-- name: since` opens a statement of a file.

`sql/postgresql/` and `sql/sqlite/` hold the same files with the same names; what only one of them
has is listed in the test. Parameters are `%(name)s` in both, so `%` itself is written `%%`.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@functools.cache
def text(vendor: str, file: str) -> str:
    """The whole of `sql/<vendor>/<file>.sql`."""
    return (Path(__file__).parent / vendor / f"{file}.sql").read_text(encoding="utf-8")


@functools.cache
def statements(vendor: str, file: str) -> dict[str, str]:
    """The named statements of a file, in its order."""
    _, *parts = _NAME.split(text(vendor, file))
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def statement(vendor: str, name: str) -> str:
    """One statement, named `file.name`: `history.since`. A file `move` of one statement: `move`."""
    file, _, part = name.partition(".")
    return statements(vendor, file)[part] if part else text(vendor, file)
