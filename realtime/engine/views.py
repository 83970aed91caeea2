"""For other programs: the server API; and is the process up, can it work, what does it count."""

from __future__ import annotations

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from realtime.engine import hub, keys, requests, state
from realtime.engine.conf import settings
from realtime.engine.replies import error
from realtime.engine.server_api import Api
from realtime.protocol.codes import Error

log = structlog.get_logger(__name__)

OK, DEGRADED, BEHIND, DOWN = "ok", "degraded", "behind", "down"


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """The process is up; nothing else is asked."""
    return JsonResponse({"status": OK})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Whether changes reach readers, and what stands in the way; 503 where they do not.

    Without Redis, or with a full outbox, they do more slowly: "degraded", still 200. Details are
    in the admin, for staff.
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
        elif now.behind:
            parts["relay"] = BEHIND
        if trouble := state.disk_trouble():
            log.warning("database.unwritable", reason=trouble)
            parts["database"] = DOWN
    ready = parts["database"] == OK and parts["relay"] in {OK, BEHIND}
    status = DOWN if not ready else OK if set(parts.values()) == {OK} else DEGRADED
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


@csrf_exempt
@require_POST
async def server_api(request: HttpRequest, method: str) -> HttpResponse:
    """One request of a program that has a key; errors but these four are answered with 200."""
    if method not in requests.METHODS:
        return JsonResponse(error(Error.METHOD_NOT_FOUND), status=404)
    try:
        key = await keys.afind(_key(request))
    except DatabaseError as failure:
        log.warning("api.failed", method=method, error=repr(failure))
        return JsonResponse(error(Error.INTERNAL))
    if key is None:
        return JsonResponse(error(Error.UNAUTHORIZED), status=401)
    body = request.read(settings.API_BYTES + 1)
    if len(body) > settings.API_BYTES:
        why = f"more than {settings.API_BYTES} bytes"
        return JsonResponse(error(Error.BAD_REQUEST, why), status=413)
    answer = await Api(hub.current(), key).answer(method, body)
    return HttpResponse(
        answer, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _key(request: HttpRequest) -> str:
    """From a header alone: an address would be kept in logs."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    own = text.strip() if scheme.lower() == "apikey" else ""
    return request.headers.get("X-API-Key", own)
