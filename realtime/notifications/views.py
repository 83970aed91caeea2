"""The inbox as first rendered, and the verbs behind its buttons.

Each verb is an ordinary POST: a form without JavaScript is sent back to where it came from, the
page's own code asks for JSON. What changed comes back over the socket either way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from realtime.notifications import actions, reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User

VIEWS = {"all": "All", "unread": "Unread", "archived": "Archived"}
MOST_IDS = 1_000
MOST_DIGITS = 18  # what a bigint holds


@require_safe
@never_cache
@login_required
def inbox(request: HttpRequest) -> HttpResponse:
    """The views, the list and the reader; opening it marks what is there as seen, not as read."""
    if request.method == "GET" and "prefetch" not in request.headers.get("Sec-Purpose", ""):
        actions.mark_seen(_person(request))
    inbox = reading.of(request)
    view = request.GET.get("view", "all")
    view = view if view in VIEWS else "all"
    rows = inbox.view(view)
    start = _number(request.GET.get("from")) or 0
    context = {
        "view": view,
        "views": [(name, label, len(inbox.view(name))) for name, label in VIEWS.items()],
        "rows": rows[start : start + reading.SHOWN],
        "older": start + reading.SHOWN if len(rows) > start + reading.SHOWN else None,
        "opened": inbox.row(request.GET.get("open", "")),
        "first_use": not inbox.rows,
        "live": start == 0,
    }
    return render(request, "notifications/inbox.html", context)


def _seen(user: User, ids: list[int], request: HttpRequest) -> list[int]:  # noqa: ARG001
    return actions.mark_seen(user, ids or None)


def _read(user: User, ids: list[int], request: HttpRequest) -> list[int]:
    actions.read_announcements(user, _ids(request, "announcement:"))
    return actions.mark_read(user, ids)


def _read_all(user: User, ids: list[int], request: HttpRequest) -> list[int]:
    """`known`, `older_than` and `number` say what was on the page when the button was pressed."""
    return actions.mark_all_read(
        user,
        known=ids if "known" in request.POST else None,
        older_than=_number(request.POST.get("older_than")),
        number=_number(request.POST.get("number")),
    )


def _test(user: User, ids: list[int], request: HttpRequest) -> list[int]:  # noqa: ARG001
    actions.notify(user, "message", "This is a test", "Sent by you, from your inbox.")
    return []


VERBS: dict[str, Callable[[User, list[int], HttpRequest], list[int]]] = {
    "seen": _seen,
    "read": _read,
    "unread": lambda user, ids, _: actions.mark_unread(user, ids),
    "archive": lambda user, ids, _: actions.archive(user, ids),
    "unarchive": lambda user, ids, _: actions.unarchive(user, ids),
    "read-all": _read_all,
    "unread-all": lambda user, ids, request: actions.mark_all_unread(user),  # noqa: ARG005
    "test": _test,
}


@require_POST
@login_required
def act(request: HttpRequest, verb: str) -> HttpResponse:
    """Apply one verb to the person's own rows named by `key`; answers the ids that changed."""
    changed = VERBS[verb](_person(request), _ids(request, ""), request)
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"ids": changed})
    return HttpResponseRedirect(_back(request))


def _person(request: HttpRequest) -> User:
    user: Any = request.user
    return user


def _ids(request: HttpRequest, prefix: str) -> list[int]:
    """The numbers of the keys with this prefix: `5` is a notification, `announcement:7` is not."""
    keys = [key for value in request.POST.getlist("key")[:MOST_IDS] for key in value.split(",")]
    ids = (_number(key.removeprefix(prefix)) for key in keys if key.startswith(prefix))
    return [number for number in ids if number is not None][:MOST_IDS]


def _number(text: str | None) -> int | None:
    """A number that fits the database, else nothing: it came from outside."""
    if not text or not text.isascii() or not text.isdigit():
        return None
    return int(text) if len(text) <= MOST_DIGITS else None


def _back(request: HttpRequest) -> str:
    url = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(url, {request.get_host()}, request.is_secure())
    return url if url and safe else reverse("inbox")
