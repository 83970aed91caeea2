"""The frame of the pages: sign-in, themes, phones, keyboards, screen readers, content policy."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from realtime.notifications import actions

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PAGES = ["/", "/inbox/", "/inbox/?view=archived", "/accounts/password/change/"]


@pytest.fixture
def ada(person):
    ada = person(first_name="Ada")
    long = "A title so long that no list can show all of it, whichever screen it is on " * 2
    actions.notify(ada, "alert", long, "A body so long, too, that it must be cut " * 5, "/market/")
    actions.notify(ada, "message", "A short one", "")
    return ada


def findings(page):
    answer = Axe().run(page, options={"runOnly": RULES})
    return [
        (v["id"], [node["target"] for node in v["nodes"]]) for v in answer.response["violations"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page_in_either_theme(ada, signed_in, theme):
    page = signed_in(ada, "/", color_scheme=theme)
    for path in PAGES:
        page.goto(path)
        assert page.locator("html").get_attribute("data-bs-theme") == theme
        assert (path, findings(page)) == (path, [])
    page.goto("/inbox/")
    page.locator(".row-text").first.click()
    expect(page.locator("[data-reader] h2")).to_be_visible()
    assert findings(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_before_the_sign_in(site, browser, theme):
    page = browser.new_page(base_url=site.url, color_scheme=theme)
    for path in ("/login/", "/accounts/password/reset/"):
        page.goto(path)
        assert (path, findings(page)) == (path, [])
    page.close()


@pytest.mark.parametrize("width", [360, 640, 900])
def test_no_page_scrolls_sideways(ada, signed_in, width):
    page = signed_in(ada, "/", viewport={"width": width, "height": 640})
    for path in PAGES:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_the_sign_in_form_works_and_the_policy_is_kept(site, browser, person):
    user = person()
    page = browser.new_page(base_url=site.url)
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto("/login/")
    page.get_by_role("button", name="grace").click()
    expect(page.get_by_label("Username")).to_have_value("grace")
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Password").fill("a-good-password")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_title("Tocsin")
    expect(page.locator("[data-connection]")).to_have_attribute(
        "data-state", "live", timeout=10_000
    )
    page.goto("/inbox/")
    page.get_by_role("button", name="Send me a test").click()
    expect(page.locator(".row-title")).to_have_text("This is a test")
    page.locator("summary[aria-label$='your account']").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to Tocsin")).to_be_visible()
    assert [text for text in said if re.search("Content Security|Refused|Error", text)] == []
    page.go_back()
    expect(page.get_by_text("This is a test")).to_have_count(0)
    page.close()


def test_a_chosen_theme_is_kept_and_there_before_anything_is_drawn(ada, signed_in):
    page = signed_in(ada, "/", color_scheme="light")
    root = page.locator("html")
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.get_by_label("Theme").first.click()
    page.get_by_role("button", name="Dark").click()
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.reload(wait_until="commit")
    page.wait_for_selector("body", state="attached")
    assert root.get_attribute("data-bs-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 15, 18)"


def test_the_skip_link_comes_first_and_escape_closes_a_menu(ada, signed_in):
    page = signed_in(ada, "/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    menu = page.locator("summary[aria-label$='your account']")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(menu).to_be_focused()


def test_what_came_is_said_once_for_screen_readers(ada, signed_in):
    page = signed_in(ada, "/")
    expect(page.locator("[data-connection]")).to_have_attribute(
        "data-state", "live", timeout=10_000
    )
    region = page.get_by_role("status")
    expect(region.first).to_be_attached()
    actions.notify(ada, "message", "Listen")
    expect(page.locator("[data-says]")).to_have_text("New: Listen")


def test_nothing_moves_for_who_wants_less_motion(ada, signed_in):
    page = signed_in(ada, "/inbox/", reduced_motion="reduce")
    moving = "getComputedStyle(document.querySelector('.shape-connecting circle')).animationName"
    assert page.evaluate(moving) == "none"


def test_bars_show_the_way_from_commit_to_screen(ada, signed_in):
    page = signed_in(ada, "/")
    expect(page.locator("[data-connection]")).to_have_attribute(
        "data-state", "live", timeout=10_000
    )
    expect(page.get_by_text("Waiting for the first change")).to_be_visible()
    actions.notify(ada, "message", "Measured")
    expect(page.locator("[data-latency] rect")).not_to_have_count(0)
    expect(page.locator("[data-latency] [data-slot=median]")).to_have_text(re.compile(r"^\d+ ms$"))
    expect(page.get_by_text("Measured against the server")).to_be_visible()
