"""What can be done with notifications and announcements: each verb writes rows and sends nothing.

The rows carry the news: what a transaction rolls back, nobody hears of.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from realtime.notifications.models import (
    EVERYBODY,
    KIND_LENGTH,
    TITLE_LENGTH,
    URL_LENGTH,
    Announcement,
    Counter,
    Notification,
    Receipt,
    Watermark,
    validate_url,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import User
    from django.db.models import Field

    Person = AbstractBaseUser | int

INSERT_ROWS = 2_000
UPDATE_ROWS = 500  # a person's rows changed in one transaction
COUNTER = 1


# --- Notifications ------------------------------------------------------------------------------


def notify(
    recipients: Person | Iterable[Person] | QuerySet[Any],
    kind: str,
    title: str,
    body: str = "",
    url: str = "",
) -> int:
    """Put one notification into the inbox of each of `recipients`; returns how many.

    A person or an id, an iterable of them, or a queryset of users; nobody gets it twice. All or
    none: inside the caller's transaction where there is one, else in one of its own. `url` is
    http(s) or a path of this site. Raises ValueError or ValidationError before it writes, and
    ValueError where one of them does not exist.
    """
    _check(title, body, url)
    if not kind.strip() or len(kind) > KIND_LENGTH or "\x00" in kind:
        raise ValueError(f"a kind is a word of at most {KIND_LENGTH} characters, not {kind[:50]!r}")
    said = {"kind": kind, "title": title, "body": body, "url": url, "created_at": timezone.now()}
    count = 0
    with transaction.atomic():
        for chunk in _chunks(_recipient_ids(recipients), INSERT_ROWS):
            _insert(chunk, said)
            count += len(chunk)
    return count


def mark_seen(user: AbstractBaseUser, ids: Iterable[int] | None = None) -> list[int]:
    """The notifications `ids`, else all there are now, have been on the person's screen."""
    if ids is None:
        _raise_watermark(user, seen_number=_newest_number())
    return _change(user, ids, Q(seen_at=None, archived_at=None), seen_at=timezone.now())


def mark_read(user: AbstractBaseUser, ids: Iterable[int]) -> list[int]:
    """Returns the ids that were unread until now; so do the verbs below, for their change."""
    now = timezone.now()
    return _change(user, ids, Q(read_at=None), read_at=now, seen_at=Coalesce("seen_at", now))


def mark_unread(user: AbstractBaseUser, ids: Iterable[int]) -> list[int]:
    return _change(user, ids, Q(read_at__isnull=False), read_at=None)


def archive(user: AbstractBaseUser, ids: Iterable[int]) -> list[int]:
    return _change(user, ids, Q(archived_at=None), archived_at=timezone.now())


def unarchive(user: AbstractBaseUser, ids: Iterable[int]) -> list[int]:
    return _change(user, ids, Q(archived_at__isnull=False), archived_at=None)


def mark_all_read(
    user: AbstractBaseUser,
    *,
    known: Iterable[int] | None = None,
    older_than: int | None = None,
    number: int | None = None,
) -> list[int]:
    """Read what was there when the button was pressed; what arrives meanwhile stays unread.

    `known`: the unread ids on the page, `older_than`: and all below this id; neither: all there are
    now. `number`: the highest number of an announcement on the page; else all there are now. The
    highest id alone would not do: ids are given at insert and become visible at commit.
    """
    ids = None if known is None else list(known)
    if ids is not None and older_than is not None:
        ids += _ids(user, Q(read_at=None, archived_at=None, pk__lt=older_than))
    elif ids is None:
        ids = _ids(user, Q(read_at=None, archived_at=None))
    newest = _newest_number()
    number = newest if number is None else min(number, newest)
    _raise_watermark(user, seen_number=number, read_number=number)
    return mark_read(user, ids)


def mark_all_unread(user: AbstractBaseUser) -> list[int]:
    """All that is not archived. Announcements stay read: receipts are only ever inserted."""
    return _change(user, None, Q(read_at__isnull=False, archived_at=None), read_at=None)


# --- Announcements ------------------------------------------------------------------------------


def announce(title: str, body: str = "", url: str = "", author: User | None = None) -> Announcement:
    """Tell everybody: one row, one publication; whoever comes later finds it."""
    _check(title, body, url)
    with transaction.atomic():
        announcement = Announcement.objects.create(title=title, body=body, url=url, author=author)
        return publish(announcement)


def publish(announcement: Announcement) -> Announcement:
    """Bring a draft, or one that was withdrawn, before everybody, under a new number."""
    with transaction.atomic():
        # The counter's row stays locked until the commit: numbers become visible in their order.
        number = _draw_number()
        Announcement.objects.filter(pk=announcement.pk, audience=None).update(
            number=number,
            state=Announcement.State.PUBLISHED,
            audience=EVERYBODY,
            published_at=timezone.now(),
        )
    announcement.refresh_from_db()
    return announcement


def withdraw(announcement: Announcement) -> Announcement:
    """Take it off every screen. Receipts stay: published again, it is read for who read it."""
    Announcement.objects.filter(pk=announcement.pk, audience=EVERYBODY).update(
        state=Announcement.State.WITHDRAWN, audience=None
    )
    announcement.refresh_from_db()
    return announcement


def read_announcements(user: AbstractBaseUser, ids: Iterable[int]) -> int:
    """A receipt for each of these published announcements that the person has none for."""
    published = Announcement.objects.filter(pk__in=list(ids), audience=EVERYBODY)
    new = published.exclude(receipt__recipient_id=user.pk).values_list("pk", flat=True)
    with transaction.atomic():
        receipts = Receipt.objects.bulk_create(
            (Receipt(recipient_id=user.pk, announcement_id=pk) for pk in new),
            ignore_conflicts=True,
        )
    return len(receipts)


# --- Parts --------------------------------------------------------------------------------------


def _check(title: str, body: str, url: str) -> None:
    """What one database refuses, and the other keeps, is refused before either is asked."""
    if not title.strip() or len(title) > TITLE_LENGTH:
        raise ValueError(f"a title has 1 to {TITLE_LENGTH} characters, this one {len(title)}")
    if "\x00" in title or "\x00" in body:
        raise ValueError("a title and a body have no U+0000")
    if len(url) > URL_LENGTH:
        raise ValueError(f"a url has at most {URL_LENGTH} characters, this one {len(url)}")
    validate_url(url)


def _recipient_ids(recipients: Any) -> Iterator[int]:
    if isinstance(recipients, QuerySet):
        # a queryset of users, or of their ids (values_list("recipient", flat=True))
        if recipients.model is get_user_model():
            recipients = recipients.order_by().values_list("pk", flat=True)
        recipients = recipients.distinct().iterator(chunk_size=INSERT_ROWS)
    elif isinstance(recipients, int) or hasattr(recipients, "pk"):
        recipients = [recipients]
    elif isinstance(recipients, str):
        # "12" would be read as the people 1 and 2
        raise TypeError(f"recipients are people or ids, not the text {recipients!r}")
    told: set[int] = set()
    for recipient in recipients:
        recipient_id = recipient.pk if hasattr(recipient, "pk") else recipient
        if recipient_id not in told:
            told.add(recipient_id)
            yield recipient_id


def _insert(people: list[int], said: dict[str, Any]) -> None:
    """A row for each by one INSERT … SELECT: to make an object of each takes far longer."""
    values = {name: Value(value, _field(name)) for name, value in said.items()}
    told = get_user_model()._base_manager.filter(pk__in=people).order_by("pk")  # noqa: SLF001
    select, params = told.values_list("pk", *values.values()).query.sql_with_params()
    columns = ", ".join(["recipient_id", *values])
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {Notification._meta.db_table} ({columns}) {select}", params)  # noqa: SLF001
        if cursor.rowcount != len(people):
            raise ValueError(f"of these {len(people)} people, {cursor.rowcount} exist")


def _field(name: str) -> Field[Any, Any]:
    return cast("Field[Any, Any]", Notification._meta.get_field(name))  # noqa: SLF001


def _chunks(ids: Iterable[int], size: int) -> Iterator[list[int]]:
    ids = iter(ids)
    while chunk := list(islice(ids, size)):
        yield chunk


def _ids(user: AbstractBaseUser, condition: Q) -> list[int]:
    rows = Notification.objects.filter(condition, recipient_id=user.pk).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def _change(
    user: AbstractBaseUser, ids: Iterable[int] | None, condition: Q, **values: Any
) -> list[int]:
    """Give the person's rows that meet `condition` these values, at most 500 a transaction.

    Returns the ids changed. Locked in the order of ids: two tabs at once wait, never deadlock.
    """
    changed: list[int] = []
    wanted = _ids(user, condition) if ids is None else sorted(set(ids))
    for chunk in _chunks(wanted, UPDATE_ROWS):
        with transaction.atomic():
            rows = Notification.objects.filter(condition, recipient_id=user.pk, pk__in=chunk)
            locked = list(rows.order_by("pk").select_for_update().values_list("pk", flat=True))
            Notification.objects.filter(pk__in=locked).update(**values)
        changed += locked
    return changed


def _draw_number() -> int:
    """The next number; its row stays locked until the transaction ends."""
    if not Counter.objects.filter(pk=COUNTER).update(value=F("value") + 1):
        Counter.objects.bulk_create([Counter(pk=COUNTER)], ignore_conflicts=True)
        Counter.objects.filter(pk=COUNTER).update(value=F("value") + 1)
    return Counter.objects.values_list("value", flat=True).get(pk=COUNTER)


def _newest_number() -> int:
    return Counter.objects.filter(pk=COUNTER).values_list("value", flat=True).first() or 0


def _raise_watermark(user: AbstractBaseUser, **numbers: int) -> None:
    """Lift the person's watermarks to these numbers, where they are lower."""
    if not any(numbers.values()):
        return
    if not Watermark.objects.filter(recipient_id=user.pk).exists():
        Watermark.objects.bulk_create(
            [Watermark(recipient_id=user.pk, **numbers)], ignore_conflicts=True
        )
    for name, number in numbers.items():
        lower = Watermark.objects.filter(recipient_id=user.pk, **{f"{name}__lt": number})
        lower.update(**{name: number})
