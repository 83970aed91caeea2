"""A person's notifications in real browsers, over the real line."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connection
from playwright.sync_api import expect

from realtime.engine import api
from realtime.notifications import actions
from realtime.notifications.models import Notification
from tests.browser.conftest import cookie_of
from tests.processes import eventually

SOON_MS = 1_000  # "within a second"


def row(page, title):
    return page.locator(".row", has_text=title)


def is_live(page):
    expect(page.locator("[data-connection]")).to_have_attribute(
        "data-state", "live", timeout=10_000
    )


def told(user, *titles, **fields):
    for title in titles:
        actions.notify(user, "message", title, **fields)


def badge(page):
    return page.locator(".bar [data-badge]")


def test_read_in_one_browser_is_read_in_the_other_and_nobody_elses(person, signed_in):
    ada, grace = person(), person()
    told([ada, grace], "Read me")
    one, other, hers = (signed_in(user, "/inbox/") for user in (ada, ada, grace))
    for page in (one, other, hers):
        is_live(page)
        expect(row(page, "Read me")).to_have_class(re.compile("unread"))
    row(one, "Read me").hover()
    row(one, "Read me").get_by_role("button", name="Mark read").click()
    for page in (one, other):
        expect(row(page, "Read me")).not_to_have_class(re.compile("unread"), timeout=SOON_MS)
        expect(page.locator(".bar [data-count=unread]")).to_have_text("", timeout=SOON_MS)
    expect(row(hers, "Read me")).to_have_class(re.compile("unread"))
    assert Notification.objects.get(recipient=grace).read_at is None
    assert (one.errors, other.errors, hers.errors) == ([], [], [])


def test_a_new_one_comes_on_top_and_counts_everywhere(person, signed_in):
    ada = person()
    told(ada, "The first")
    inbox, overview = signed_in(ada, "/inbox/"), signed_in(ada, "/")
    is_live(inbox)
    is_live(overview)
    told(ada, "The second")
    for page in (inbox, overview):
        titles = page.locator(".row .row-title")
        expect(titles.first).to_have_text("The second", timeout=SOON_MS)
        expect(titles).to_have_text(["The second", "The first"])
        expect(page.locator(".bar [data-count=unread]")).to_have_text("2")
    # the inbox page shows it, so it is seen, here and in the other tab; it stays unread
    expect(badge(overview)).to_be_hidden(timeout=SOON_MS)
    expect(row(overview, "The second")).to_have_class(re.compile("unread"))


@pytest.mark.parametrize("data", [{"title": "Sale", "body": "no row"}, "a text", None], ids=str)
def test_what_a_program_publishes_beside_the_rows_harms_no_page(person, signed_in, data):
    ada = person()
    told(ada, "Before")
    page = signed_in(ada, "/inbox/")
    is_live(page)
    for topic in (f"inbox:#{ada.pk}", "announcements:all"):
        api.publish(topic, data)
    told(ada, "Behind it")
    expect(page.locator(".row .row-title")).to_have_text(["Behind it", "Before"])
    page.reload()
    is_live(page)
    told(ada, "After a reload")
    expect(page.locator(".row .row-title").first).to_have_text("After a reload")
    assert page.errors == []


def test_the_bell_counts_the_unseen_and_opening_the_inbox_clears_it_everywhere(person, signed_in):
    ada = person()
    told(ada, *(f"Number {n}" for n in range(3)))
    first, second = signed_in(ada, "/"), signed_in(ada, "/accounts/password/change/")
    is_live(second)
    expect(first.get_by_role("link", name="Notifications, 3 new")).to_be_visible()
    assert first.title() == "(3) Tocsin"
    first.get_by_role("link", name="Notifications, 3 new").click()
    expect(badge(first)).to_be_hidden()
    expect(badge(second)).to_be_hidden(timeout=SOON_MS)
    expect(second).to_have_title(re.compile("^Change password"))
    expect(row(first, "Number 0")).to_have_class(re.compile("unread"))


def test_over_ninety_nine_the_name_has_the_true_number(person, signed_in):
    ada = person()
    Notification.objects.bulk_create(Notification(recipient=ada, title="One") for _ in range(120))
    page = signed_in(ada, "/")
    expect(badge(page)).to_have_text("99+")
    expect(page.get_by_role("link", name="Notifications, 120 new")).to_be_visible()


def test_toasts_are_three_at_most_and_closed_by_escape(person, signed_in):
    ada = person()
    page = signed_in(ada, "/accounts/password/change/")
    is_live(page)
    told(ada, *(f"Toast {n}" for n in range(10)))
    expect(page.locator(".toast-more")).to_have_text("+7 more")
    expect(page.locator(".toast-row")).to_have_count(3)
    expect(page.locator(".toast-row .text").last).to_have_text("Toast 9")
    page.locator(".toast-row a").last.focus()
    page.keyboard.press("Escape")
    expect(page.locator(".toast-row")).to_have_count(2)


def test_there_is_no_toast_for_what_is_on_the_screen(person, signed_in):
    ada = person()
    page = signed_in(ada, "/inbox/")
    is_live(page)
    told(ada, "On the screen")
    expect(row(page, "On the screen")).to_be_visible()
    expect(page.locator(".toast-row")).to_have_count(0)


def test_an_announcement_reaches_all_and_who_comes_later_finds_it(person, signed_in):
    ada, grace, late = person(), person(), person()
    pages = [signed_in(ada, "/"), signed_in(ada, "/inbox/"), signed_in(grace, "/")]
    for page in pages:
        is_live(page)
    announcement = actions.announce(f"Maintenance for {ada.username}")
    title = announcement.title
    try:
        for page in pages:
            expect(row(page, title)).to_be_visible(timeout=SOON_MS)
        expect(pages[0].locator("[data-banner]")).to_contain_text(title)
        later = signed_in(late, "/")
        expect(later.locator("[data-banner]")).to_contain_text(title)
        pages[0].get_by_role("button", name="Mark the announcement read").click()
        for page in pages[:2]:
            expect(row(page, title)).not_to_have_class(re.compile("unread"), timeout=SOON_MS)
        expect(row(pages[2], title)).to_have_class(re.compile("unread"))
    finally:
        actions.withdraw(announcement)
    for page in pages:
        expect(row(page, title)).to_have_count(0, timeout=SOON_MS)


def test_all_is_read_at_once_and_everywhere(person, signed_in):
    ada = person()
    told(ada, *(f"Number {n}" for n in range(5)))
    one, other = signed_in(ada, "/inbox/"), signed_in(ada, "/inbox/")
    is_live(one)
    is_live(other)
    one.get_by_role("button", name="Mark all read").click()
    for page in (one, other):
        expect(page.locator(".row.unread")).to_have_count(0, timeout=SOON_MS)
    back = one.get_by_role("button", name="Mark all unread")
    expect(back).to_be_focused()
    back.click()
    for page in (one, other):
        expect(page.locator(".row.unread")).to_have_count(5, timeout=SOON_MS)
        expect(page.get_by_role("button", name="Mark all read")).to_be_visible()


def test_archiving_by_keyboard_moves_the_focus_on_and_can_be_undone(person, signed_in):
    ada = person()
    told(ada, "Third", "Second", "First")
    page = signed_in(ada, "/inbox/")
    is_live(page)
    row(page, "Second").get_by_role("button", name="Archive").focus()
    page.keyboard.press("Enter")
    expect(row(page, "Second")).to_have_count(0)
    expect(row(page, "Third").locator(".row-text")).to_be_focused()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".row-title")).to_have_text(["First", "Second", "Third"])
    assert Notification.objects.filter(recipient=ada, archived_at=None).count() == 3


def test_opening_a_row_reads_it_and_going_back_closes_it(person, signed_in):
    ada = person()
    told(ada, "Open me", body="The whole story", url="/market/")
    page, other = signed_in(ada, "/inbox/"), signed_in(ada, "/inbox/")
    is_live(page)
    is_live(other)
    row(page, "Open me").locator(".row-text").click()
    reader = page.get_by_role("complementary", name="Reader")
    expect(reader.get_by_role("heading", name="Open me")).to_be_visible()
    expect(reader.get_by_role("link", name="Open")).to_have_attribute(
        "href", re.compile("/market/$")
    )
    expect(row(other, "Open me")).not_to_have_class(re.compile("unread"), timeout=SOON_MS)
    assert "open=" in page.url
    page.go_back()
    expect(reader.get_by_role("heading", name="Open me")).to_be_hidden()


def test_a_scrolled_list_stays_where_it_is_and_offers_what_is_new(person, signed_in):
    ada = person()
    Notification.objects.bulk_create(
        Notification(recipient=ada, title=f"Old {n}") for n in range(40)
    )
    page = signed_in(ada, "/inbox/")
    is_live(page)
    page.locator("[data-scroll]").evaluate("element => element.scrollTop = 400")
    row(page, "Old 25").locator(".row-text").focus()
    top = row(page, "Old 25").bounding_box()["y"]
    told(ada, "New one", "New two")
    fresh = page.get_by_role("button", name="2 new")
    expect(fresh).to_be_visible()
    expect(row(page, "Old 25").locator(".row-text")).to_be_focused()
    assert row(page, "Old 25").bounding_box()["y"] == pytest.approx(top, abs=1)
    fresh.click()
    expect(page.locator(".row-title").first).to_have_text("New two")
    expect(row(page, "New two").locator(".row-text")).to_be_in_viewport()


def test_offline_is_said_what_is_done_waits_and_what_was_missed_comes(person, signed_in):
    ada = person()
    told(ada, "Archive me", "Keep me")
    page, other = signed_in(ada, "/inbox/"), signed_in(ada, "/inbox/")
    is_live(page)
    is_live(other)
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline. This is what we knew at")).to_be_visible(
        timeout=15_000
    )
    expect(page.locator("[data-connection-words]")).to_contain_text("Offline since")
    row(page, "Archive me").get_by_role("button", name="Archive: ").focus()
    page.keyboard.press("Enter")
    expect(row(page, "Archive me")).to_have_class(re.compile("waiting"))
    expect(page.get_by_text("1 action is waiting and goes out")).to_be_visible()
    told(ada, *(f"Missed {n}" for n in range(3)))
    expect(row(other, "Missed 2")).to_be_visible()
    # the other page shows them, so it marks them seen: three more changes
    eventually(lambda: not Notification.objects.filter(recipient=ada, seen_at=None).exists())
    page.context.set_offline(False)
    is_live(page)
    expect(page.get_by_text("You are offline.")).to_have_count(0)
    expect(page.locator(".row-title")).to_have_text(["Missed 2", "Missed 1", "Missed 0", "Keep me"])
    expect(row(other, "Archive me")).to_have_count(0)
    expect(page.locator(".toast-row", has_text="Back online. 6 changes caught up.")).to_be_visible()


def test_after_a_gap_too_long_the_page_begins_anew_by_itself(person, signed_in):
    ada = person()
    told(ada, "Before")
    page = signed_in(ada, "/inbox/")
    is_live(page)
    told(ada, "During")
    expect(row(page, "During")).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline.")).to_be_visible()
    with connection.cursor() as cursor:  # as after a reset: the log of this topic began anew
        cursor.execute(
            "UPDATE tocsin_head SET epoch = 'zzzzzzzz' WHERE topic = %s", [f"inbox:#{ada.pk}"]
        )
    told(ada, "Meanwhile")
    page.context.set_offline(False)
    is_live(page)
    expect(page.locator(".row-title")).to_have_text(["Meanwhile", "During", "Before"])
    expect(page.locator(".toast-row", has_text="Reloaded, the gap was too long.")).to_be_visible()
    expect(page.locator(".bar [data-count=unread]")).to_have_text("3")


def sign_out(user, cookie):
    Session.objects.filter(session_key=cookie).delete()


def switch_off(user, cookie):
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)


def change_password(user, cookie):
    user.set_password("another-good-password")
    user.save()


@pytest.mark.parametrize("end", [sign_out, switch_off, change_password])
def test_whose_session_ends_elsewhere_sees_nothing_private_any_more(person, signed_in, end):
    ada = person()
    told(ada, "For her eyes")
    cookie = cookie_of(ada)
    page = signed_in(ada, "/inbox/", cookie=cookie)
    is_live(page)
    end(ada, cookie)
    expect(page.get_by_role("dialog", name="You are signed out")).to_be_visible(timeout=15_000)
    assert "For her eyes" not in page.content()
    page.get_by_role("link", name="Sign in again").click()
    expect(page).to_have_url(re.compile(r"/login/\?next="))
    page.go_back()
    expect(page.get_by_text("For her eyes")).to_have_count(0)


def test_everything_can_be_done_without_scripts(person, signed_in):
    ada = person()
    told(ada, "Plain")
    page = signed_in(ada, "/inbox/", java_script_enabled=False)
    row(page, "Plain").hover()
    row(page, "Plain").get_by_role("button", name="Mark read").click()
    expect(row(page, "Plain")).not_to_have_class(re.compile("unread"))
    row(page, "Plain").hover()
    row(page, "Plain").get_by_role("button", name="Archive").click()
    expect(page.get_by_role("heading", name="All done")).to_be_visible()
    page.get_by_role("link", name="Archived 1").click()
    expect(row(page, "Plain")).to_be_visible()
    assert eventually(lambda: Notification.objects.get(recipient=ada).archived_at)


HOSTILE = '<img src=x onerror="hit=1"><script>hit=1</script>{{ 7*7 }}'


def test_what_somebody_wrote_is_text_wherever_it_is_shown(person, signed_in):
    ada = person(first_name=HOSTILE)
    inbox, overview = signed_in(ada, "/inbox/"), signed_in(ada, "/")
    for page in (inbox, overview):
        is_live(page)
    told(ada, HOSTILE, body=HOSTILE)
    # as SQL may write it, past the check of what `notify` takes
    Notification.objects.create(recipient=ada, title="By SQL", url="javascript:hit=1")

    def is_text(page):
        expect(row(page, "By SQL").first).to_be_visible(timeout=10_000)
        expect(row(page, HOSTILE).first).to_be_visible()
        made = "document.querySelectorAll('img[src=x], a[href^=javascript]').length"
        assert page.evaluate(f"[{made}, typeof hit]") == [0, "undefined"]

    for page in (inbox, overview):
        is_text(page)  # as it came over the line
        page.reload()
        is_text(page)  # as the server wrote it
    row(inbox, HOSTILE).first.get_by_text(HOSTILE).first.click()
    expect(inbox.locator("[data-reader]").get_by_text(HOSTILE).first).to_be_visible()
    is_text(inbox)
    assert (inbox.errors, overview.errors) == ([], [])
