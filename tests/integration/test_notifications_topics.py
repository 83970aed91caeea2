"""The topics of notifications: an open page ends where a new one begins, whoever wrote."""

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from realtime.engine import api
from realtime.notifications import actions
from realtime.notifications.models import Announcement, Notification, Receipt
from tests.live import raw
from tests.topics import verify_topic

pytestmark = pytest.mark.django_db(transaction=True)
ALL = "announcements:all"


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def inbox(ada):
    actions.notify(ada, "message", "One")
    actions.notify(ada, "message", "Two")
    return f"inbox:#{ada.pk}"


def by_sql(statement):
    program = raw()
    program.execute(statement)
    if hasattr(program, "commit") and not getattr(program, "autocommit", True):
        program.commit()


WRITERS = {
    "orm": lambda ada: Notification.objects.create(recipient=ada, title="Ünicode & <tags>"),
    "bulk": lambda ada: actions.notify(ada, "alert", "Bulk", "body", "/market/"),
    "update": lambda ada: Notification.objects.update(read_at=timezone.now()),
    "delete": lambda ada: Notification.objects.filter(title="One").delete(),
    "insert by sql": lambda ada: by_sql(
        f"INSERT INTO notifications_notification (recipient_id, title) VALUES ({ada.pk}, 'Raw')"
    ),
    "update by sql": lambda ada: by_sql(
        "UPDATE notifications_notification SET archived_at = CURRENT_TIMESTAMP WHERE title = 'Two'"
    ),
    "mark all read": actions.mark_all_read,
    "archive": lambda ada: actions.archive(ada, Notification.objects.values_list("pk", flat=True)),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_an_open_inbox_knows_what_a_new_one_would(ada, inbox, writer):
    verify_topic(ada, inbox, lambda: WRITERS[writer](ada))


def test_a_verb_that_changes_nothing_is_not_heard_of(ada, inbox):
    ids = list(Notification.objects.values_list("pk", flat=True))
    actions.mark_read(ada, ids)
    verify_topic(ada, inbox, lambda: actions.mark_read(ada, ids), changes=False)


def test_a_rollback_is_not_heard_of(ada, inbox):
    def roll_back():
        with transaction.atomic():
            actions.notify(ada, "message", "Never")
            transaction.set_rollback(True)

    verify_topic(ada, inbox, roll_back, changes=False)


def test_receipts_and_the_watermark_come_to_the_inbox(ada, inbox):
    first, second = actions.announce("First"), actions.announce("Second")
    receipts = verify_topic(ada, inbox, lambda: actions.read_announcements(ada, [first.pk]))
    assert receipts[0]["body"]["announcement_id"] == first.pk
    marks = verify_topic(ada, inbox, lambda: actions.mark_all_read(ada))
    numbers = [row["body"] for row in marks if row["key"].startswith("watermark:")]
    assert numbers[-1] == {"seen_number": second.number, "read_number": second.number}


def test_an_announcement_is_one_publication_and_its_end_another(ada):
    other = get_user_model().objects.create_user("grace")
    told = verify_topic(ada, ALL, lambda: actions.announce("To all"))
    assert len(told) == 1
    announcement = Announcement.objects.get()
    actions.read_announcements(ada, [announcement.pk])
    actions.read_announcements(other, [announcement.pk])
    gone = verify_topic(ada, ALL, lambda: actions.withdraw(announcement))
    assert [publication["op"] for publication in gone] == ["d"]


def test_deleting_an_announcement_is_one_publication_however_many_read_it(ada, inbox):
    announcement = actions.announce("To all")
    actions.read_announcements(ada, [announcement.pk])
    verify_topic(ada, ALL, announcement.delete)
    assert not Receipt.objects.exists()


def test_a_draft_is_nobodys(ada):
    def write():
        draft = Announcement.objects.create(title="Draft")
        Announcement.objects.filter(pk=draft.pk).update(body="Better")

    verify_topic(ada, ALL, write, changes=False)


def test_an_inbox_is_its_owners_alone(ada, inbox):
    grace = get_user_model().objects.create_user("grace")
    with pytest.raises(PermissionDenied):
        api.snapshot(grace, inbox)
    ada.is_active = False
    ada.save()
    with pytest.raises(PermissionDenied):
        api.snapshot(ada, inbox)
