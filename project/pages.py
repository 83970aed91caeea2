"""The overview: a person's newest notifications beside the markets they watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from realtime.markets import reading as markets
from realtime.notifications import reading

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

PREVIEW = 6


@require_safe
@never_cache
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    inbox = reading.of(request)
    context = {
        "rows": inbox.view("all")[:PREVIEW],
        "banner": inbox.banner,
        **markets.overview(request.user),
    }
    return render(request, "overview.html", context)
