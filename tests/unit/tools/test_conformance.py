"""A foreign suite has passed where all of its tests have, and nothing less."""

import subprocess

import pytest

from tools import conformance
from tools.conformance import ConformanceError, verdict


def said(tests=185, end="OK"):
    return f"test_a (tests.A) ... ok\n{'-' * 70}\nRan {tests} tests in 38.112s\n\n{end}\n"


def test_all_passed():
    assert verdict("all", said()) == "185 passed in 38.112s"


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
        verdict("all", found)


def test_what_failed_is_shown_from_its_first_fault():
    found = f"test_a ... noise\n{'=' * 70}\nFAIL: test_a\nRan 185 tests in 1.0s\n\nFAILED\n"
    with pytest.raises(ConformanceError, match="FAIL: test_a") as told:
        verdict("all", found)
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
