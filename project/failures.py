"""What a person sees when a page fails: what answered, and when to try again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.template import loader
from django.views import defaults

if TYPE_CHECKING:
    from django.http import HttpRequest

AGAIN_S = 5


def failed(request: HttpRequest) -> HttpResponse:
    """`handler500`: a database that is away is 503 and passes; anything else is a fault, 500."""
    if not isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return defaults.server_error(request)
    reads = request.method in {"GET", "HEAD"}
    words = {"again_s": AGAIN_S if reads else None, "path": request.get_full_path()}
    answer = HttpResponse(loader.get_template("503.html").render(words), status=503)
    answer["Retry-After"] = str(AGAIN_S)
    answer["Cache-Control"] = "no-store"
    if reads:
        answer["Refresh"] = str(AGAIN_S)
    return answer
