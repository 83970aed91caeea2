"""The admin's pages for markets, to be looked at: feeds write prices, people their alerts.

Trades and candles are many: their lists are never counted and run along an index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from realtime.engine.admin import ReadOnly
from realtime.markets.models import AlertFiring, Market, PriceAlert, ReplayState, Ticker, Trade

if TYPE_CHECKING:
    from decimal import Decimal

    from django.db.models import QuerySet
    from django.http import HttpRequest

ID_DIGITS = 18


@admin.display(description="Market", ordering="market")
def symbol(row: Any) -> str:
    return str(row.market_id)


def number(value: Decimal | None) -> str:
    """As it was recorded, without the zeros behind: 61,640.1."""
    return "-" if value is None else f"{value.normalize():,f}"


@admin.register(Market)
class MarketAdmin(ReadOnly):
    list_display = ("symbol", "base", "quote", "price_step", "quantity_step")
    search_fields = ("symbol", "base", "quote")


@admin.register(Ticker)
class TickerAdmin(ReadOnly):
    list_display = (symbol, "last_price", "best_bid", "best_ask", "change_text", "trades",
                    "traded_at", "updated_at")  # fmt: skip
    ordering = ("market",)
    search_fields = ("market__symbol", "feed")

    @display(description="Last", ordering="last")
    def last_price(self, ticker: Ticker) -> str:
        return number(ticker.last)

    @display(description="Bid", ordering="bid")
    def best_bid(self, ticker: Ticker) -> str:
        return number(ticker.bid)

    @display(description="Ask", ordering="ask")
    def best_ask(self, ticker: Ticker) -> str:
        return number(ticker.ask)

    @display(description="Change")
    def change_text(self, ticker: Ticker) -> str:
        if ticker.change is None:
            return "-"
        sign = "▲ +" if ticker.change > 0 else "▼ −" if ticker.change < 0 else ""
        return f"{sign}{abs(ticker.change):,.2f} %"


@admin.register(Trade)
class TradeAdmin(ReadOnly):
    """The newest first, along the primary key."""

    list_display = ("trade_id", symbol, "side", "price_text", "quantity_text", "traded_at")
    list_filter = ("market", "side")
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("trade_id", "market")
    search_help_text = "A trade's number, or a market's symbol"
    paginator = InfinitePaginator

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Trade], search_term: str
    ) -> tuple[QuerySet[Trade], bool]:
        """Along the indexes: `market__in` is what the one of (market, trade_id) begins with."""
        for word in search_term.split():
            if word.isdecimal() and len(word) <= ID_DIGITS:
                markets = Market.objects.values("pk")
                queryset = queryset.filter(market__in=markets, trade_id=int(word))
            else:
                queryset = queryset.filter(market=word.upper())
        return queryset, False

    @display(description="Price")
    def price_text(self, trade: Trade) -> str:
        return number(trade.price)

    @display(description="Quantity")
    def quantity_text(self, trade: Trade) -> str:
        return number(trade.quantity)


@admin.register(PriceAlert)
class PriceAlertAdmin(ReadOnly):
    """Whoever may, can delete an alert; armed and paused it is by its owner."""

    deletable = True
    list_display = (symbol, "direction", "price_text", "owner", "state_label", "once",
                    "firings", "fired_at", "created_at")  # fmt: skip
    list_filter = ("state", "market", "direction", "once")
    list_select_related = ("owner",)
    search_fields = ("owner__username", "owner__email", "market__symbol", "note")
    date_hierarchy = "created_at"

    @display(description="Price", ordering="price")
    def price_text(self, alert: PriceAlert) -> str:
        return number(alert.price)

    @display(
        description="State",
        ordering="state",
        label={"armed": "info", "fired": "success", "paused": "warning"},
    )
    def state_label(self, alert: PriceAlert) -> str:
        return alert.get_state_display()


@admin.register(AlertFiring)
class AlertFiringAdmin(ReadOnly):
    list_display = ("alert", "owner", "price_text", "cause", "fired_at")
    list_filter = ("alert__market", ("fired_at", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("alert__owner", "trade", "candle")
    search_fields = ("alert__owner__username", "alert__market__symbol")
    ordering = ("-id",)

    @display(description="Owner", ordering="alert__owner__username")
    def owner(self, firing: AlertFiring) -> str:
        return firing.alert.owner.get_username()

    @display(description="Price", ordering="price")
    def price_text(self, firing: AlertFiring) -> str:
        return number(firing.price)

    @display(description="Crossed by")
    def cause(self, firing: AlertFiring) -> str:
        if firing.trade:
            return f"trade {firing.trade.trade_id}"
        return f"the second {firing.candle.start:%H:%M:%S}" if firing.candle else "-"


@admin.register(ReplayState)
class ReplayStateAdmin(ReadOnly):
    list_display = ("source", "run", "stage", "position", "updated_at")
    list_filter = ("stage",)
    search_fields = ("source",)
