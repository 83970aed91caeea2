"""Autobahn|Testsuite has passed where every case was run, and none of them failed."""

import subprocess

import pytest

from tools import autobahn
from tools.autobahn import GROUPS, demand_passed, prepare, python27, table
from tools.conformance import ConformanceError


def case(behavior="OK", close="OK"):
    return {"behavior": behavior, "behaviorClose": close}


@pytest.fixture
def cases():
    return {f"{group}.{n}": case() for group, (_, count) in GROUPS.items() for n in range(count)}


def test_all_passed(cases):
    cases |= {"3.1": case("NON-STRICT"), "7.1": case("INFORMATIONAL", "INFORMATIONAL")}
    demand_passed(cases)
    lines = [line.split() for line in table(cases).splitlines()]
    assert ["3", "reserved", "bits", "6", "1", "0", "0"] in lines
    assert ["7", "the", "closing", "handshake", "36", "0", "1", "0"] in lines


@pytest.mark.parametrize(
    "found",
    [
        case("FAILED"),
        case("UNIMPLEMENTED"),
        case(close="WRONG CODE"),
        case(close="UNCLEAN"),
        case("NON-STRICT", "FAILED BY CLIENT"),
    ],
)
def test_one_that_failed_is_named_and_counted(cases, found):
    cases["6.7"] = found
    with pytest.raises(ConformanceError, match=r"failed.*index\.html: 6\.7 \("):
        demand_passed(cases)
    assert "UTF-8" in (line := table(cases).splitlines()[6])
    assert line.split()[-4:] == ["144", "0", "0", "1"]


def test_one_that_was_not_run_is_no_success(cases):
    del cases["10.0"]
    with pytest.raises(ConformanceError, match="0 of 1 cases about many fragments"):
        demand_passed(cases)


@pytest.fixture
def _nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))


@pytest.mark.usefixtures("_nowhere")
def test_a_machine_without_its_python_is_told_what_to_do():
    with pytest.raises(ConformanceError, match=r"pyenv install 2\.7"):
        python27()


@pytest.mark.usefixtures("_nowhere")
def test_the_python_behind_a_stand_in_that_leads_nowhere_is_found(tmp_path):
    real = tmp_path / "versions" / "2.7.18" / "bin" / "python2.7"
    real.parent.mkdir(parents=True)
    for program, code in ((tmp_path / "python2.7", 127), (real, 0)):
        program.write_text(f"#!/bin/sh\nexit {code}\n")
        program.chmod(0o755)
    assert python27() == str(real)


def test_packages_are_installed_once_and_anew_when_others_are_pinned(tmp_path, monkeypatch):
    pin = tmp_path / "pin.txt"
    monkeypatch.setattr(autobahn, "PIN", pin)
    monkeypatch.setattr(autobahn, "PACKAGES", tmp_path / "packages")
    installed = []

    def pip(command, **_):
        (tmp_path / "packages").mkdir()
        installed.append(pin.read_text())
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(autobahn.subprocess, "run", pip)
    for pinned in ("a==1", "a==1", "a==2"):
        pin.write_text(pinned)
        prepare("python2.7")
    assert installed == ["a==1", "a==2"]


def test_packages_that_cannot_be_had_are_an_error_that_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(autobahn, "PACKAGES", tmp_path / "packages")
    refused = subprocess.CompletedProcess([], 1, "", "no route to the index")
    monkeypatch.setattr(autobahn.subprocess, "run", lambda *_, **__: refused)
    with pytest.raises(ConformanceError, match="no route to the index"):
        prepare("python2.7")
