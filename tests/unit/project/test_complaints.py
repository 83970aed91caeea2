"""What an operator gets wrong is named in one sentence, with what to write."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, ProgrammingError

from project import complaints

ROOT = Path(__file__).resolve().parents[3]
MANAGE = str(ROOT / "manage.py")
PASSWORD = "a-password-of-nobody"


def manage(*arguments, **environment):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, MANAGE, *arguments],
        env={**kept, "DEBUG": "true", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DEBUG": "false"}, "SECRET_KEY is missing or weak"),
        ({"DEBUG": "enabled"}, "DEBUG is 'enabled'; it must be true or false"),
        ({"PLAIN_HTTP": "maybe"}, "PLAIN_HTTP is 'maybe'"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL cannot be read"),
        ({"DATABASE_URL": f"oracle9://x:{PASSWORD}@y/z"}, "DATABASE_URL cannot be read"),
        ({"DATABASE_URL": f"postgres://x:{PASSWORD}@y:port/z"}, "DATABASE_URL cannot be read"),
        ({"DATABASE_URL": "sqlite:////nowhere/x.sqlite3"}, "/nowhere/x.sqlite3"),
        ({"DATABASE_URL": f"postgres://x:{PASSWORD}@127.0.0.1:1/z"}, "The database z on 127.0.0.1"),
        ({"REDIS_URL": "nonsense"}, "REDIS_URL cannot be read"),
        ({"EMAIL_URL": "nonsense"}, "EMAIL_URL cannot be read"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL is 'LOUD'"),
        ({"TOCSIN_HEAD_POLL_S": "abc"}, "TOCSIN_HEAD_POLL_S is 'abc'"),
        ({"TOCSIN_HEAD_POLL_S": "-1"}, "TOCSIN_HEAD_POLL_S is '-1'"),
    ],
)
def test_a_wrong_value_ends_the_program_with_a_sentence(environment, said):
    done = manage("migrate", **environment)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    assert PASSWORD not in done.stderr


def test_a_port_that_cannot_be_is_refused():
    done = manage("serve", "--port", "99999")
    assert done.returncode == 1
    assert "--port must be" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_tables_ask_for_migrate():
    said = complaints.sentence(OperationalError("no such table: auth_user"))
    assert said == (
        "The tables are not up to date (no such table: auth_user). Run `manage.py migrate`."
    )


def test_a_missing_postgresql_database_does_not():
    said = complaints.sentence(OperationalError('FATAL:  database "x" does not exist'))
    assert "DATABASE_URL" in said


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(ProgrammingError), complaints.plainly([]):
        raise ProgrammingError("syntax error")


def test_traceback_is_there_for_who_asks():
    with pytest.raises(ImproperlyConfigured), complaints.plainly(["--traceback"]):
        raise ImproperlyConfigured("wrong")
