"""The live topics of notifications: a person's inbox, and the announcements."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from realtime.engine.topics import History, Topic, live
from realtime.notifications.models import EVERYBODY, Announcement, Notification, Receipt, Watermark


@live
class Inbox(Topic):
    """A person's notifications, newest first, and what they have read of the announcements."""

    namespace = "inbox"
    models = (Notification, Receipt, Watermark)
    name = "inbox:#{recipient_id}"
    fields = {
        Notification: (
            "id",
            "kind",
            "title",
            "body",
            "url",
            "created_at",
            "seen_at",
            "read_at",
            "archived_at",
        ),
        Receipt: ("announcement_id", "read_at"),
        Watermark: ("seen_number", "read_number"),
    }
    # Deleting one announcement deletes all its receipts: nobody needs to hear of each.
    operations = {Receipt: ("insert",)}
    history = History(size=1000, days=30)
    counts = {
        "unread": Q(read_at=None, archived_at=None),
        "unseen": Q(seen_at=None, archived_at=None),
    }

    def allows(self, user: Any, *, recipient_id: int | None = None) -> bool:
        return bool(user.is_active and user.pk == recipient_id)


@live
class Announcements(Topic):
    """What administrators tell everybody; a draft has no audience, so it is in no topic."""

    namespace = "announcements"
    model = Announcement
    name = "announcements:{audience}"
    fields = ("id", "number", "title", "body", "url", "published_at")
    history = History(size=1000, days=30)

    def allows(self, user: Any, *, audience: str | None = None) -> bool:
        return bool(user.is_active and audience == EVERYBODY)
