"""A failed leg fails the whole, and the summary names it."""

import sys

import pytest

from tools import suite
from tools.suite import Leg


def leg(name, code):
    return Leg(name, (sys.executable, "-c", code))


@pytest.fixture
def goal(monkeypatch):
    def run(*legs):
        monkeypatch.setitem(suite.GOALS, "these", list(legs))
        return suite.main("these")

    return run


def test_all_legs_run_and_one_that_fails_is_named(goal, capsys):
    assert goal(leg("first", "raise SystemExit(3)"), leg("second", "print('seen')")) == 1
    said = capsys.readouterr().out
    assert "seen" in said
    assert "FAILED: first" in said


def test_everything_passed_is_said(goal, capsys):
    assert goal(leg("only", "")) == 0
    assert "everything passed" in capsys.readouterr().out


def test_a_leg_runs_beside_the_one_before_it_and_is_shown_whole(goal, capsys, tmp_path):
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'done')!r}).exists():\n"
    first = leg("first", f"{wait}    time.sleep(0.01)\nprint('over')")
    code = f"import pathlib; print('one'); pathlib.Path({str(tmp_path / 'done')!r}).touch()"
    second = Leg("second", (sys.executable, "-c", f"{code}; raise SystemExit(1)"), beside=True)
    third = Leg("third", (sys.executable, "-c", "print('two')"), beside=True)
    assert goal(first, second, third, leg("last", "")) == 1
    said = capsys.readouterr().out
    assert "── second\none\n" in said
    assert "── third\ntwo\n" in said
    assert "FAILED: second" in said


def test_an_unknown_goal_is_an_error(capsys):
    assert suite.main("everything") == 2
    assert "known: " in capsys.readouterr().out


def test_the_last_line_of_pytest_stands_in_the_summary():
    outcome = suite.Outcome(suite.pytest("unit"), True, "3 passed in 0.10s", 1.0)
    assert "3 passed in 0.10s" in suite.summary([outcome])
