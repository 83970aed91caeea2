"""Middleware of the site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse


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
