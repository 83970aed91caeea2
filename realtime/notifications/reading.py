"""What a person's pages show of their notifications, with the positions from which they go live.

The rows come from the topics' own snapshots: page and stream are joined without hole or overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from realtime.engine import api
from realtime.notifications.models import EVERYBODY, is_safe_url

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

SHOWN = 100


@dataclass(frozen=True)
class Row:
    """One line of the inbox: a notification, or an announcement as this person has it."""

    key: str
    kind: str
    title: str
    body: str
    link: str
    created_at: datetime
    unread: bool = False
    archived: bool = False

    @property
    def is_announcement(self) -> bool:
        return self.kind == "announcement" and not self.key.isdigit()


class Reading:
    """A person's inbox and the announcements, at one position each."""

    def __init__(self, user: AbstractBaseUser) -> None:
        self._inbox = _Topic(user, f"inbox:#{user.pk}")
        self._announcements = _Topic(user, f"announcements:{EVERYBODY}")
        self._user = user

    @cached_property
    def rows(self) -> list[Row]:
        """Notifications and announcements together, newest first."""
        rows = [_notification(key, body) for key, body in self._inbox.of("").items()]
        rows += [
            _announcement(body, unread=body in self._unread)
            for body in self._announcements.of("").values()
        ]
        return sorted(rows, key=lambda row: row.created_at, reverse=True)

    def view(self, name: str) -> list[Row]:
        if name == "archived":
            return [row for row in self.rows if row.archived]
        return [row for row in self.rows if not row.archived and (row.unread or name == "all")]

    def row(self, key: str) -> Row | None:
        return next((row for row in self.rows if row.key == key), None)

    @property
    def banner(self) -> Row | None:
        """The newest announcement that is not read."""
        return next((row for row in self.rows if row.is_announcement and row.unread), None)

    @property
    def unread(self) -> int:
        return int(self._inbox.counts.get("unread", 0)) + len(self._unread)

    @property
    def unseen(self) -> int:
        seen = self._watermark.get("seen_number", 0)
        new = [body for body in self._unread if body["number"] > seen]
        return int(self._inbox.counts.get("unseen", 0)) + len(new)

    @property
    def page(self) -> dict[str, Any]:
        """What the page's code begins with: positions, counts, and the sets to reckon with."""
        return {
            "user": str(self._user.pk),
            "inbox": {**self._inbox.position, "counts": self._inbox.counts},
            "receipts": sorted(self._receipts),
            "watermark": self._watermark,
            "announcements": {
                **self._announcements.position,
                "rows": self._announcements.rows,
            },
        }

    @property
    def unread_keys(self) -> list[str]:
        """What "all read" means on this page, with the two below."""
        return [
            row.key for row in self.rows if row.unread and not row.archived and row.key.isdigit()
        ]

    @property
    def oldest_id(self) -> int | None:
        """The lowest id on the page where older ones may be unread, too."""
        ids = [int(key) for key in self._inbox.of("")]
        known = len(self.unread_keys)
        return min(ids, default=None) if known < self._inbox.counts.get("unread", 0) else None

    @property
    def newest_number(self) -> int:
        bodies = self._announcements.of("").values()
        return max((int(body["number"]) for body in bodies), default=0)

    @property
    def inbox_rows(self) -> list[dict[str, Any]]:
        return [{"key": key, "body": body} for key, body in self._inbox.of("").items()]

    @cached_property
    def _receipts(self) -> set[int]:
        return {int(body["announcement_id"]) for body in self._inbox.of("receipt:").values()}

    @cached_property
    def _watermark(self) -> dict[str, int]:
        return next(iter(self._inbox.of("watermark:").values()), {})

    @cached_property
    def _unread(self) -> list[dict[str, Any]]:
        """Announcements without receipt above the watermark: a set, never a sum."""
        read = self._watermark.get("read_number", 0)
        return [
            body
            for body in self._announcements.of("").values()
            if body["number"] > read and int(body["id"]) not in self._receipts
        ]


class _Topic:
    """A snapshot with the publications that belong to it already applied."""

    def __init__(self, user: AbstractBaseUser, topic: str) -> None:
        snapshot = api.snapshot(user, topic)
        self.position = {
            "topic": topic,
            "epoch": snapshot["epoch"],
            "offset": snapshot["offset"],
        }
        self.counts: dict[str, int] = dict(snapshot["counts"])
        self._bodies = {row["key"]: row["body"] for row in snapshot["rows"]}
        for publication in snapshot["publications"]:
            self._apply(publication)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [{"key": key, "body": body} for key, body in self._bodies.items()]

    def of(self, prefix: str) -> dict[str, dict[str, Any]]:
        """The bodies of one model: its keys begin with `receipt:`, the first model's have none."""
        return {
            key: body
            for key, body in self._bodies.items()
            if key[: key.find(":") + 1] == prefix and body is not None
        }

    def _apply(self, publication: dict[str, Any]) -> None:
        for name, delta in publication.get("counts", {}).items():
            self.counts[name] = self.counts.get(name, 0) + delta
        if publication["op"] == "d":
            self._bodies.pop(publication["key"], None)
        elif "body" in publication:
            self._bodies[publication["key"]] = publication["body"]


def of(request: HttpRequest) -> Reading:
    """The request's one reading: the frame and the page show the same instant."""
    if not hasattr(request, "_reading"):
        request._reading = Reading(request.user)  # type: ignore[attr-defined, arg-type]  # noqa: SLF001
    reading: Reading = request._reading  # type: ignore[attr-defined]  # noqa: SLF001
    return reading


def _notification(key: str, body: dict[str, Any]) -> Row:
    return Row(
        key=key,
        kind=body["kind"],
        title=body["title"],
        body=body["body"],
        link=_link(body["url"]),
        created_at=datetime.fromisoformat(body["created_at"]),
        unread=body["read_at"] is None,
        archived=body["archived_at"] is not None,
    )


def _announcement(body: dict[str, Any], *, unread: bool) -> Row:
    return Row(
        key=f"announcement:{body['id']}",
        kind="announcement",
        title=body["title"],
        body=body["body"],
        link=_link(body["url"]),
        created_at=datetime.fromisoformat(body["published_at"]),
        unread=unread,
    )


def _link(url: str) -> str:
    return url if url and is_safe_url(url) else ""
