"""Filters of the admin's list of notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.admin import SimpleListFilter
from django.db.models import Q

from realtime.notifications.models import Notification

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.db.models import QuerySet
    from django.http import HttpRequest

NEWEST = 2000


class StateFilter(SimpleListFilter):
    """Where a notification stands with its recipient."""

    title = "state"
    parameter_name = "state"
    conditions: ClassVar[dict[str, tuple[str, Q]]] = {
        "unseen": ("Unseen", Q(seen_at=None, archived_at=None)),
        "unread": ("Unread", Q(read_at=None, archived_at=None)),
        "read": ("Read", Q(read_at__isnull=False, archived_at=None)),
        "archived": ("Archived", Q(archived_at__isnull=False)),
    }

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:  # noqa: ARG002
        return [(value, label) for value, (label, _) in self.conditions.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        chosen = self.conditions.get(self.value() or "")
        return queryset.filter(chosen[1]) if chosen else queryset


class KindFilter(SimpleListFilter):
    """The kinds among the newest notifications: those of the whole table would take too long."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:  # noqa: ARG002
        newest = list(Notification.objects.order_by("-pk").values_list("kind", flat=True)[:NEWEST])
        return [(kind, kind) for kind in sorted(set(newest))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.filter(kind=self.value()) if self.value() else queryset
