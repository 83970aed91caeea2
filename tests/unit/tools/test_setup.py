"""A step is done once for the same input, and again when it changes."""

import pytest

from tools import setup


@pytest.fixture
def step(tmp_path, capsys):
    source, stamp, done = tmp_path / "requirements.txt", tmp_path / "stamps" / "x", []
    source.write_text("a==1")

    def run():
        setup.step("packages", stamp, [source], lambda: done.append(source.read_text()))
        return done

    run.source = source
    return run


def test_the_second_time_nothing_is_done(step):
    assert step() == ["a==1"]
    assert step() == ["a==1"]


def test_another_lock_file_is_another_setup(step):
    step()
    step.source.write_text("a==2")
    assert step() == ["a==1", "a==2"]


def test_a_failed_step_is_tried_again(tmp_path):
    source, stamp = tmp_path / "lock", tmp_path / "stamp"
    source.write_text("")

    def fail():
        raise setup.SetupError("no network")

    for _ in range(2):
        with pytest.raises(setup.SetupError):
            setup.step("packages", stamp, [source], fail)
    assert not stamp.exists()


def test_a_failing_command_shows_what_it_said(tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "LOG", tmp_path / "setup.log")
    with pytest.raises(setup.SetupError, match="no such package"):
        setup.run(["sh", "-c", "echo no such package; exit 1"])


def test_an_old_node_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, said in (("node", "v16.20.0"), ("npm", "8")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {said}\n")
        (tmp_path / name).chmod(0o755)
    assert setup.usable_npm() is None
    (tmp_path / "node").write_text("#!/bin/sh\necho v20.1.0\n")
    assert setup.usable_npm() == str(tmp_path / "npm")
