"""The proof page of a demo: break what runs it, and count what reaches the browser.

Guarantee: nothing of it exists where DEBUG is off; nothing is hit but what `make run` started
(project/faults.py), and nobody is revoked but the Ada that it made. The page counts; this tells it
what the tables hold, and does the breaking.
"""

from __future__ import annotations

import functools
from threading import Timer
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Max
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from redis import Redis
from redis.exceptions import RedisError

from project import faults
from realtime.engine import api
from realtime.markets.feeds.source import INSTRUMENTS
from realtime.markets.models import Candle, Trade
from realtime.notifications.actions import notify
from realtime.notifications.models import Notification

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.db.models import QuerySet
    from django.http import HttpRequest

BOUND = 2000  # rows of a kind in one answer; the page asks on where there are more
ROWS: dict[str, Any] = {"trades": Trade, "candles": Candle}
TOPICS = {"trades": "trades:{}", "candles": "candles:{}:1s"}
REDIS_S = 2.0
# name -> what the supervisor is told, the program it hits, what is said then
HITS = {
    "relay": ("kill", "relay", "SIGKILL to the relay. The supervisor starts it again."),
    "freeze": ("freeze", "redis", f"SIGSTOP to Redis, for {faults.FROZEN_S:g} s."),
    "flush": ("", "redis", "FLUSHALL: Redis has forgotten everything."),
    "sockets": ("kill_children", "web", "SIGKILL to every web process. All sockets are cut."),
}
ADA = "ada"
ADA_TITLE = "Proof: "
TAKEN_S = 10.0
TOKEN_S = 60.0


def demo_only(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Where DEBUG is on, for staff; elsewhere there is nothing here."""

    @never_cache
    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        if not settings.DEBUG:
            raise Http404
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not getattr(request.user, "is_staff", False):
            raise PermissionDenied
        return view(request, *args, **named)

    return guarded


@demo_only
@require_safe
def proof(request: HttpRequest) -> HttpResponse:
    person = None if _reason(ADA) else _people().filter(username=ADA).first()
    page = {
        "topics": _positions(),  # before `since`: a row behind it is published behind them
        "since": {kind: _newest(kind) for kind in ROWS},
        "ada": person and person.pk,
        "taken_s": TAKEN_S,
    }
    reasons = {name: _reason(program) for name, (_, program, _) in HITS.items()}
    context = {
        "page": page,
        "reasons": reasons,
        "ada": person,
        # SQLite's triggers write the log themselves, where the web processes find it
        "outbox": connection.vendor != "sqlite",
    }
    return render(request, "proof.html", context)


def _positions() -> list[dict[str, Any]]:
    """The topics of the recorded markets, whatever is played: trades or one-second figures."""
    return [
        {"kind": kind, "topic": topic, "epoch": position.epoch, "offset": position.offset}
        for kind, name in TOPICS.items()
        for topic in map(name.format, INSTRUMENTS)
        for position in [api.position(topic)]
    ]


def _newest(kind: str) -> int:
    return ROWS[kind].objects.aggregate(newest=Max("pk"))["newest"] or 0


@demo_only
@require_safe
def committed(request: HttpRequest) -> JsonResponse:
    """The ids behind `?trades=` and `?candles=`, lowest first, at most BOUND of each.

    The ids of a kind are committed in their order: the replay is their only writer.
    """
    ids = {kind: _ids(kind, request.GET.get(kind, "")) for kind in ROWS}
    more = [kind for kind in ROWS if len(ids[kind]) == BOUND]
    active = _people().filter(username=ADA, is_active=True).exists()
    return JsonResponse({"ids": ids, "more": more, "ada_active": active})


def _ids(kind: str, since: str) -> list[int]:
    if not since.isdecimal() or len(since) > 18:  # noqa: PLR2004  (what a bigint holds)
        raise Http404
    rows = ROWS[kind].objects.filter(market__in=INSTRUMENTS, pk__gt=int(since)).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:BOUND])


# --- Breaking -------------------------------------------------------------------------------


@demo_only
@require_POST
def hit(_: HttpRequest, name: str) -> JsonResponse:
    if name not in HITS:
        raise Http404
    fault, program, says = HITS[name]
    refused = _reason(program) or (_flush() if name == "flush" else _order(fault, program))
    if refused:
        return JsonResponse({"says": refused}, status=409)
    return JsonResponse({"says": says})


def _reason(program: str) -> str:
    """Why this cannot be done here; nothing where it can."""
    try:
        running = faults.programs()
    except faults.NoDoor:
        return "Only where `make run` runs this site: here it is not what runs it."
    if program == "redis" and not (program in running and settings.REDIS_URL.startswith("unix:")):
        return "REDIS_URL names a Redis that `make run` did not start: it is left alone."
    return ""


def _order(fault: str, program: str) -> str:
    if program not in faults.programs(f"{fault} {program}"):
        return f"The {program} is not running at this moment: it is being started."
    return ""


def _flush() -> str:
    try:
        with Redis.from_url(settings.REDIS_URL, socket_timeout=REDIS_S) as client:
            client.flushall()
    except RedisError:
        return "Redis does not answer, so there is nothing to flush."
    return ""


# --- Ada ------------------------------------------------------------------------------------


@demo_only
@require_POST
def ada(_: HttpRequest, verb: str) -> JsonResponse:
    """A token to listen as Ada, a notification for her, her right taken and given back.

    Answers with the id of what was written for her, last of all.
    """
    if refused := _reason(ADA):  # somebody's own site may have an ada, too
        return JsonResponse({"says": refused}, status=409)
    person = get_object_or_404(_people(), username=ADA)
    if verb == "token":
        return JsonResponse({"token": api.token(str(person.pk), expires_in_s=TOKEN_S)})
    if verb not in ADA_VERBS:
        raise Http404
    ADA_VERBS[verb](person)
    written = _write(person)
    if verb == "take":
        # the page gives it back; this does where the page was closed meanwhile
        later = Timer(TAKEN_S + REDIS_S, _give_if_left, [person, written])
        later.daemon = True
        later.start()
    return JsonResponse({"id": written})


def _clear(person: User) -> None:
    """What the last press left in her inbox."""
    _written(person).delete()


def _take(person: User) -> None:
    _people().filter(pk=person.pk).update(is_active=False)


def _give(person: User) -> None:
    _people().filter(pk=person.pk).update(is_active=True)


def _give_if_left(person: User, written: int) -> None:
    """In a thread of its own. Unless another press began since: it cleared what was written."""
    try:
        if Notification.objects.filter(pk=written).exists():
            _give(person)
    finally:
        connection.close()


ADA_VERBS: dict[str, Callable[[User], None]] = {
    "begin": _clear,
    "take": _take,
    "write": lambda _: None,
    "give": _give,
}


def _write(person: User) -> int:
    has = _people().filter(pk=person.pk, is_active=True).exists()
    notify(person, "message", f"{ADA_TITLE}written {'with' if has else 'without'} her right")
    return _written(person).latest("pk").pk


def _written(person: User) -> QuerySet[Notification]:
    return Notification.objects.filter(recipient=person, title__startswith=ADA_TITLE)


def _people() -> Any:
    return get_user_model()._default_manager  # noqa: SLF001
