"""The keys of the server API: made once, kept as a hash, limited to methods and to topics.

A key has 256 random bits, so its plain hash can be neither guessed nor reversed. It is looked up
anew for each request: a revoked key opens nothing from then on, in every process.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils import timezone

from realtime.engine import pool
from realtime.engine.models import ApiKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

METHODS = (
    "publish", "broadcast", "subscribe", "unsubscribe", "disconnect", "refresh", "presence",
    "presence_stats", "history", "history_remove", "channels", "info",
)  # fmt: skip
START = 10
USED_EVERY = dt.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Key:
    """What a request may do. `prefixes`: of the topics; none: any topic."""

    id: int
    methods: frozenset[str]
    prefixes: tuple[str, ...]

    def allows(self, method: str, topic: str = "") -> bool:
        """Whether it may call the method, for this topic where the method has one."""
        return method in self.methods and (not topic or self.covers(topic))

    def covers(self, topic: str) -> bool:
        return not self.prefixes or topic.startswith(self.prefixes)


def make(
    name: str,
    methods: Iterable[str],
    prefixes: Iterable[str] = (),
    *,
    created_by: Any = None,
    secret: str = "",
) -> tuple[ApiKey, str]:
    """A new key and its text, which cannot be had again. `secret`: a text of one's own choice."""
    key = ApiKey(name=name, methods=sorted(methods), topics=sorted(prefixes), created_by=created_by)
    text = endow(key, secret)
    key.save()
    return key, text


def endow(key: ApiKey, text: str = "") -> str:
    """Give an unsaved key its text."""
    text = text or f"tocsin_{secrets.token_urlsafe(32)}"
    key.start, key.digest = text[:START], _digest(text)
    return text


def named(name: str) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(name=name)


def revoke(rows: QuerySet[ApiKey]) -> int:
    """End these keys for good; how many of them were still good."""
    ended: int = rows.filter(revoked_at=None).update(revoked_at=timezone.now())
    return ended


def find(text: str) -> Key | None:
    """Whom a key's text speaks for; None: nobody, or nobody any more."""
    digest = _digest(text)
    row = ApiKey.objects.filter(digest=digest, revoked_at=None).first() if text else None
    if row is None or not secrets.compare_digest(row.digest, digest):
        return None
    _note_use(row)
    return Key(row.pk, frozenset(row.methods), tuple(row.topics))


def _note_use(row: ApiKey) -> None:
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at >= USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_EVERY)
        ApiKey.objects.filter(stale, pk=row.pk).update(last_used_at=now)


def _digest(text: str) -> str:
    # no error for halves of characters, which a header may hold
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


afind = pool.awaitable(find, "API_THREADS")
