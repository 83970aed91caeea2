"""System checks of what the project and its databases must be for the promise to hold.

Those of the database run with `manage.py check --database default` and before each migrate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks
from django.db import connections

from realtime.engine import capture, keyring, sql, triggers
from realtime.engine.conf import settings as conf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.checks import CheckMessage

SQLITE = "django.db.backends.sqlite3"


def project(**_: Any) -> list[CheckMessage]:
    return [*_time(), *_layer(), *_sessions(), *_sqlite()]


def _time() -> Iterator[CheckMessage]:
    if not settings.USE_TZ:
        yield checks.Error(
            "USE_TZ is False: triggers cannot know the zone of a time",
            hint="Set USE_TZ = True.",
            id="tocsin.E101",
        )


def _layer() -> Iterator[CheckMessage]:
    layers = getattr(settings, "CHANNEL_LAYERS", {})
    backend = layers.get("default", {}).get("BACKEND", "")
    if backend == "channels_redis.core.RedisChannelLayer":
        yield checks.Warning(
            "the core Redis layer drops messages above its capacity, almost without a word",
            hint='Use "channels_redis.pubsub.RedisPubSubChannelLayer".',
            id="tocsin.W102",
        )


def _sessions() -> Iterator[CheckMessage]:
    if settings.SESSION_ENGINE != "django.contrib.sessions.backends.db":
        yield checks.Warning(
            f"sessions live in {settings.SESSION_ENGINE}: their end is noticed by the periodic "
            "check only, not at once",
            hint='Set SESSION_ENGINE = "django.contrib.sessions.backends.db".',
            id="tocsin.W103",
        )


def _sqlite() -> Iterator[CheckMessage]:
    for alias, database in settings.DATABASES.items():
        if database["ENGINE"] != SQLITE:
            continue
        if database.get("OPTIONS", {}).get("transaction_mode") != "IMMEDIATE":
            yield checks.Error(
                f'database "{alias}": writers will fail beside each other: "database is locked"',
                hint='Set OPTIONS = {"transaction_mode": "IMMEDIATE", …}.',
                id="tocsin.E104",
            )
        if database.get("ATOMIC_REQUESTS"):
            yield checks.Warning(
                f'database "{alias}": with ATOMIC_REQUESTS every request, a GET too, takes the '
                "write lock",
                hint="Set ATOMIC_REQUESTS = False and use atomic() where rows are written.",
                id="tocsin.W105",
            )


def tokens(**_: Any) -> list[CheckMessage]:
    """What is wrong with the keys of tokens; no message shows any of them."""
    return [*_secrets(), *_public_keys()]


def _secrets() -> Iterator[CheckMessage]:
    command = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
    if settings.SECRET_KEY.encode() in {conf.TOKEN_SECRETS.encode(), *keyring.secrets()}:
        yield checks.Error(
            "a secret in TOCSIN_TOKEN_SECRETS is the SECRET_KEY: who may sign tokens could sign "
            "everything else, too",
            hint=f"Give tokens a key of their own: {command}",
            id="tocsin.E106",
        )
    for number, secret in enumerate(keyring.secrets(), 1):
        if len(secret) < keyring.SHORTEST_SECRET_BYTES and not settings.DEBUG:
            yield checks.Warning(
                f"secret {number} of TOCSIN_TOKEN_SECRETS has {len(secret)} bytes: it can be "
                "found by trying",
                hint=f"Take at least {keyring.SHORTEST_SECRET_BYTES} random bytes: {command}",
                id="tocsin.W107",
            )


def _public_keys() -> Iterator[CheckMessage]:
    try:
        if conf.TOKEN_JWKS:
            keyring.read(conf.TOKEN_JWKS)
    except (OSError, ValueError) as error:
        yield checks.Error(
            f"TOCSIN_TOKEN_JWKS, {conf.TOKEN_JWKS}, cannot be read: {error}",
            hint="Name a JWKS file with public RSA or EC (P-256) keys, readable for this process.",
            id="tocsin.E108",
        )


def database(**options: Any) -> list[CheckMessage]:
    return [fault for alias in options.get("databases") or () for fault in _database(alias)]


def _database(alias: str) -> Iterator[CheckMessage]:
    connection = connections[alias]
    if "tocsin_entry" not in connection.introspection.table_names():
        return
    # warnings, for migrate itself runs this before it brings them back
    for fault in triggers.missing(alias):
        yield checks.Warning(
            f"{fault}: changes may go unseen",
            hint="Run `manage.py triggers install`.",
            id="tocsin.W201",
        )
    yield from (_postgresql if connection.vendor == "postgresql" else _pragmas)(alias)


def _pragmas(alias: str) -> Iterator[CheckMessage]:
    with connections[alias].cursor() as cursor:
        cursor.execute("PRAGMA recursive_triggers")
        if not cursor.fetchone()[0]:
            yield checks.Error(
                f'database "{alias}": a row that REPLACE evicts would stay on the screens',
                hint='Add "PRAGMA recursive_triggers=ON;" to OPTIONS["init_command"].',
                id="tocsin.E202",
            )


def _postgresql(alias: str) -> Iterator[CheckMessage]:
    tables = sorted({source.table for source in capture.sources()})
    with connections[alias].cursor() as cursor:
        cursor.execute(sql.read("postgresql", "strangers"), [tables])
        for table, name in cursor.fetchall():
            yield checks.Warning(
                f'trigger "{name}" on {table} is not ours: if it changes other rows of the table, '
                "an older value of theirs may be published last",
                hint="If it does, write reread = True in the topic.",
                id="tocsin.W203",
            )
        cursor.execute(sql.read("postgresql", "sequence"))
        [cache] = cursor.fetchone()
    if cache != 1:
        yield checks.Error(
            f"the sequence of tocsin_entry hands out {cache} ids at a time: a row's changes could "
            "change places",
            hint="Run ALTER TABLE tocsin_entry ALTER id SET CACHE 1.",
            id="tocsin.E204",
        )
