"""A checkout has a key of its own, which nobody else knows."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from project import environment
from project.environment import own_key

PROJECT = Path(environment.__file__).parent


def test_a_checkout_keeps_its_key(tmp_path):
    key = own_key(tmp_path / "var")
    assert len(key) >= 50
    assert own_key(tmp_path / "var") == key
    assert [file.name for file in (tmp_path / "var").iterdir()] == ["secret-key"]


def test_two_checkouts_have_different_keys(tmp_path):
    assert own_key(tmp_path / "one") != own_key(tmp_path / "other")


def test_only_its_owner_may_read_it(tmp_path):
    own_key(tmp_path)
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_who_begins_while_another_places_the_key_takes_that_one(tmp_path, monkeypatch):
    def while_another_begins(_):
        (tmp_path / "secret-key").write_text("the other's\n")
        return "mine"

    monkeypatch.setattr(environment.secrets, "token_urlsafe", while_another_begins)
    assert own_key(tmp_path) == "the other's"


def test_where_no_key_can_be_kept_it_is_said_what_is_missing(tmp_path):
    (tmp_path / "var").write_text("a file where the folder should be")
    with pytest.raises(ImproperlyConfigured, match=r"SECRET_KEY is not set.*var/secret-key"):
        own_key(tmp_path / "var")


def test_a_key_that_was_lost_is_not_taken_for_one(tmp_path):
    (tmp_path / "secret-key").write_text("\n")
    with pytest.raises(ImproperlyConfigured, match="secret-key is empty: remove that file"):
        own_key(tmp_path)


# --- The settings of a checkout that was just made


@pytest.fixture
def checkout(tmp_path):
    shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def asks(checkout, name, **given):
    """A process of this checkout that prints a setting, in an environment where nothing is set."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-c", f"from project import settings; print(settings.{name})"],
        cwd=checkout,
        env={**kept, "DEBUG": "true", "PYTHONDONTWRITEBYTECODE": "1", **given},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_programs_of_a_new_checkout_that_begin_together_have_one_key(checkout):
    programs = [asks(checkout, "SECRET_KEY") for _ in range(4)]
    keys = {program.communicate()[0].strip() for program in programs}
    assert keys == {(checkout / "var" / "secret-key").read_text()}


def test_a_key_that_is_given_is_the_key_and_none_is_made(checkout):
    assert asks(checkout, "SECRET_KEY", SECRET_KEY="given").communicate()[0] == "given\n"
    assert not (checkout / "var").exists()
