"""Two pages of the admin that are no list of rows: the relay's state, and the publication log.

The log has a primary key of two columns, which no list of the admin can show; so it has a page.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.timesince import timesince

from realtime.engine import state, triggers
from realtime.engine.models import Head, Publication

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

PAGE = 50
TOPICS = 100
OFFSET_DIGITS = 18
BODY_PREVIEW = 140
OPERATIONS = {
    "i": "insert",
    "u": "update",
    "d": "delete",
    "o": "over-size",
    "p": "publish",
    "c": "revocation",
    "T": "truncate",
}


class Tile(NamedTuple):
    """A figure with its state in words; `level` (ok, warn, danger) only repeats it in colour."""

    name: str
    level: str
    value: str
    detail: str


class Line(NamedTuple):
    """A publication as the page shows it; `body` is None for those who may not see bodies."""

    publication: Publication
    operation: str
    lag: str
    body: str | None
    preview: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The admin's first page begins with the relay's tiles, for those who may see them."""
    if request.user.has_perm("engine.view_entry"):
        context |= _health()
    return context


def relay(request: HttpRequest) -> HttpResponse:
    """Who leads, what waits, whether Redis answers and the triggers are in place."""
    if not request.user.has_perm("engine.view_entry"):
        raise PermissionDenied
    context = {**admin.site.each_context(request), "title": "Relay", **_health()}
    return TemplateResponse(request, "admin/engine/relay.html", context)


def _health() -> dict[str, Any]:
    now, figures, missing = state.relay(), state.log(), triggers.missing()
    return {
        "relay": now,
        "log": figures,
        "tiles": [
            _leader(now, figures),
            _queue(now),
            _redis(now),
            _log(figures),
            _triggers(missing),
        ],
        "troubles": troubles(now, figures, missing),
        "read_at": timezone.now(),
    }


def log(request: HttpRequest) -> HttpResponse:
    """The newest publications of all topics, or those of a topic page by page."""
    if not request.user.has_perm("engine.view_publication"):
        raise PermissionDenied
    words = request.GET.get("q", "").replace("\0", "").strip()
    before, error = _before(request.GET.get("before", ""))
    head = Head.objects.filter(topic=words).first() if words else None
    found = _found(words, head, before)
    rows = list(found[: PAGE + 1]) if not error else []
    older = {"q": words, "before": rows[PAGE - 1].offset} if head and len(rows) > PAGE else None
    context = {
        **admin.site.each_context(request),
        "title": "Publication log",
        "words": words,
        "head": head,
        "error": error,
        "lines": [_line(row, bodies=request.user.is_superuser) for row in rows[:PAGE]],
        "more": len(rows) > PAGE,
        "bodies": request.user.is_superuser,
        "older": f"?{urlencode(older)}" if older else "",
        "newest": f"?{urlencode({'q': words})}" if before is not None else "",
    }
    return TemplateResponse(request, "admin/engine/log.html", context)


def _found(words: str, head: Head | None, before: int | None) -> QuerySet[Publication]:
    """Along an index: (topic, offset) for one topic, `moved_at` for many."""
    rows = Publication.objects.all()
    if head:
        rows = rows.filter(topic=head.topic)
        rows = rows if before is None else rows.filter(offset__lt=before)
        return rows.order_by("-offset")
    if words:
        topics = Head.objects.filter(topic__icontains=words).order_by("-moved_at")
        rows = rows.filter(topic__in=list(topics.values_list("topic", flat=True)[:TOPICS]))
    return rows.order_by("-moved_at", "topic", "-offset")


def _before(text: str) -> tuple[int | None, str]:
    if not text:
        return None, ""
    if text.isdecimal() and len(text) <= OFFSET_DIGITS:
        return int(text), ""
    return None, f"“{text[:40]}” is not an offset: a whole number, for example 4182."


def _line(row: Publication, *, bodies: bool) -> Line:
    text = row.body or ""
    preview = text if len(text) <= BODY_PREVIEW else f"{text[:BODY_PREVIEW]}…"
    operation = OPERATIONS.get(row.op, row.op)
    lag = seconds((row.moved_at - row.written_at).total_seconds())
    return Line(row, operation, lag, text if bodies else None, preview if bodies else "")


# --- The tiles of the relay ---------------------------------------------------------------------


def troubles(now: state.Relay, figures: state.Log, missing: list[str]) -> list[str]:
    """What a person should know or do, in whole sentences."""
    said = []
    if now.leader is None:
        said.append(
            f"No leader{_since(figures.last_move)}, {now.waiting:,} waiting. Nothing is lost; "
            "start manage.py relay."
        )
    elif now.behind:
        said.append(
            f"The relay is behind: more than {now.waiting - 1:,} entries wait. Nothing is lost; "
            "is a program writing in bulk, or the database too slow?"
        )
    if now.redis:
        said.append(f"Redis is away ({now.redis}). Slower, nothing is lost.")
    if missing:
        said.append(
            "Some changes are not captured. Run manage.py migrate, which installs triggers."
        )
    return [*said, *missing]


def _leader(now: state.Relay, figures: state.Log) -> Tile:
    if now.leader is None:
        return Tile("Relay", "danger", "No leader", f"nothing was moved{_since(figures.last_move)}")
    process = now.leader
    where = f"{process.host}, pid {process.pid}{_since(process.since)}"
    return Tile("Relay", "ok", "Leading", where)


def _queue(now: state.Relay) -> Tile:
    if not now.waiting:
        return Tile("Waiting", "ok", "0", "everything committed has its number")
    level = "ok" if now.oldest_s < state.LATE_S and not now.behind else "warn"
    more = "more than " if now.behind else ""
    count = now.waiting - now.behind
    return Tile("Waiting", level, f"{more}{count:,}", f"the oldest for {seconds(now.oldest_s)}")


def _redis(now: state.Relay) -> Tile:
    if now.redis:
        return Tile("Redis", "warn", "Away", "slower, nothing is lost")
    return Tile("Redis", "ok", "Answers", "wakes the hubs")


def _log(figures: state.Log) -> Tile:
    if figures.last_move is None:
        return Tile("Log", "ok", "Empty", "nothing was ever moved")
    age = (timezone.now() - figures.last_move).total_seconds()
    return Tile("Last move", "ok", f"{seconds(age)} ago", f"{figures.topics:,} topics")


def _triggers(missing: list[str]) -> Tile:
    if missing:
        return Tile("Triggers", "danger", f"{len(missing)} missing", "changes go unseen")
    return Tile("Triggers", "ok", "In place", "every declared change is captured")


def _since(moment: dt.datetime | None) -> str:
    return f" since {moment:%Y-%m-%d %H:%M:%S}" if moment else ""


def seconds(length: float) -> str:
    """A length of time as people say it: 3 ms, 12 s, 5 minutes."""
    if length < 1:
        return f"{max(0, round(length * 1000))} ms"
    if length < 100:  # noqa: PLR2004  (below, seconds are still read at a glance)
        return f"{length:.0f} s"
    now = timezone.now()
    return timesince(now - dt.timedelta(seconds=length), now, depth=1)
