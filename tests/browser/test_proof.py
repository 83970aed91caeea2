"""The proof page against a `make run` of its own: break it, and every row arrives once."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_frame import findings
from tests.processes import free_port, make_run

START_S = 240
PRESS_MS = 90_000  # killed processes start again, on a busy machine side by side


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Where a `make run` of the test's own answers."""
    port = free_port()
    with make_run(tmp_path_factory.mktemp("var"), PORT=str(port), WORKERS="1") as program:
        program.until("Tocsin is ready", deadline_s=START_S)
        yield f"http://127.0.0.1:{port}"
        program.end()


@pytest.fixture
def page(demo, browser):
    context = browser.new_context(base_url=demo)
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto("/login/?next=/proof/")
    page.locator("[name=login]").fill("admin")
    page.locator("[name=password]").fill("admin")
    page.locator("form [type=submit]").click()
    expect(page.locator("[data-slot=verdict]")).to_have_attribute(
        "data-tone", "good", timeout=PRESS_MS
    )
    yield page
    context.close()


def count(page, name):
    text = page.locator(f"[data-count-of={name}]").text_content()
    return int(text.replace(",", ""))


def press(page, *buttons):
    """What is written down of them when all is over, newest first."""
    written = page.locator("[data-presses] li")
    before = written.count()
    for name in buttons:
        page.get_by_role("button", name=name).click()
    expect(written).to_have_count(before + len(buttons))
    for place in range(len(buttons)):
        expect(written.nth(place)).to_have_attribute("data-tone", "good", timeout=PRESS_MS)
    return written.all_inner_texts()[: len(buttons)]


def all_arrived_once(page):
    expect(page.locator("[data-slot=verdict]")).to_contain_text("arrived, each once.")
    assert count(page, "committed") == count(page, "delivered") > 5
    assert count(page, "lost") == count(page, "repeated") == count(page, "waiting") == 0
    assert page.errors == []


def test_every_row_arrives_once_without_relay_and_redis(page):
    flushed, killed = press(page, "Kill the relay", "Flush Redis")
    assert "The supervisor starts it again" in killed
    assert "FLUSHALL" in flushed
    [frozen] = press(page, "Freeze Redis")
    assert "SIGSTOP to Redis, for 10 s" in frozen
    all_arrived_once(page)


def test_every_row_arrives_once_when_every_socket_drops(page):
    [dropped] = press(page, "Drop every socket")
    assert "All sockets are cut" in dropped
    reconnects = page.locator("[data-connection-reconnects]")
    assert int(reconnects.text_content()) > 0
    all_arrived_once(page)


def test_nothing_committed_after_her_revocation_reaches_ada(page):
    expect(page.locator("[data-slot=ada-line]")).to_have_text("Her line: open.")
    [revoked] = press(page, "Revoke Ada")
    assert "Written without her right: 5. Arrived: 0. Her line was cut" in revoked
    assert "With her right back, all of them came." in revoked
    expect(page.locator("[data-slot=ada-line]")).to_have_text("Her line: open.")
    all_arrived_once(page)


def one_more(route):
    """The tables' answer, with a row that never comes over the line."""
    answer = route.fetch()
    told = answer.json()
    told["ids"]["trades"].append(9_000_000)
    route.fulfill(response=answer, json=told)


def test_a_row_that_does_not_arrive_is_counted_as_lost(page):
    page.route("**/proof/committed?**", one_more)
    verdict = page.locator("[data-slot=verdict]")
    expect(verdict).to_have_attribute("data-tone", "bad", timeout=PRESS_MS)
    expect(verdict).to_contain_text("did not arrive")
    expect(page.locator("[data-count-of=lost]")).to_have_text("1")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_where_make_run_does_not_run_it_the_page_says_so_and_is_in_order(person, signed_in, theme):
    page = signed_in(
        person(is_staff=True), "/proof/", color_scheme=theme, viewport={"width": 360, "height": 740}
    )
    expect(page.get_by_text("Only where `make run` runs this site")).to_be_visible()
    for button in page.locator("[data-proof] form button").all():
        expect(button).to_be_disabled()
    expect(page.locator("[data-slot=verdict]")).to_have_text("Waiting for the first row.")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert findings(page) == []
    assert page.errors == []
