"""The market pages as served, and their forms without a script."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from realtime.markets import prices
from realtime.markets.actions import record, set_alert
from realtime.markets.models import Market, PriceAlert, Ticker

pytestmark = pytest.mark.django_db(transaction=True)
BEGIN = prices.EPOCH + timedelta(days=20_000)


@pytest.fixture
def market():
    market = Market.objects.create(symbol="BTCUSDT", base="BTC", quote="USDT")
    Ticker.objects.create(market=market, feed="Recorded, 1×")
    path = ("61700.00", "61640.25", "61641.76")
    told = [
        prices.Trade(3735683259 + n, Decimal(p), Decimal("0.00215"), "sell" if n == 1 else "buy",
                     BEGIN + timedelta(seconds=n))
        for n, p in enumerate(path)
    ]  # fmt: skip
    quote = prices.Quote(Decimal("61641.75"), None, Decimal("61641.76"), None, BEGIN)
    record(market, told, [quote], BEGIN)
    return market


@pytest.fixture
def ada(client):
    user = User.objects.create_user("ada", password="ada")
    client.force_login(user)
    return user


def page(client, address="/market/BTCUSDT/"):
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_is_for_people_who_are_signed_in(client, market):
    assert client.get("/market/BTCUSDT/").status_code == 302
    assert client.post("/market/BTCUSDT/alerts/", {"price": "1"}).status_code == 302


def test_market_leads_to_the_first_market_or_says_there_is_none(client, ada):
    assert "No market yet" in page(client, "/market/")
    Market.objects.create(symbol="ETHUSDT", base="ETH", quote="USDT")
    assert client.get("/market/").url == "/market/ETHUSDT/"
    assert client.get("/market/XRPUSDT/").status_code == 404
    assert client.get("/market/%00/").status_code == 404
    assert "Nothing played yet" in page(client, "/market/ETHUSDT/")


def test_the_page_is_complete_as_served(client, ada, market):
    set_alert(ada, market, "up", Decimal("61700.00"))
    text = page(client)
    assert "Recorded, 1×" in text
    assert "61,641.76" in text
    assert "▼ −0.09 %" in text
    assert "since 00:00" in text
    assert "24 h" not in text
    assert "58.24 away" in text
    assert text.count('class="trade-row"') >= 3
    assert "Order book" not in text
    assert '"epoch"' in text


def test_the_newest_trade_is_on_top_and_a_price_leads_into_the_form(client, ada, market):
    text = page(client)
    first, second = text.index("?price=61641.76"), text.index("?price=61640.25")
    assert first < second
    asked = page(client, "/market/BTCUSDT/?price=61640.25&direction=down")
    assert 'value="61640.25"' in asked
    assert '<option value="down" selected>' in asked


def test_an_alert_is_set_without_a_script(client, ada, market):
    sent = {"direction": "down", "price": "61,600.00", "once": "on", "note": "Bounce"}
    answer = client.post("/market/BTCUSDT/alerts/", sent)
    assert answer.url == "/market/BTCUSDT/"
    alert = PriceAlert.objects.get()
    assert (alert.owner, alert.price, alert.once) == (ada, Decimal(61600), True)
    assert (alert.direction, alert.note, alert.state) == ("down", "Bounce", "armed")
    assert "Alert set on BTCUSDT" in page(client)


@pytest.mark.parametrize("price", ["", "much", "61600.001", "-1", "NaN", "1e30"])
def test_a_wrong_price_is_said_in_words_and_what_was_written_stays(client, ada, market, price):
    answer = client.post("/market/BTCUSDT/alerts/", {"direction": "down", "price": price})
    assert answer.status_code == 400
    assert 'id="alert-errors"' in answer.content.decode()
    assert '<option value="down" selected>' in answer.content.decode()
    assert not PriceAlert.objects.exists()
    asked = {"accept": "application/json"}
    answer = client.post("/market/BTCUSDT/alerts/", {"price": price}, headers=asked)
    assert answer.status_code == 400
    assert "price" in answer.json()["errors"]


def test_an_odd_symbol_breaks_no_page_but_its_own(client, ada, market):
    Market.objects.create(symbol="A/B?", base="A", quote="B")
    assert client.get("/market/").url == "/market/A/B%3F/"
    assert page(client, "/")


def test_a_note_that_no_database_keeps_is_said_in_words(client, ada, market):
    sent = {"price": "61600", "direction": "up", "note": "U+\x00"}
    answer = client.post("/market/BTCUSDT/alerts/", sent, headers={"accept": "application/json"})
    assert answer.status_code == 400
    assert "note" in answer.json()["errors"]
    assert not PriceAlert.objects.exists()


def test_pause_arm_and_delete_are_ordinary_posts(client, ada, market):
    alert = set_alert(ada, market, "up", Decimal(61700))
    back = {"next": "/market/BTCUSDT/"}
    assert client.post(f"/alerts/{alert.pk}/pause/", back).url == "/market/BTCUSDT/"
    assert PriceAlert.objects.get().state == "paused"
    elsewhere = client.post(f"/alerts/{alert.pk}/arm/", {"next": "https://elsewhere.example/"})
    assert elsewhere.url == "/market/"
    assert PriceAlert.objects.get().state == "armed"
    assert client.get(f"/alerts/{alert.pk}/delete/").status_code == 405
    assert client.post(f"/alerts/{alert.pk}/explode/").status_code == 404
    client.post(f"/alerts/{alert.pk}/delete/", back)
    assert not PriceAlert.objects.exists()


def test_the_alert_of_another_is_not_there(client, ada, market):
    other = set_alert(User.objects.create_user("grace"), market, "up", Decimal(61700))
    assert client.post(f"/alerts/{other.pk}/pause/").status_code == 404
    assert "61,700.00 " not in page(client).split("alert-rows")[1].split("</ul>")[0]


def test_a_notification_leads_to_its_trade(client, ada, market):
    assert '"trade_id": "3735683260"' in page(client, "/market/BTCUSDT/?trade=3735683260")
    for odd in ("x", "9" * 40, "-1", "²"):
        assert '"trade": null' in page(client, f"/market/BTCUSDT/?trade={odd}")
