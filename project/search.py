"""The admin's search (Ctrl K): a few rows of each list that the person may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import reverse
from unfold.dataclasses import SearchResult

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest

# what has names; trades and the log are searched on their own pages
SEARCHED = {
    "auth.user": "person",
    "auth.group": "group",
    "notifications.announcement": "campaign",
    "notifications.notification": "notifications",
    "markets.market": "storefront",
    "markets.pricealert": "alarm",
    "engine.head": "tag",
}
EACH = 5


def find(request: HttpRequest, words: str) -> list[SearchResult]:
    """At most five rows of each list, by that list's own search."""
    lists = {model._meta.label_lower: own for model, own in admin.site._registry.items()}  # noqa: SLF001
    return [
        result
        for label, icon in SEARCHED.items()
        if label in lists and lists[label].has_view_permission(request)
        for result in _rows(lists[label], request, words, icon)
    ]


def _rows(own: ModelAdmin[Any], request: HttpRequest, words: str, icon: str) -> list[SearchResult]:
    rows, repeats = own.get_search_results(request, own.get_queryset(request), words)
    rows = rows.distinct() if repeats else rows
    return [
        SearchResult(
            title=str(row),
            description=str(own.opts.verbose_name),
            link=reverse(
                f"admin:{own.opts.app_label}_{own.opts.model_name}_change", args=[quote(row.pk)]
            ),
            icon=icon,
        )
        for row in rows[:EACH]
    ]
