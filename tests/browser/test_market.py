"""The market page in a browser: live, calm, for keyboard and thumb, whole without a script."""

import itertools
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from realtime.engine import api
from realtime.markets import prices
from realtime.markets.actions import record
from realtime.markets.models import Market, PriceAlert, Ticker
from tests.browser.test_frame import findings

BEGIN = prices.EPOCH + timedelta(days=20_000)


class Exchange:
    """A market of the test's own."""

    def __init__(self):
        symbol = f"T{uuid.uuid4().hex[:5].upper()}USDT"
        self.market = Market.objects.create(symbol=symbol, base=symbol[:6], quote="USDT")
        Ticker.objects.create(market=self.market, feed="Recorded, 1×")
        self.path = f"/market/{symbol}/"
        self._ids = itertools.count(3735683259)

    def trade(self, *path):
        told = []
        for price in path:
            number = next(self._ids)
            at = BEGIN + timedelta(seconds=(number - 3735683259) / 4)
            told.append(prices.Trade(number, Decimal(price), Decimal("0.00215"), "buy", at))
        bid, ask = Decimal(path[-1]) - 1, Decimal(path[-1])
        record(self.market, told, [prices.Quote(bid, None, ask, None, told[-1].traded_at)])


@pytest.fixture
def exchange(site, django_db_blocker):
    with django_db_blocker.unblock():
        exchange = Exchange()
        exchange.trade("61700.00", "61640.25", "61641.76")
        yield exchange


def live(page):
    expect(page.locator("[data-connection]")).to_have_attribute("data-state", "live")


def test_a_trade_is_on_the_screen_when_it_is_committed(exchange, person, signed_in):
    page = signed_in(person(), exchange.path)
    live(page)
    exchange.trade("61655.50")
    expect(page.locator("[data-h=last]")).to_have_text("61,655.50")
    top = page.locator(".trade-rows li").first
    expect(top.locator("[data-f=text]")).to_have_text("61,655.50")
    expect(page.locator(".trade-rows li")).to_have_count(4)
    expect(page.locator("[data-h=change]")).to_have_text("▼ −0.07 %")
    expect(page.locator("[data-slot=held]")).to_have_text("no gaps")
    expect(page.locator("[data-age=tickers]")).to_contain_text("ms")
    expect(page.locator("[data-age=tickers]")).to_contain_text("old")
    expect(page.locator("[data-chart] canvas").first).to_be_visible()
    assert page.errors == []


def test_what_a_program_publishes_on_the_tape_is_no_trade(exchange, person, signed_in):
    page = signed_in(person(), exchange.path)
    live(page)
    for data in ({"price": "1.00", "body": {"price": "1.00"}}, None):
        api.publish(f"trades:{exchange.market.symbol}", data)
    exchange.trade("61655.50")
    expect(page.locator(".trade-rows li")).to_have_count(4)
    expect(page.locator(".trade-rows [data-f=text]").first).to_have_text("61,655.50")
    assert page.errors == []


@pytest.mark.parametrize("width", [360, 1280])
def test_a_long_tape_does_not_lengthen_the_page(exchange, person, signed_in, width):
    exchange.trade(*["61655.50"] * 60)
    page = signed_in(person(), exchange.path, viewport={"width": width, "height": 740})
    live(page)
    expect(page.locator(".trade-rows li")).to_have_count(50)
    below = "document.documentElement.scrollHeight - document.querySelector('main').offsetHeight"
    assert page.evaluate(below) <= 48  # the top bar


def test_a_clicked_price_becomes_an_alert_that_fires_and_tells(exchange, person, signed_in):
    user = person()
    page = signed_in(user, exchange.path)
    live(page)
    page.locator(".trade-rows [data-f=price]").nth(2).click()
    expect(page.locator("#alert-price")).to_have_value("61700.00")
    expect(page.locator("#alert-direction")).to_have_value("up")
    expect(page.locator("[data-distance]")).to_contain_text("58.24 away")
    expect(page.locator("[name=once]")).to_be_checked()
    page.get_by_role("button", name="Set alert").click()
    row = page.locator("[data-alerts] li")
    expect(row).to_have_attribute("data-state", "armed")
    expect(row.locator("[data-f=away]")).to_have_text("58.24 away")
    exchange.trade("61650.00")
    expect(row.locator("[data-f=away]")).to_have_text("50.00 away")
    exchange.trade("61701.00", "61690.00", "61702.00")
    expect(row).to_have_attribute("data-state", "fired")
    expect(page.locator("[data-bell] [data-badge]")).to_have_text("1")
    assert PriceAlert.objects.get(owner=user).firings == 1
    assert page.errors == []


def test_the_tape_holds_while_it_is_read(exchange, person, signed_in):
    page = signed_in(person(), exchange.path)
    live(page)
    page.locator(".trade-rows li").first.hover()
    expect(page.locator("[data-slot=held]")).to_have_text("paused, 0 new")
    exchange.trade("61655.50", "61655.51")
    expect(page.locator("[data-slot=held]")).to_have_text("paused, 2 new")
    expect(page.locator(".trade-rows [data-f=text]").first).to_have_text("61,641.76")
    page.mouse.move(5, 5)
    expect(page.locator(".trade-rows [data-f=text]").first).to_have_text("61,655.51")


def test_the_tape_is_walked_by_arrows_and_a_price_taken_by_enter(exchange, person, signed_in):
    page = signed_in(person(), exchange.path)
    live(page)
    page.locator(".trade-rows [data-f=price]").first.focus()
    expect(page.locator("[data-slot=held]")).to_contain_text("paused")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#alert-price")).to_have_value("61640.25")
    expect(page.locator("#alert-price")).to_be_focused()


def test_a_deleted_alert_comes_back_by_undo_as_it_was(exchange, person, signed_in):
    user = person()
    PriceAlert.objects.create(
        owner=user, market=exchange.market, direction="down", price=61600, once=False,
        note="Bounce", state="paused",
    )  # fmt: skip
    page = signed_in(user, exchange.path)
    live(page)
    page.locator("[data-alerts] summary").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("[data-alerts] li")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("[data-alerts] li")).to_have_attribute("data-state", "paused")
    alert = PriceAlert.objects.get(owner=user)
    assert (alert.price, alert.once, alert.note, alert.direction) == (
        61600,
        False,
        "Bounce",
        "down",
    )


def test_another_browser_of_the_person_sees_the_alert_change(exchange, person, signed_in):
    user = person()
    PriceAlert.objects.create(owner=user, market=exchange.market, price=61900)
    one, other = signed_in(user, exchange.path), signed_in(user, exchange.path)
    live(one)
    live(other)
    one.locator("[data-alerts] summary").click()
    one.get_by_role("button", name="Pause").click()
    expect(other.locator("[data-alerts] li")).to_have_attribute(
        "data-state", "paused", timeout=15_000
    )


def test_a_wrong_price_is_said_beside_the_form(exchange, person, signed_in):
    page = signed_in(person(), exchange.path)
    live(page)
    page.locator("#alert-price").fill("much")
    page.get_by_role("button", name="Set alert").click()
    expect(page.locator("#alert-errors")).to_contain_text("Write a price")


def test_the_phone_has_tabs_and_scrolls_in_one_direction_only(exchange, person, signed_in):
    page = signed_in(person(), exchange.path, viewport={"width": 360, "height": 640})
    live(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.locator("#trades")).to_be_visible()
    expect(page.locator("#alert-price")).to_be_hidden()
    page.get_by_role("link", name="New alert").click()
    expect(page.locator("#alert-price")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_page_is_whole_without_a_script(exchange, person, signed_in):
    user = person()
    page = signed_in(user, exchange.path, java_script_enabled=False)
    expect(page.locator("[data-h=last]")).to_have_text("61,641.76")
    page.locator(".trade-rows [data-f=price]").first.click()
    expect(page.locator("#alert-price")).to_have_value("61641.76")
    page.get_by_role("button", name="Set alert").click()
    expect(page.locator("[data-alerts] li")).to_have_count(1)
    assert PriceAlert.objects.get(owner=user).price == Decimal("61641.76")


def test_the_overview_shows_the_same_prices_live(exchange, person, signed_in):
    user = person()
    PriceAlert.objects.create(owner=user, market=exchange.market, price=61900)
    page = signed_in(user, "/")
    live(page)
    row = page.locator(f"[data-market={exchange.market.pk}]")
    expect(row.locator("[data-f=last]")).to_have_text("61,641.76")
    exchange.trade("61880.00")
    expect(row.locator("[data-f=last]")).to_have_text("61,880.00")
    expect(page.locator("[data-wishes] [data-f=away]")).to_have_text("20.00 away")
    assert page.errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_on_the_market_page(exchange, person, signed_in, theme, width):
    user = person()
    for number, state in enumerate(("armed", "fired", "paused")):
        PriceAlert.objects.create(
            owner=user, market=exchange.market, price=61900 + number, state=state, note="A note"
        )
    viewport = {"width": width, "height": 740}
    page = signed_in(user, exchange.path, color_scheme=theme, viewport=viewport)
    live(page)
    if width == 360:
        assert findings(page) == []
        page.get_by_role("tab", name="Alerts").click()
    page.locator(".minutes summary").click()
    assert findings(page) == []
