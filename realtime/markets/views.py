"""The market page as first rendered, and the verbs behind its forms."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from realtime.markets import actions, reading
from realtime.markets.models import Market, PriceAlert, Trade

MOST_DIGITS = 18  # what a bigint holds
VERBS: dict[str, Callable[[Any, int], Any]] = {
    "pause": actions.pause,
    "arm": actions.re_arm,
    "delete": actions.delete,
}


@require_safe
@login_required
def markets(request: HttpRequest) -> HttpResponse:
    """To the first market; a page that says how one comes where there is none."""
    first = Market.objects.first()
    if first:
        return redirect(first)
    return render(request, "markets/none.html")


@require_safe
@never_cache
@login_required
def market(request: HttpRequest, symbol: str) -> HttpResponse:
    asked = {name: request.GET[name] for name in ("price", "direction") if name in request.GET}
    return _page(request, _market(symbol), form=asked)


@require_POST
@login_required
def set_alert(request: HttpRequest, symbol: str) -> HttpResponse:
    """A new alert; a form without JavaScript is shown again with what is wrong in it."""
    market = _market(symbol)
    errors = _set(request, market)
    if _wants_json(request):
        return JsonResponse({"errors": errors}, status=400 if errors else 201)
    if errors:
        form = request.POST.dict() | {"errors": errors}
        return _page(request, market, form=form, status=400)
    messages.success(request, f"Alert set on {market}.")
    return redirect("market", symbol=symbol)


@require_POST
@login_required
def change_alert(request: HttpRequest, alert_id: int, verb: str) -> HttpResponse:
    if verb not in VERBS:
        raise Http404
    try:
        VERBS[verb](request.user, alert_id)
    except PriceAlert.DoesNotExist as error:
        raise Http404 from error
    if _wants_json(request):
        return JsonResponse({})
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
    return redirect(back if safe else "markets")


def _market(symbol: str) -> Market:
    # PostgreSQL refuses the question, where other databases only find nothing
    if "\x00" in symbol:
        raise Http404
    return get_object_or_404(Market, symbol=symbol)


def _wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def _set(request: HttpRequest, market: Market) -> dict[str, list[str]]:
    """Set the alert that was posted; returns what is wrong by field, nothing where it is set."""
    sent = request.POST
    try:
        price = Decimal(sent.get("price", "").replace(",", "").strip())
        actions.set_alert(
            request.user,
            market,
            sent.get("direction", "up"),
            price,
            once=bool(sent.get("once")),
            note=sent.get("note", "").strip(),
            state=sent.get("state", PriceAlert.State.ARMED),
        )
    except InvalidOperation:
        return {"price": ["Write a price, for example 61700.00."]}
    except ValidationError as error:
        return error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    return {}


def _named(request: HttpRequest, market: Market) -> dict[str, str] | None:
    """The trade that the address speaks of, where a notification led here."""
    number = request.GET.get("trade", "")
    if not number.isdecimal() or len(number) > MOST_DIGITS:
        return None
    trade = Trade.objects.filter(market=market, trade_id=int(number)).first()
    if trade is None:
        return None
    return {"trade_id": str(trade.trade_id), "traded_at": trade.traded_at.isoformat()}


def _page(
    request: HttpRequest, market: Market, form: dict[str, Any], status: int = 200
) -> HttpResponse:
    board = reading.Board(request.user)
    watched = next(row for row in board.watched if row.market == market)
    tape = reading.Topic(request.user, f"trades:{market.symbol}")
    trades = sorted(tape.rows(Trade), key=lambda trade: -trade.pk)[: reading.TAPE]
    for trade in trades:
        trade.market = market
    named = _named(request, market)
    mine = [wish for wish in board.wishes if wish.alert.market_id == market.pk]
    context = {
        "board": board,
        "watched": watched,
        "market": market,
        "trades": trades,
        "tape_age": watched.age if trades else "",
        "minutes": reading.minutes(market),
        "mine": mine,
        "form": {"once": "on"} | form if "errors" not in form else form,
        "page": board.page
        | {
            "symbol": market.symbol,
            "trade": named,
            "trades": tape.position | {"rows": {str(t.pk): tape.bodies[str(t.pk)] for t in trades}},
        },
    }
    return render(request, "markets/market.html", context, status=status)
