"""Production starts with proper values only, and says which are missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from project import production

ROOT = Path(production.__file__).resolve().parent.parent
KEY = "kX3-random_enough0123456789abcdefghijklmnopqrstuvwxyz"
PROPER = {"DATABASE_URL": "sqlite:////tmp/x.sqlite3", "REDIS_URL": "redis://redis:6379/0"}


def demanded(environment=PROPER, key=KEY, hosts=("tocsin.example",), *, plain_http=False):
    production.demand(environment, key, hosts, plain_http=plain_http)


def test_proper_values_are_accepted():
    demanded()
    demanded(hosts=["localhost"], plain_http=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"key": ""}, "SECRET_KEY is missing or weak"),
        ({"key": "short"}, "SECRET_KEY is missing or weak"),
        ({"key": "a" * 60}, "SECRET_KEY is missing or weak"),
        ({"key": f"insecure-{KEY}"}, "SECRET_KEY is missing or weak"),
        ({"hosts": []}, "ALLOWED_HOSTS must name"),
        ({"hosts": ["tocsin.example", "*"]}, "ALLOWED_HOSTS must name"),
        ({"plain_http": True}, "PLAIN_HTTP sends passwords"),
        ({"environment": {"REDIS_URL": "x"}}, "DATABASE_URL is missing"),
        ({"environment": {"DATABASE_URL": "x"}}, "REDIS_URL is missing"),
    ],
)
def test_an_insecure_or_missing_value_is_named(changed, said):
    with pytest.raises(ImproperlyConfigured, match=said):
        demanded(**changed)


def test_all_problems_are_told_at_once():
    with pytest.raises(ImproperlyConfigured) as caught:
        demanded({}, "", [])
    for name in ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL"):
        assert name in str(caught.value)


def manage(*arguments, **environment):
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_insecure_start_fails_with_the_message_and_without_a_traceback_of_ours():
    done = manage("check", DEBUG="false", ALLOWED_HOSTS="*")
    assert done.returncode != 0
    assert "SECRET_KEY is missing or weak" in done.stderr
    assert "'*' is refused" in done.stderr


def test_check_deploy_is_clean_with_proper_values(tmp_path):
    done = manage(
        *("check", "--deploy", "--fail-level", "WARNING"),
        DEBUG="false",
        SECRET_KEY=KEY,
        ALLOWED_HOSTS="tocsin.example",
        CSRF_TRUSTED_ORIGINS="https://tocsin.example",
        DATABASE_URL=f"sqlite:///{tmp_path}/tocsin.sqlite3",
        REDIS_URL="redis://redis.example:6379/0",
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_secrets_of_tokens_are_hidden_in_the_log():
    shown = manage(
        "shell",
        "-c",
        "import logging; logging.error('one-planted-secret and another-planted-secret')",
        DEBUG="true",
        TOCSIN_TOKEN_SECRETS="one-planted-secret, another-planted-secret",
    )
    assert "[secret] and [secret]" in shown.stderr
