"""What every page's frame shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.functional import SimpleLazyObject

from realtime.notifications import reading

if TYPE_CHECKING:
    from django.http import HttpRequest

DEMO_PEOPLE = ("ada", "grace", "admin")


def frame(request: HttpRequest) -> dict[str, Any]:
    """`frame`: the person's counts and positions, read only where a template asks for them."""
    context: dict[str, Any] = {"demo_people": DEMO_PEOPLE if settings.DEBUG else ()}
    if getattr(request, "user", None) and request.user.is_authenticated:
        context["frame"] = SimpleLazyObject(lambda: reading.of(request))
    return context
