"""Pinned packages against a committed table of known advisories, whatever the index can tell.

`pip-audit` calls a package without advisory data clean, so it alone proves nothing: where it is
installed and reaches its source its word is added, else "not audited" is said aloud.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tools" / "floors.toml"
FILES = ("requirements.txt", "requirements-dev.txt")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
FOUND = re.compile(r"Found \d+ known vulnerabilit(?:y|ies)")  # codespell:ignore
PLANTED = "django==4.2.0\ndaphne==4.2.1 ; python_version < '4'\n"


@dataclass(frozen=True)
class Floor:
    package: str
    safe: str
    advisory: str
    what: str


def floors() -> list[Floor]:
    return [Floor(name, **row) for name, row in tomllib.loads(TABLE.read_text())["floors"].items()]


def below(requirements: str, table: list[Floor]) -> list[str]:
    """One line for each pin in a requirements file that is older than its floor."""
    pins = [
        (name.lower().replace("_", "-"), version) for name, version in PIN.findall(requirements)
    ]
    return [
        f"{name} {version} is below {floor.safe} ({floor.advisory}: {floor.what})"
        for floor in table
        for name, version in pins
        if name == floor.package and _number(version) < _number(floor.safe)
    ]


def _number(version: str) -> tuple[int, ...]:
    """`9.1.2.post2` -> (9, 1, 2); enough to order releases."""
    return tuple(int(part) for part in re.match(r"[\d.]*\d", version)[0].split("."))  # type: ignore[index]


def audited() -> tuple[bool, str]:
    """Whether pip-audit knows nothing against us, and its word, or that it could say nothing."""
    if find_spec("pip_audit") is None:
        return (
            True,
            "not audited: pip-audit is not installed, the table above is all that was asked",
        )
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--strict",
        "-r",
        "requirements.txt",
        "--no-deps",
        "--disable-pip",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0:
        return True, "audited: pip-audit found nothing"
    if FOUND.search(done.stdout + done.stderr):
        return False, done.stdout + done.stderr
    return True, f"not audited: pip-audit reached no advisory source ({_last(done.stderr)})"


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def main() -> int:
    table = floors()
    if len(below(PLANTED, table)) < PLANTED.count("\n"):
        print("the floors are not looked at: two planted old versions were not noticed")
        return 1
    found = [line for name in FILES for line in below((ROOT / name).read_text(), table)]
    for line in found:
        print(line)
    if not found:
        print(f"no pin below the {len(table)} floors")
        clean, word = audited()
        print(word)
        return 0 if clean else 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
