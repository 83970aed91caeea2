"""Middleware of the site."""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING
from urllib.parse import unquote

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from django.conf import settings
from django.http import Http404
from django.utils import timezone
from django.views import defaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

NOT_FOUND = 404


def admin_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Loosen the content policy under /admin/ alone: Unfold evaluates Alpine and styles inline."""

    def loosen(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.path.startswith("/admin/"):
            response._csp_update = {  # type: ignore[attr-defined]  # noqa: SLF001  (django-csp's door)
                "script-src": [UNSAFE_EVAL],
                "style-src": [UNSAFE_INLINE],
            }
        return response

    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponse:
            return loosen(request, await get_response(request))

        return markcoroutinefunction(amiddleware)

    def middleware(request: HttpRequest) -> HttpResponse:
        return loosen(request, get_response(request))

    return middleware


admin_policy.sync_capable = admin_policy.async_capable = True  # type: ignore[attr-defined]


def missing(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Show the site's own page for a wrong address with DEBUG on, too, where `make run` is."""

    def ours(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        html = response.get("Content-Type", "").startswith("text/html")
        if settings.DEBUG and response.status_code == NOT_FOUND and html:
            return defaults.page_not_found(request, Http404())
        return response

    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponse:
            response = await get_response(request)
            return await sync_to_async(ours)(request, response)

        return markcoroutinefunction(amiddleware)

    def middleware(request: HttpRequest) -> HttpResponse:
        return ours(request, get_response(request))

    return middleware


missing.sync_capable = missing.async_capable = True  # type: ignore[attr-defined]


def zone(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Show times in the person's zone, which theme.js keeps in a cookie; else in UTC."""

    def chosen(request: HttpRequest) -> zoneinfo.ZoneInfo | None:
        try:
            return zoneinfo.ZoneInfo(unquote(request.COOKIES["zone"]))
        except (KeyError, ValueError, OSError):
            return None

    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponse:
            with timezone.override(chosen(request)):
                return await get_response(request)

        return markcoroutinefunction(amiddleware)

    def middleware(request: HttpRequest) -> HttpResponse:
        with timezone.override(chosen(request)):
            return get_response(request)

    return middleware


zone.sync_capable = zone.async_capable = True  # type: ignore[attr-defined]
