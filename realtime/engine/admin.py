"""The engine's lists in the admin: topics, what waits, namespaces, to be read only; keys, tokens.

Bodies are personal data: superusers see them, nobody else. A key is shown once, when it is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from realtime.engine import keys, pages, people
from realtime.engine.models import ApiKey, Entry, Head, Namespace, Publication, RevokedToken
from realtime.engine.topics import registry

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

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


class KeyForm(forms.ModelForm):
    methods = forms.MultipleChoiceField(
        choices=[(name, name) for name in keys.METHODS],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What a program with this key may call; batch needs no leave of its own.",
    )
    topics = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="One prefix a line, such as chat: or ticker:B. Empty: all topics.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "methods", "topics")

    def clean_topics(self) -> list[str]:
        return sorted(set(self.cleaned_data["topics"].split()))


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """Keys are made and revoked. None is changed: whoever has it relies on what it was given."""

    form = KeyForm
    list_display = ("name", "shown", "state", "calls", "covers", "last_used_at", "created_by")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("created_by",)
    search_fields = ("name", "start")
    ordering = ("-created_at",)
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("name", "methods", "topics")
        made = ("created_by", "created_at", "last_used_at", "revoked_at")
        return ("name", "shown", "state", "calls", "covers", *made)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # who called what should still be known: revoke it

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        obj.created_by_id = request.user.pk
        obj.secret = keys.endow(obj)
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: Any = None
    ) -> HttpResponse:
        """The key itself, on a page that nothing keeps: the admin says no-store."""
        context = {
            **admin.site.each_context(request),
            "title": f"The key of {obj}",
            "secret": obj.secret,
            "back": reverse("admin:engine_apikey_changelist"),
        }
        return TemplateResponse(request, "admin/engine/key_made.html", context)

    @admin.action(description="Revoke the chosen keys", permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        for key in chosen.filter(revoked_at=None):
            self.log_change(request, key, "Revoked.")
        count = keys.revoke(chosen)
        messages.success(request, f"Revoked: {count}. They open nothing from now on.")

    @admin.display(description="Key", ordering="start")
    def shown(self, key: ApiKey) -> str:
        return f"{key.start}…"

    @display(description="State", label={"Good": "success", "Revoked": "danger"})  # type: ignore[untyped-decorator]  # unfold ships no types
    def state(self, key: ApiKey) -> str:
        return "Revoked" if key.revoked_at else "Good"

    @admin.display(description="Methods")
    def calls(self, key: ApiKey) -> str:
        return ", ".join(key.methods)

    @admin.display(description="Topics")
    def covers(self, key: ApiKey) -> str:
        return ", ".join(f"{prefix}…" for prefix in key.topics) or "all"


class RevokedTokenForm(forms.ModelForm):
    def clean_user(self) -> str:
        """An id, also of somebody who is not here; a name would end nobody's tokens."""
        said: str = self.cleaned_data["user"]
        if (user_id := people.id_of_name(said)) not in {None, said}:
            raise forms.ValidationError(f"{said} is a name: write {user_id}, the id of that user")
        return said


@admin.register(RevokedToken)
class RevokedTokenAdmin(ModelAdmin):
    """A row ends tokens at once; without it those that are not over yet are good again."""

    form = RevokedTokenForm
    fields = ("user", "token_id")
    list_display = ("user", "which", "revoked_at")
    search_fields = ("user", "token_id")
    ordering = ("-revoked_at",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request)

    @admin.display(description="Tokens", ordering="token_id")
    def which(self, row: RevokedToken) -> str:
        return row.token_id or "all issued until then"


def _pages() -> list[URLPattern]:
    view = admin.site.admin_view
    return [
        path("engine/relay/", view(pages.relay), name="engine_relay"),
        path("engine/log/", view(pages.log), name="engine_log"),
    ]


admin.site.index_title = "Overview"
# Unfold's site takes further pages from an attribute of this name (unfold/sites.py, get_urls)
admin.site.extra_urls = _pages  # type: ignore[attr-defined]
