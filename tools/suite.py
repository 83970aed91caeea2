"""`make test` and its parts: every leg runs, then one summary; one failed leg fails the whole.

Some run beside a longer one, as they mostly wait: what they print is shown when they have ended.

Each pytest leg is a process of its own: it starts its own servers, and a synchronous Playwright
keeps an event loop that no asynchronous test could share.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from project.servers import system_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTHON = sys.executable
CODE = ("project", "realtime", "tools", "tests", "bench")
NOTHING_COLLECTED = 5
SYSTEM = "postgresql-system"
TABLE = "docs/explanation/reliability.md"
_running: set[subprocess.Popen[str]] = set()


@dataclass(frozen=True)
class Leg:
    """One command; of one that counts tests the summary shows the last line.

    `beside`: it runs while the leg does that comes before it in the list, or before those like it.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    counts: bool = False
    beside: bool = False


@dataclass(frozen=True)
class Outcome:
    leg: Leg
    passed: bool
    last: str
    took_s: float


def tool(name: str, *arguments: str, **environment: str) -> Leg:
    return Leg(name, (str(BIN / arguments[0]), *arguments[1:]), environment)


def pytest(name: str, *arguments: str, beside: bool = False, **environment: str) -> Leg:
    command = (PYTHON, "-m", "pytest", "-q", "--durations=3", *arguments)
    return Leg(name, command, environment, counts=True, beside=beside)


def conformance(name: str, database: str, *suites: str) -> Leg:
    command = (PYTHON, "-m", "tools.conformance", *suites)
    return Leg(name, command, {"TOCSIN_TEST_DATABASE": database}, counts=True)


# the oldest supported, where the machine has one: what has SQL of its own, for the rest is Django's
SQL = "canon capture control history publish relay retention schema snapshot_join topics triggers"
OLDER = [
    pytest(
        f"integration on PostgreSQL {found.parent.name}",
        *(f"tests/integration/test_{name}.py" for name in SQL.split()),
        beside=True,
        TOCSIN_TEST_DATABASE=SYSTEM,
    )
    for found in [system_postgresql()]
    if found is not None
]
# so that what runs beside the rest takes as long as the rest
APART = "tests/integration/test_re*.py"
CHECKS = {
    "lint": [
        tool("ruff", "ruff", "check", "--quiet"),
        tool("format", "ruff", "format", "--check", "--quiet"),
        tool("codespell", "codespell"),
        tool("dockerfile", "hadolint", "Dockerfile"),
    ],
    # its Django plugin loads the settings
    "types": [tool("mypy", "mypy", "project", "realtime", "tools", DEBUG="true")],
    "imports": [tool("imports", "lint-imports", "--config", "importlinter.toml")],
    "sizes": [Leg("sizes", (PYTHON, "-m", "tools.sizes"))],
    "floors": [Leg("floors", (PYTHON, "-m", "tools.floors"))],
}
CHECK = [leg for legs in CHECKS.values() for leg in legs]
TESTS = {
    "docs": [pytest("docs", "tests/unit", "-k", "documented", TOCSIN_TEST_DATABASE="sqlite")],
    "integration": [
        pytest("integration on PostgreSQL", "tests/integration", f"--ignore-glob={APART}"),
        pytest("relay and replay, the same", *map(str, sorted(ROOT.glob(APART))), beside=True),
        pytest(
            "integration on SQLite",
            "tests/integration",
            *("-m", "not either"),  # why these need no second run: pyproject.toml
            beside=True,
            TOCSIN_TEST_DATABASE="sqlite",
        ),
        *OLDER,
    ],
    "unit": [pytest("unit", "tests/unit", beside=True)],
    "conformance": [
        conformance("conformance on PostgreSQL", "postgresql", "python", "javascript"),
        conformance("conformance on SQLite", "sqlite", "python-live", "javascript"),
    ],
    "browser": [pytest("browser", "tests/browser", DJANGO_ALLOW_ASYNC_UNSAFE="true")],
    "faults": [
        pytest(
            "faults on SQLite",
            *("tests/faults", "-m", "not either"),
            beside=True,
            TOCSIN_TEST_DATABASE="sqlite",
        ),
        pytest("faults on PostgreSQL", "tests/faults"),
    ],
}
# too long for every day; `faults` above is their short form
LONG = {
    "battery": [
        *(
            pytest(
                f"battery on {name}",
                *("tests/faults/test_chaos.py", "tests/faults/test_disk.py", "-s", "-k", "whole"),
                TOCSIN_BATTERY=TABLE,
                TOCSIN_TEST_DATABASE=database,
            )
            for name, database in (("PostgreSQL", "postgresql"), ("SQLite", "sqlite"))
        ),
        pytest("overload", "tests/faults/test_overload.py", "-s", TOCSIN_OVERLOAD="1"),
    ],
    "soak": [pytest("soak", "tests/faults/test_soak.py", "-s", TOCSIN_SOAK_S="3600")],
}
ALL = [*CHECK, *(leg for goal in TESTS if goal != "docs" for leg in TESTS[goal])]
GOALS = {**CHECKS, "check": CHECK, **TESTS, **LONG, "all": ALL}


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def run(leg: Leg, show: Callable[[str], object] = say) -> Outcome:
    """Run with the output shown as it comes."""
    show(f"\n── {leg.name}\n")
    began, last = time.monotonic(), ""
    with subprocess.Popen(  # noqa: S603
        leg.command,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **leg.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        _running.add(process)
        for line in process.stdout or ():
            show(line)
            last = line.strip().strip("= ") or last
    _running.discard(process)
    is_pytest = "pytest" in leg.command
    # an empty folder collects nothing: no test, no failure
    passed = process.returncode in ({0, NOTHING_COLLECTED} if is_pytest else {0})
    shown = last if leg.counts else ("ok" if passed else "FAILED")
    return Outcome(leg, passed, shown, time.monotonic() - began)


def run_all(legs: list[Leg]) -> list[Outcome]:
    """In the order of the list, but for those that run beside others."""
    outcomes: list[Outcome] = []
    while legs:
        first, *rest = legs
        beside = list(itertools.takewhile(lambda leg: leg.beside, rest))
        legs = rest[len(beside) :]
        with ThreadPoolExecutor() as pool:
            ahead, behind = pool.submit(run, first), pool.submit(_run_unseen, beside)
            try:
                outcomes += [ahead.result(), *behind.result()]
            except KeyboardInterrupt:
                for process in list(_running):
                    process.terminate()  # its servers end with it
                raise
    return outcomes


def _run_unseen(legs: list[Leg]) -> list[Outcome]:
    outcomes = []
    for leg in legs:
        said: list[str] = []
        outcomes.append(run(leg, said.append))
        say("".join(said))
    return outcomes


def summary(outcomes: list[Outcome]) -> str:
    lines = [
        f"{'ok  ' if o.passed else 'FAIL'}  {o.leg.name:<26} {o.took_s:6.1f} s  {o.last}"
        for o in outcomes
    ]
    failed = [o.leg.name for o in outcomes if not o.passed]
    verdict = f"FAILED: {', '.join(failed)}" if failed else "everything passed"
    return "\n".join([*lines, verdict])


def main(goal: str) -> int:
    if goal not in GOALS:
        print(f"unknown: {goal}; known: {', '.join(GOALS)}")
        return 2
    # stopped by whom it may: the leg that runs ends too
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        outcomes = run_all(GOALS[goal])
    except KeyboardInterrupt:
        print("\ninterrupted")
        return 130
    print(f"\n── summary of `{goal}`\n{summary(outcomes)}", flush=True)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "all"))
