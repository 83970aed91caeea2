"""The verbs of notifications, against the real database."""

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from realtime.notifications import actions
from realtime.notifications.models import Announcement, Notification, Receipt, Watermark

pytestmark = pytest.mark.django_db(transaction=True)

# the database counts faster than the ORM makes people
A_HUNDRED_THOUSAND = """
INSERT INTO auth_user (username, password, first_name, last_name, email, is_superuser, is_staff,
                       is_active, date_joined)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
SELECT 'p' || i, '!', '', '', '', false, false, true, CURRENT_TIMESTAMP FROM n
"""


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", password="ada")


@pytest.fixture
def grace():
    return get_user_model().objects.create_user("grace", password="grace")


def titles(user, **conditions):
    rows = Notification.objects.filter(recipient=user, **conditions).order_by("id")
    return list(rows.values_list("title", flat=True))


@pytest.mark.parametrize("form", ["person", "id", "list", "queryset", "ids"])
def test_a_person_is_told_however_they_are_named(ada, form):
    people = get_user_model().objects.filter(username="ada")
    recipients = {
        "person": ada,
        "id": ada.pk,
        "list": [ada, ada.pk, ada],
        "queryset": people,
        "ids": people.values_list("pk", flat=True),
    }[form]
    assert actions.notify(recipients, "alert", "Once", "body", "/market/BTCUSDT/") == 1
    assert titles(ada) == ["Once"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": "U+\x00"},
        {"body": "U+\x00"},
        {"kind": ""},
        {"kind": "k" * 41},
        {"kind": "\x00"},
        {"url": "/" + "a" * 1000},
    ],
)
def test_what_not_every_database_keeps_is_refused_before_any_is_asked(ada, wrong):
    with pytest.raises(ValueError, match=r"has|is|have"):
        actions.notify(ada, **{"kind": "alert", "title": "Fine"} | wrong)
    assert titles(ada) == []


def test_a_text_is_no_list_of_people(ada):
    with pytest.raises(TypeError, match=f"not the text '{ada.pk}'"):
        actions.notify(str(ada.pk), "alert", "For whom?")
    assert titles(ada) == []


def test_a_rollback_takes_the_notifications_with_it(ada):
    with transaction.atomic():
        actions.notify(ada, "alert", "Never happened")
        transaction.set_rollback(True)
    assert titles(ada) == []


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//evil.example/",
        "/\\evil.example",
        "ftp://a.example/",
        "data:,x",
        "x",
    ],
)
def test_a_link_is_http_or_a_path_of_this_site(ada, url):
    with pytest.raises(ValidationError):
        actions.notify(ada, "alert", "A bad link", url=url)
    Notification.objects.bulk_create([Notification(recipient=ada, title="By SQL", url=url)])
    assert Notification.objects.get().link == ""


def test_a_hundred_thousand_are_told_at_once():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(A_HUNDRED_THOUSAND)
        everybody = get_user_model().objects.all()
        assert actions.notify(everybody, "message", "To all of you", "body", "/") == 100_000
        connection.check_constraints()
        told = Notification.objects.order_by()
        assert told.values("recipient").distinct().count() == 100_000
        said = told.values_list("kind", "title", "body", "url", "seen_at", "read_at")
        assert list(said.distinct()) == [("message", "To all of you", "body", "/", None, None)]
        # to tidy them up afterwards would take a trigger's run for each
        transaction.set_rollback(True)


def test_one_who_does_not_exist_keeps_all_from_being_told(ada):
    with pytest.raises(ValueError, match="of these 2 people, 1 exist"):
        actions.notify([ada, ada.pk + 1], "alert", "Never happened")
    assert titles(ada) == []


def test_verbs_touch_only_the_persons_own_rows_and_say_which(ada, grace):
    actions.notify([ada, grace], "message", "Hello")
    mine, theirs = (Notification.objects.get(recipient=person) for person in (ada, grace))
    assert actions.mark_read(ada, [mine.pk, theirs.pk]) == [mine.pk]
    assert actions.mark_read(ada, [mine.pk]) == []
    assert actions.mark_unread(ada, [mine.pk, theirs.pk]) == [mine.pk]
    assert actions.archive(ada, [mine.pk, theirs.pk]) == [mine.pk]
    assert actions.unarchive(ada, [mine.pk, theirs.pk]) == [mine.pk]
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.seen_at is not None, mine.read_at, mine.archived_at) == (True, None, None)
    assert (theirs.seen_at, theirs.read_at, theirs.archived_at) == (None, None, None)


def test_what_arrives_while_all_is_marked_read_stays_unread(ada):
    actions.notify(ada, "message", "Old")
    actions.notify(ada, "message", "Known")
    old, known = Notification.objects.order_by("id").values_list("pk", flat=True)
    actions.notify(ada, "message", "Just arrived")
    assert sorted(actions.mark_all_read(ada, known=[known], older_than=known)) == [old, known]
    assert titles(ada, read_at=None) == ["Just arrived"]


def test_more_than_a_transaction_full_is_marked_read(ada):
    Notification.objects.bulk_create(
        Notification(recipient=ada, title=str(n)) for n in range(1_201)
    )
    assert len(actions.mark_all_read(ada)) == 1_201
    assert titles(ada, read_at=None) == []


def unread(user):
    """As the page reckons it: a set, never a sum."""
    watermark = Watermark.objects.filter(recipient=user).first()
    read = set(Receipt.objects.filter(recipient=user).values_list("announcement_id", flat=True))
    return [
        announcement.title
        for announcement in Announcement.objects.filter(audience="all").order_by("number")
        if announcement.pk not in read
        and announcement.number > (watermark.read_number if watermark else 0)
    ]


def test_an_announcement_is_one_row_and_receipts_come_with_readers(ada, grace):
    first = actions.announce("First")
    actions.announce("Second")
    assert (unread(ada), Receipt.objects.count()) == (["First", "Second"], 0)
    assert actions.read_announcements(ada, [first.pk, first.pk, 10_000]) == 1
    assert actions.read_announcements(ada, [first.pk]) == 0
    assert (unread(ada), unread(grace)) == (["Second"], ["First", "Second"])


def test_all_read_is_a_number_that_a_late_draft_passes(ada):
    draft = Announcement.objects.create(title="Written first, published last")
    shown = actions.announce("Shown")
    actions.announce("Not yet on the page")
    actions.mark_all_read(ada, number=shown.number)
    assert unread(ada) == ["Not yet on the page"]
    actions.mark_all_read(ada, number=10**9)
    actions.publish(draft)
    assert unread(ada) == ["Written first, published last"]
    assert actions.publish(draft).number == draft.number


def test_a_withdrawn_announcement_is_gone_and_a_draft_stays_a_draft(ada):
    announcement = actions.announce("Soon gone")
    actions.withdraw(announcement)
    assert (unread(ada), announcement.state) == ([], "withdrawn")
    draft = actions.withdraw(Announcement.objects.create(title="Draft"))
    assert draft.state == "draft"
