"""The admin in a browser: its content policy, phones, and what it writes reaching other screens."""

import pytest
from playwright.sync_api import expect

from realtime.notifications import actions
from realtime.notifications.models import Announcement

PAGES = [
    "/admin/",
    "/admin/engine/relay/",
    "/admin/engine/log/",
    "/admin/engine/head/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/notifications/announcement/add/",
    "/admin/notifications/notification/",
    "/admin/markets/trade/",
]


@pytest.fixture
def boss(person):
    return person(is_staff=True, is_superuser=True)


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (360, "dark")])
def test_no_page_breaks_its_content_policy_or_scrolls_sideways(boss, signed_in, width, theme):
    actions.notify(boss, "message", "Hello")
    page = signed_in(boss, "/admin/", color_scheme=theme, viewport={"width": width, "height": 740})
    said = []
    page.on("console", lambda message: said.append((page.url, message.type, message.text)))
    for path in [*PAGES, f"/admin/auth/user/{boss.pk}/change/"]:
        page.goto(path)
        expect(page.locator("#content")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert [line for line in said if line[1] in {"error", "warning"}] == []
    assert page.errors == []


def test_the_relays_page_is_read_anew_in_place(boss, signed_in):
    page = signed_in(boss, "/admin/engine/relay/")
    expect(page.locator(".tocsin-tile").first).to_contain_text("Leading")
    first = page.locator("#relay time").first.get_attribute("datetime")
    expect(page.locator("#relay time").first).not_to_have_attribute(
        "datetime", first, timeout=15_000
    )


def test_who_is_notified_from_the_list_of_people_sees_it_at_once(boss, person, signed_in):
    ada = person(first_name="Ada")
    reader = signed_in(ada, "/inbox/")
    page = signed_in(boss, f"/admin/auth/user/?q={ada.username}")
    page.locator("input.action-select").check()
    page.locator("select[name=action]").select_option("notify_selected")
    page.locator("button[name=index]").first.click()
    expect(page.get_by_text("1 person will be told")).to_be_visible()
    page.get_by_label("Title").fill("From the admin")
    page.get_by_role("button", name="Notify 1 person").click()
    expect(page.get_by_text("1 person told.")).to_be_visible()
    expect(reader.get_by_text("From the admin").first).to_be_visible()


def test_an_announcement_is_published_only_after_the_question(boss, person, signed_in):
    row = Announcement.objects.create(title="Hall is open", author=boss)
    reader = signed_in(person(), "/inbox/")
    page = signed_in(boss, f"/admin/notifications/announcement/{row.pk}/change/")
    page.get_by_role("link", name="Publish").click()
    row.refresh_from_db()
    assert row.state == "draft"
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Published: Hall is open")).to_be_visible()
    expect(reader.get_by_text("Hall is open").first).to_be_visible()
    actions.withdraw(row)
