"""The pages where a WebSocket cannot be had: each of the three ways does all of it."""

import os
import signal

import pytest
from playwright.sync_api import expect

from realtime.notifications import actions
from tests.browser.test_inbox import badge, is_live, row
from tests.browser.test_market import exchange
from tests.processes import workers

__all__ = ["exchange"]  # a fixture

STREAM, SSE, SOCKET = "/connection/http_stream", "/connection/sse", "/connection/websocket"
# what is in the way, and what is left
BLOCKED = {SOCKET: (), STREAM: (SOCKET,), SSE: (SOCKET, STREAM)}


@pytest.fixture(params=[SOCKET, STREAM, SSE], ids=["websocket", "http_stream", "sse"])
def way(request):
    return request.param


@pytest.fixture
def in_the_way(way):
    """Prepares a page: closes the better ways, and notes which the page took."""

    def prepare(page):
        page.ways, page.complaints = [], []
        for path in BLOCKED[way]:
            if path == SOCKET:
                page.route_web_socket(f"**{path}", lambda socket: socket.close())
            else:
                page.route(f"**{path}", lambda route: route.abort())
        page.on("websocket", lambda socket: page.ways.append(socket.url))
        page.on("response", lambda answer: page.ways.append(answer.url))
        page.on("console", lambda said: page.complaints.append(said.text))

    return prepare


def took(page):
    """The ways that led somewhere, without what was said on them."""
    found = [part for part in (SOCKET, STREAM, SSE) if any(part in url for url in page.ways)]
    posted = any(url.endswith("/emulation") for url in page.ways)
    return found, posted


def test_the_inbox_hears_and_acts(way, in_the_way, person, signed_in):
    ada = person()
    actions.notify(ada, "message", "The first")
    page = signed_in(ada, "/inbox/", prepare=in_the_way)
    is_live(page)
    actions.notify(ada, "message", "The sécond 😀")
    expect(page.locator(".row .row-title").first).to_have_text("The sécond 😀")
    row(page, "The first").hover()
    row(page, "The first").get_by_role("button", name="Mark read").click()
    expect(page.locator(".bar [data-count=unread]")).to_have_text("1")
    expect(badge(page)).to_be_hidden()
    assert took(page) == ([way], way != SOCKET)
    assert page.errors == []
    assert not [text for text in page.complaints if "Content Security Policy" in text]


def test_a_market_moves(way, in_the_way, exchange, person, signed_in):
    page = signed_in(person(), exchange.path, prepare=in_the_way)
    is_live(page)
    exchange.trade("61655.50")
    expect(page.locator("[data-h=last]")).to_have_text("61,655.50")
    expect(page.locator(".trade-rows li")).to_have_count(4)
    expect(page.locator("[data-slot=held]")).to_have_text("no gaps")
    assert took(page) == ([way], way != SOCKET)
    assert page.errors == []


def test_it_hears_what_it_missed_while_its_process_was_dead(
    site, way, in_the_way, person, signed_in
):
    ada = person()
    page = signed_in(ada, "/inbox/", prepare=in_the_way)
    is_live(page)
    for worker in workers(site.programs["serve"]):
        os.kill(worker, signal.SIGKILL)
    actions.notify(ada, "message", "Meanwhile")
    expect(page.locator(".row .row-title").first).to_have_text("Meanwhile", timeout=60_000)
    is_live(page)
    assert took(page)[0] == [way]
    assert page.errors == []


def test_whose_account_is_closed_sees_nothing_more(way, in_the_way, person, signed_in):
    ada = person()
    actions.notify(ada, "message", "Private")
    page = signed_in(ada, "/inbox/", prepare=in_the_way)
    is_live(page)
    ada.is_active = False
    ada.save()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    expect(row(page, "Private")).to_have_count(0)
    assert page.errors == []
