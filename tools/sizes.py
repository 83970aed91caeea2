"""Lengths of modules and functions: a file that wants more holds two ideas; name the second."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("project", "realtime", "tools")
MODULE = 300
FUNCTION = 40
# path: its own ceiling, lower than the general one
TIGHTER = {"realtime/engine/consumers.py": 120}
# "path" or "path:function" -> the reason why it may be longer
EXCEPTIONS: dict[str, str] = {
    "project/settings.py": "one flat list that Django reads from top to bottom",
}


def oversized(root: Path) -> list[str]:
    """What is too long, one line each."""
    found = []
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            if "migrations" not in path.parts and not path.name.endswith("_pb2.py"):
                found += list(_of_module(path, str(path.relative_to(root))))
    return found


def _of_module(path: Path, name: str) -> Iterator[str]:
    text = path.read_text()
    lines, ceiling = text.count("\n"), TIGHTER.get(name, MODULE)
    if lines > ceiling and name not in EXCEPTIONS:
        yield f"{name}: {lines} lines, at most {ceiling}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = _length(node)
            if length > FUNCTION and f"{name}:{node.name}" not in EXCEPTIONS:
                yield f"{name}:{node.lineno} {node.name}: {length} lines, at most {FUNCTION}"


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without the docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


if __name__ == "__main__":
    if lines := oversized(ROOT):
        sys.exit("\n".join(lines))
    print(f"modules ≤ {MODULE} lines, functions ≤ {FUNCTION}: kept")
