"""The second factor: where the site asks for it (TOCSIN_ADMIN_MFA), no page for staff without it.

Guarantee: what counts is what this session was begun or confirmed with, and that this is still
there: a factor that was removed, with a lost telephone, opens nothing any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.urls import reverse

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

FOR_STAFF = ("/admin/", "/proof/")
READS = {"GET", "HEAD"}


def demand(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Middleware: who is staff and has given no second factor is sent to give one."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponse:
            if _concerned(request) and (answer := await sync_to_async(_instead)(request)):
                return answer
            return await get_response(request)

        return markcoroutinefunction(amiddleware)

    def middleware(request: HttpRequest) -> HttpResponse:
        if _concerned(request) and (answer := _instead(request)):
            return answer
        return get_response(request)

    return middleware


demand.sync_capable = demand.async_capable = True  # type: ignore[attr-defined]


def _concerned(request: HttpRequest) -> bool:
    return settings.TOCSIN_ADMIN_MFA and request.path_info.startswith(FOR_STAFF)


def _instead(request: HttpRequest) -> HttpResponse | None:
    """None for who has given it, and for who is no staff: the page itself turns them away."""
    if not getattr(request.user, "is_staff", False) or given(request):
        return None
    if request.method not in READS:
        raise PermissionDenied
    if is_mfa_enabled(request.user):
        return redirect_to_login(request.get_full_path(), reverse("mfa_reauthenticate"))
    return HttpResponseRedirect(f"{reverse('mfa_activate_totp')}?staff=1")  # it says why


def given(request: HttpRequest) -> bool:
    """This session has shown a second factor that its person still has."""
    records = get_authentication_records(request, request.user)
    shown = [record.get("id") for record in records if record.get("method") == "mfa"]
    return Authenticator.objects.filter(user_id=request.user.pk, pk__in=shown).exists()
