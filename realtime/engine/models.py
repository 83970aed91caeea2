"""The engine's own tables.

`sql/<vendor>/schema.sql` makes those of the log, these classes read them. They are not managed: a
flush of the database leaves the namespaces and their epochs alone. Those of the server API are
Django's own.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

# the topic of the revocations, numbered like all (correctness.md §7)
CONTROL = "!control"


class RawField(models.TextField):
    """A column that comes as the database's own text: JSON byte for byte, `"char"`, `text[]`."""

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        if compiler.connection.vendor == "postgresql":
            return f"{sql}::text", params
        return sql, params


class InstantField(models.DateTimeField):
    """timestamptz on PostgreSQL, unix milliseconds on SQLite; aware datetimes in Python."""

    def get_internal_type(self) -> str:
        return "InstantField"

    def from_db_value(self, value: Any, *_: object) -> dt.datetime | None:
        if isinstance(value, int):
            return dt.datetime.fromtimestamp(value / 1000, dt.timezone.utc)  # noqa: UP017
        return value  # type: ignore[no-any-return]

    def get_db_prep_value(
        self,
        value: Any,
        connection: BaseDatabaseWrapper,
        prepared: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:
        if connection.vendor == "sqlite" and isinstance(value, dt.datetime):
            return int(value.timestamp() * 1000)
        return super().get_db_prep_value(value, connection, prepared)


class Entry(models.Model):
    """The outbox: what a transaction changed, until the relay moves it.

    On SQLite only hubs write here, when they distrust the log.
    """

    id = models.BigIntegerField(primary_key=True)
    topics = RawField()
    op = RawField()
    key = models.TextField(null=True)
    body = RawField(null=True)
    counts = RawField(null=True)
    about = RawField(null=True)
    control = models.BooleanField(default=False)
    written_at = InstantField()

    class Meta:
        managed = False
        db_table = "tocsin_entry"
        verbose_name_plural = "entries"


class Publication(models.Model):
    """The log: numbered from 1 without holes within a topic and epoch."""

    pk = models.CompositePrimaryKey("topic", "offset")
    topic = models.TextField()
    offset = models.BigIntegerField()
    entry = models.BigIntegerField()
    op = RawField()
    key = models.TextField(null=True)
    body = RawField(null=True)
    counts = RawField(null=True)
    about = RawField(null=True)
    mark = models.BigIntegerField()
    written_at = InstantField()
    moved_at = InstantField()

    class Meta:
        managed = False
        db_table = "tocsin_log"


class Head(models.Model):
    """A topic's last offset, the life of its offsets, and the highest offset trimmed away."""

    topic = models.TextField(primary_key=True)
    epoch = models.TextField()
    offset = models.BigIntegerField()
    floor = models.BigIntegerField(default=0)
    moved_at = InstantField()

    class Meta:
        managed = False
        db_table = "tocsin_head"
        verbose_name = "topic"

    def __str__(self) -> str:
        return self.topic


class Namespace(models.Model):
    """The epoch of topics that have no head yet; a row for each namespace, `` and `!control`."""

    name = models.TextField(primary_key=True)
    epoch = models.TextField()

    class Meta:
        managed = False
        db_table = "tocsin_namespace"

    def __str__(self) -> str:
        return self.name or "(default)"


class Life(models.Model):
    """Which life of the database the epochs belong to: one row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    system_identifier = models.TextField()
    timeline = models.TextField()
    database_oid = models.TextField()

    class Meta:
        managed = False
        db_table = "tocsin_life"
        verbose_name_plural = "lives"


class ApiKey(models.Model):
    """A program's key to the server API. Of the key itself only the hash is kept.

    `start`: its first characters, to be told by. `topics`: prefixes of the topics that it is for;
    none: all.
    """

    name = models.CharField(max_length=100)
    start = models.CharField("key", max_length=16, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    methods = models.JSONField(default=list)
    topics = models.JSONField(default=list, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = "tocsin_api_key"
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.name


class RevokedToken(models.Model):
    """A token that opens nothing any more, or all that a person was given until then.

    `user`: its subject. `token_id`: its `jti`; "": every one whose `iat` is not after `revoked_at`,
    by clocks that may differ by TOKEN_LEEWAY_S.
    """

    user = models.CharField(
        "user id", max_length=255, db_index=True, help_text="The subject (sub) of the tokens."
    )
    token_id = models.CharField(
        "token id",
        max_length=255,
        blank=True,
        default="",
        help_text="The jti of one token. Empty: all that this user has by now.",
    )
    revoked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "tocsin_revoked_token"

    def __str__(self) -> str:
        return self.token_id or f"every token of {self.user}"


class Outcome(models.Model):
    """What a publish with an idempotency key (`word`) has done, for whoever asks it again.

    Where `entry` is 0, `epoch` and `offset` are its place in the log ("" and 0: no log keeps it);
    else the place is behind them, where the log has that entry. `made_at`: unix seconds.
    """

    key = models.BigIntegerField()
    topic = models.TextField()
    word = models.TextField()
    entry = models.BigIntegerField(default=0)
    epoch = models.TextField(default="")
    offset = models.BigIntegerField(default=0)
    made_at = models.BigIntegerField(db_index=True)

    class Meta:
        db_table = "tocsin_outcome"
        constraints = (
            models.UniqueConstraint(fields=("key", "topic", "word"), name="tocsin_outcome_once"),
        )
