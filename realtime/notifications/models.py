"""The rows of notifications: a person's inbox, announcements to many, and who has read what.

Times are set by actions; a program that writes SQL may leave out whatever has a database default.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

TITLE_LENGTH, URL_LENGTH, KIND_LENGTH = 200, 1000, 40
EVERYBODY = "all"


def is_safe_url(url: str) -> bool:
    """Whether `url` may become a link: http(s) with a host, or a path of this site."""
    if not url.isprintable() or " " in url:  # browsers drop tabs and line ends: another address
        return False
    if url.startswith("/"):
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)
    try:
        host = urlsplit(url).netloc
    except ValueError:
        return False
    return bool(host) and url_has_allowed_host_and_scheme(url, allowed_hosts={host})


def validate_url(url: str) -> None:
    if url and not is_safe_url(url):
        raise ValidationError("Start with http://, https:// or / (a path of this site).")


class Linked(models.Model):
    """What both kinds of message have: a title, a body and a place to go."""

    title = models.CharField(max_length=TITLE_LENGTH)
    body = models.TextField(blank=True, default="", db_default="")
    url = models.CharField(
        max_length=URL_LENGTH, blank=True, default="", db_default="", validators=[validate_url]
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title

    @property
    def link(self) -> str:
        """The `url` where it is safe to follow, else nothing: SQL may have written anything."""
        return self.url if self.url and is_safe_url(self.url) else ""


class Notification(Linked):
    """One message to one person. Unseen: not yet on their screen; unread: not yet opened."""

    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="notifications",
        db_index=False,  # the index below begins with it
    )
    kind = models.CharField(max_length=KIND_LENGTH, default="message", db_default="message")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    seen_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index("recipient", F("id").desc(), name="notification_newest"),
            models.Index(
                fields=["recipient"],
                condition=Q(read_at=None, archived_at=None),
                name="notification_unread",
            ),
            models.Index(
                fields=["recipient"],
                condition=Q(seen_at=None, archived_at=None),
                name="notification_unseen",
            ),
        ]


class Announcement(Linked):
    """One message to everybody: one row and one publication, however many read it.

    `audience` is the topic's column: a draft and a withdrawn announcement have none, so they belong
    to no topic. `number` is drawn at publication, and numbers become visible in their order: what
    "all read" means is therefore a single number a person.
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        WITHDRAWN = "withdrawn", "Withdrawn"

    state = models.CharField(
        max_length=10, choices=State, default=State.DRAFT, db_default=State.DRAFT, editable=False
    )
    audience = models.CharField(max_length=40, null=True, editable=False)
    number = models.IntegerField(null=True, unique=True, editable=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["audience", "-number"], name="announcement_newest")]
        constraints = [
            models.CheckConstraint(
                name="announcement_published_has_audience",
                condition=(
                    Q(state="published", audience__isnull=False, number__isnull=False)
                    | (~Q(state="published") & Q(audience=None))
                ),
            )
        ]


class Counter(models.Model):
    """One row: the number of the newest publication of an announcement, locked until its commit."""

    value = models.IntegerField(default=0)

    def __str__(self) -> str:
        return str(self.value)


class Receipt(models.Model):
    """A person has read an announcement; who has not has no row. Only inserts are published."""

    announcement = models.ForeignKey(Announcement, on_delete=models.CASCADE)
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="receipts",
        db_index=False,  # the constraint below begins with it
    )
    read_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "announcement"], name="receipt_once_a_person"
            )
        ]

    def __str__(self) -> str:
        return f"{self.recipient_id} has read {self.announcement_id}"


class Watermark(models.Model):
    """Every announcement up to these numbers counts as seen, or as read, by this person."""

    recipient = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="watermark"
    )
    seen_number = models.IntegerField(default=0, db_default=0)
    read_number = models.IntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"{self.recipient_id}: seen {self.seen_number}, read {self.read_number}"
