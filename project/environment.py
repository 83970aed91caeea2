"""Values of the environment that could be mistyped: read, or refused by name with what to write."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import tempfile
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENGINES = {
    "django.db.backends.postgresql": "postgres://user:password@host/name",
    "django.db.backends.sqlite3": "sqlite:////path/to/file",
}
REDIS = ("redis", "rediss", "unix")
SWITCH = {"true": True, "1": True, "yes": True, "on": True,
          "false": False, "0": False, "no": False, "off": False, "": False}  # fmt: skip
KEY_BYTES = 50
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def load(file: Path) -> None:
    """Add what a `.env` says to the environment, where there is one; what is set outside wins."""
    if file.exists():
        environ.Env.read_env(file)


def own_key(folder: Path) -> str:
    """The SECRET_KEY of one checkout, kept in `folder`, made by who asks first; for development.

    A key in the source would let whoever reads it sign tokens and whatever else the key protects.
    Nothing is made up for one process alone: the others would refuse what it signs.
    """
    file = folder / "secret-key"
    try:
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _place(file, secrets.token_urlsafe(KEY_BYTES))
        key = file.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"SECRET_KEY is not set, and this checkout's own cannot be kept in {file} "
            f"({error.strerror}): set it, or let that file be written and read"
        ) from error
    if not key:
        raise ImproperlyConfigured(f"SECRET_KEY is not set, and {file} is empty: remove that file")
    return key


def _place(file: Path, text: str) -> None:
    """Whole or not at all, and never over what another process has placed meanwhile."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent) as new:  # only its owner may read it
        new.write(text)
        new.flush()
        with contextlib.suppress(FileExistsError):
            os.link(new.name, file)


def database(env: environ.Env, default: str) -> dict[str, Any]:
    """DATABASE_URL; its password is in no message."""
    settings = _read("DATABASE_URL", " or ".join(ENGINES.values()), env.db, default)
    if settings.get("ENGINE") not in ENGINES or not settings.get("NAME"):
        raise ImproperlyConfigured(_refusal("DATABASE_URL", " or ".join(ENGINES.values())))
    return settings


def redis(env: environ.Env, default: str) -> str:
    url: str = env.str("REDIS_URL", default=default)
    parts = urlsplit(url)
    if parts.scheme not in REDIS or not (parts.path if parts.scheme == "unix" else parts.netloc):
        example = "redis://host:6379/0, rediss://… or unix:///path/to/redis.sock?db=0"
        raise ImproperlyConfigured(_refusal("REDIS_URL", example))
    return url


def mail(env: environ.Env, default: str) -> dict[str, Any]:
    example = "smtp+tls://user:password@host:587, or consolemail://"
    return _read("EMAIL_URL", example, env.email, default)


def switch(env: environ.Env, name: str) -> bool:
    """On or off; a word that is neither is no "off", or `DEBUG=enabled` would be a riddle."""
    text: str = env.str(name, default="false")
    if (value := SWITCH.get(text.strip().lower())) is None:
        raise ImproperlyConfigured(f"{name} is {text!r}; it must be true or false")
    return value


def log_level(env: environ.Env) -> str:
    level: str = env.str("LOG_LEVEL", default=logging.getLevelName(logging.INFO)).upper()
    if level not in LEVELS:
        raise ImproperlyConfigured(f"LOG_LEVEL is {level!r}; it must be one of {', '.join(LEVELS)}")
    return level


def _read(
    name: str, example: str, reader: Callable[..., dict[str, Any]], default: str
) -> dict[str, Any]:
    try:
        with warnings.catch_warnings(action="ignore"):  # the refusal below says it better
            return reader(name, default=default)
    except (ImproperlyConfigured, ValueError, KeyError):
        raise ImproperlyConfigured(_refusal(name, example)) from None


def _refusal(name: str, example: str) -> str:
    return f"{name} cannot be read; it must look like {example}"
