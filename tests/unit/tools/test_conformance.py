"""A foreign suite has passed where all of its tests have, and nothing less."""

import subprocess

import pytest

from tools import conformance
from tools.conformance import SUITES, ConformanceError, demand_passed


def said(tests=185, end="OK"):
    return f"test_a (tests.A) ... ok\n{'-' * 70}\nRan {tests} tests in 38.112s\n\n{end}\n"


def tap(passed=80, **other):
    counts = {"tests": 80, "pass": passed, "fail": 0, "cancelled": 0, "skipped": 0, "todo": 0}
    return "ok 1 - json\n" + "".join(f"# {k} {v}\n" for k, v in (counts | other).items())


def test_all_passed():
    demand_passed(SUITES["python"], said())
    demand_passed(SUITES["javascript"], tap())


@pytest.mark.parametrize(
    "found",
    [
        said(184),
        said(end="OK (skipped=1)"),
        said(end="FAILED (errors=1)"),
        said(end="FAILED (failures=2)"),
        "Traceback",
    ],
)
def test_fewer_skipped_or_failed_is_no_success(found):
    with pytest.raises(ConformanceError, match="not all of 185"):
        demand_passed(SUITES["python"], found)


@pytest.mark.parametrize(
    "found", [tap(79, fail=1), tap(79, skipped=1), tap(0), "Cannot find module"]
)
def test_neither_is_it_in_the_other_language(found):
    with pytest.raises(ConformanceError, match="not all of 80"):
        demand_passed(SUITES["javascript"], found)


def test_what_failed_is_shown_from_its_first_fault():
    found = f"test_a ... noise\n{'=' * 70}\nFAIL: test_a\nRan 185 tests in 1.0s\n\nFAILED\n"
    with pytest.raises(ConformanceError, match="FAIL: test_a") as told:
        demand_passed(SUITES["python"], found)
    assert "noise" not in str(told.value)


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """What pip brings."""
    monkeypatch.setattr(conformance, "CACHE", tmp_path / "suites")

    def pip(content, message=""):
        def run(command, **_):
            (tmp_path / "suites" / "suite.tar.gz").write_bytes(content)
            return subprocess.CompletedProcess(command, 1, "", message)

        monkeypatch.setattr(conformance.subprocess, "run", run)

    return pip


def test_a_suite_that_cannot_be_fetched_is_an_error_that_says_why(fetched):
    fetched(b"other bytes", "no route to the index")
    with pytest.raises(ConformanceError, match=r"suite\.txt.*no route to the index"):
        conformance.archive()
