"""The engine's lists in the admin, all to be read only: topics, what waits, namespaces.

Bodies are personal data: superusers see them, nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from realtime.engine import pages
from realtime.engine.models import Entry, Head, Namespace, Publication
from realtime.engine.topics import registry

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

BODY = ("body", "counts")


class ReadOnly(ModelAdmin):
    """Rows to be looked at, the apps' too; `deletable` ones go by whoever has the permission."""

    deletable = False
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.deletable and super().has_delete_permission(request, obj)


@admin.register(Head)
class HeadAdmin(ReadOnly):
    """Topics with their positions; `kept` counts along the log's primary key."""

    list_display = ("topic", "epoch", "offset", "floor", "kept", "moved_at", "log_link")
    fields = ("topic", "epoch", "offset", "floor", "kept", "moved_at", "log_link")
    search_fields = ("topic",)
    search_help_text = "Part of a topic's name"
    ordering = ("topic",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Head]:
        rows = Publication.objects.filter(topic=OuterRef("topic")).order_by().values("topic")
        count = Subquery(rows.annotate(n=Count("offset")).values("n"))
        heads: QuerySet[Head] = super().get_queryset(request)
        return heads.annotate(kept_count=Coalesce(count, 0))

    @admin.display(description="Kept publications")
    def kept(self, head: Any) -> str:
        return f"{head.kept_count:,}"

    @admin.display(description="Log")
    def log_link(self, head: Head) -> str:
        url = f"{reverse('admin:engine_log')}?{urlencode({'q': head.topic})}"
        return format_html('<a class="tocsin-link" href="{}">Log</a>', url)


@admin.register(Entry)
class EntryAdmin(ReadOnly):
    """The outbox: what is committed and not yet numbered. Empty but for milliseconds."""

    list_display = ("id", "topics", "op", "key", "control", "written_at")
    search_fields = ("topics", "key")
    ordering = ("id",)
    paginator = InfinitePaginator

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if request.user.is_superuser else BODY

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entry]:
        rows: QuerySet[Entry] = super().get_queryset(request)
        return rows if request.user.is_superuser else rows.defer(*BODY)


@admin.register(Namespace)
class NamespaceAdmin(ReadOnly):
    list_display = ("__str__", "epoch", "declared")
    search_fields = ("name", "epoch")
    ordering = ("name",)

    @admin.display(description="Declared by")
    def declared(self, namespace: Namespace) -> str:
        topic = registry().get(namespace.name)
        return f"{type(topic).__module__}.{type(topic).__qualname__}" if topic else "-"


def _pages() -> list[URLPattern]:
    view = admin.site.admin_view
    return [
        path("engine/relay/", view(pages.relay), name="engine_relay"),
        path("engine/log/", view(pages.log), name="engine_log"),
    ]


admin.site.index_title = "Overview"
# Unfold's site takes further pages from an attribute of this name (unfold/sites.py, get_urls)
admin.site.extra_urls = _pages  # type: ignore[attr-defined]
