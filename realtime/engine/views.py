"""For those who watch over the process: is it up, can it work, what does it count."""

from __future__ import annotations

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from realtime.engine import state

log = structlog.get_logger(__name__)

OK, DEGRADED, DOWN = "ok", "degraded", "down"


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """The process is up; nothing else is asked."""
    return JsonResponse({"status": OK})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Whether changes reach readers, and what stands in the way; 503 where they do not.

    Without Redis they do, more slowly: "degraded", still 200. Details are in the admin, for staff.
    """
    parts = {"database": OK, "redis": OK, "relay": OK}
    try:
        now = state.relay()
    except DatabaseError as error:
        log.warning("database.unreachable", error=repr(error))
        parts = {"database": DOWN, "redis": OK, "relay": "unknown"}
        if state.redis_trouble():
            parts["redis"] = DOWN
    else:
        if now.redis:
            parts["redis"] = DOWN
        if now.leader is None:
            parts["relay"] = DOWN
    ready = parts["database"] == OK and parts["relay"] == OK
    status = DOWN if not ready else DEGRADED if parts["redis"] != OK else OK
    answer = JsonResponse({"status": status, **parts}, status=200 if ready else 503)
    answer["Cache-Control"] = "no-store"
    return answer


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """This process's counters, in Prometheus' text form."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def upgrade_required(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """What a plain request gets where sockets are opened."""
    answer = HttpResponse("This address speaks WebSocket.\n", status=426, content_type="text/plain")
    answer["Upgrade"] = "websocket"
    answer["Connection"] = "Upgrade"
    return answer
