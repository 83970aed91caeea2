"""The admin's pages for announcements and notifications; `people` has those of people and groups.

Whatever reaches people is written by `actions`, so it is captured and counted as everywhere else.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator

from realtime.engine.admin import ReadOnly
from realtime.notifications import actions
from realtime.notifications import people as people  # noqa: PLC0414  (registers its pages)
from realtime.notifications.filters import KindFilter, StateFilter
from realtime.notifications.forms import people_text
from realtime.notifications.models import Announcement, Notification, Receipt, Watermark

KEY_DIGITS = 18


class Verb(NamedTuple):
    """A button that asks before it acts."""

    name: str
    done: str
    asks: str
    publishes: bool


@admin.register(Announcement)
class AnnouncementAdmin(ModelAdmin):
    """Drafts are written here; what is published can be withdrawn, not rewritten."""

    fields = ("title", "body", "url")
    list_display = ("title", "state_label", "published_at", "author", "readers")
    list_filter = ("state",)
    list_select_related = ("author",)
    list_per_page = 20
    search_fields = ("title", "body", "author__username")
    date_hierarchy = "created_at"
    actions_detail = ("publish_it", "withdraw_it")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Announcement]:
        """With how many have read each: by a receipt, or by having marked all as read."""
        receipts = Receipt.objects.filter(announcement=OuterRef("pk")).order_by()
        own = Receipt.objects.filter(
            recipient=OuterRef("recipient"), announcement=OuterRef(OuterRef("pk"))
        )
        marks = Watermark.objects.filter(~Exists(own), read_number__gte=OuterRef("number"))
        return (
            super()
            .get_queryset(request)
            .annotate(read_by=_count(receipts, "announcement") + _count(marks, None))
        )

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """A form that is saved holds the row, so that nobody publishes it meanwhile."""
        if request.method == "POST":
            Announcement.objects.select_for_update().filter(pk=_number(object_id)).first()
        return super().get_object(request, object_id, from_field)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        about = ("state_label", "published_at", "author", "readers")
        sheets: list[Any] = [(None, {"fields": self.fields})]
        return [*sheets, ("About", {"fields": about})] if obj else sheets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("state_label", "published_at", "author", "readers")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        published = getattr(obj, "state", None) == Announcement.State.PUBLISHED
        return super().has_change_permission(request, obj) and not published

    def has_act_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return super().has_change_permission(request)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Of the two buttons the one that fits the row's state."""
        state = Announcement.objects.filter(pk=_number(object_id)).values_list("state", flat=True)
        published = state.first() == Announcement.State.PUBLISHED
        name = "withdraw_it" if published else "publish_it"
        both: list[Any] = super().get_actions_detail(request, object_id)
        return [button for button in both if button.action_name.endswith(name)]

    def save_model(self, request: HttpRequest, obj: Announcement, form: Any, change: Any) -> None:
        if change:
            obj.save(update_fields=form.changed_data)
            return
        obj.author_id = request.user.pk
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: Announcement, post_url_continue: Any = None
    ) -> HttpResponse:
        """To its page, where it can be published."""
        if "_addanother" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        messages.success(request, "Saved as a draft: nobody sees it until you publish it.")
        return HttpResponseRedirect(_page_of(obj))

    @display(
        description="State",
        ordering="state",
        label={"Draft": "info", "Published": "success", "Withdrawn": "warning"},
    )
    def state_label(self, announcement: Announcement) -> str:
        return announcement.get_state_display()

    @display(description="Read by", ordering="read_by")
    def readers(self, announcement: Any) -> str:
        return f"{announcement.read_by:,}"

    @action(
        description="Publish",
        icon="campaign",
        permissions=["act"],
        variant=ActionVariant.PRIMARY,
        url_path="publish",
    )
    def publish_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        count = people_text(User.objects.filter(is_active=True).count())
        asks = f"{count} will see it: at once who is online, the others when they come."
        verb = Verb("Publish", "Published", asks, publishes=True)
        return self._confirmed(request, object_id, verb)

    @action(
        description="Withdraw",
        icon="undo",
        permissions=["act"],
        variant=ActionVariant.DANGER,
        url_path="withdraw",
    )
    def withdraw_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        asks = "It leaves every screen at once. Receipts stay, and it can be published again."
        verb = Verb("Withdraw", "Withdrawn", asks, publishes=False)
        return self._confirmed(request, object_id, verb)

    def _confirmed(self, request: HttpRequest, object_id: str, verb: Verb) -> HttpResponse:
        """Ask first (GET), then do it (POST) with a line in the history, and back to the row."""
        row = Announcement.objects.filter(pk=_number(object_id)).first()
        if row is None:
            raise Http404("There is no such announcement.")
        page = HttpResponseRedirect(_page_of(row))
        published = row.state == Announcement.State.PUBLISHED
        if published is verb.publishes:
            words = f"Nothing was done: it is {row.get_state_display().lower()}."
            self.message_user(request, words, messages.WARNING)
            return page
        if request.method == "POST":
            _act(request, row, verb)
            self.message_user(request, f"{verb.done}: {row.title}", messages.SUCCESS)
            return page
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb.name} “{row.title}”",
            "opts": self.opts,
            "object": row,
            "verb": verb,
            "back": page.url,
        }
        return TemplateResponse(request, "admin/confirm.html", context)


def _page_of(row: Announcement) -> str:
    return reverse("admin:notifications_announcement_change", args=[row.pk])


def _act(request: HttpRequest, row: Announcement, verb: Verb) -> None:
    with transaction.atomic():
        (actions.publish if verb.publishes else actions.withdraw)(row)
        who = cast("int", request.user.pk)
        rows = Announcement.objects.filter(pk=row.pk)
        LogEntry.objects.log_actions(who, rows, CHANGE, f"{verb.done}.", single_object=True)


def _count(rows: QuerySet[Any], group: str | None) -> Coalesce:
    """How many rows a subquery has; grouped by a constant where there is no column to group by."""
    grouped = rows.annotate(one=Value(1)).values(group or "one")
    return Coalesce(Subquery(grouped.annotate(n=Count("pk")).values("n")[:1]), 0)


def _number(object_id: Any) -> int:
    """A key from an address; 0, which no row has, for anything that is none."""
    text = str(object_id)
    return int(text) if text.isdecimal() and len(text) <= KEY_DIGITS else 0


@admin.register(Notification)
class NotificationAdmin(ReadOnly):
    """To be read and, for privacy, deleted; written by `notify` alone. No count: there are many."""

    deletable = True
    list_display = ("title", "recipient", "kind", "state", "created_at")
    list_filter = (StateFilter, KindFilter, ("created_at", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("recipient",)
    search_fields = ("title", "recipient__username", "recipient__email")
    search_help_text = "Title, or the person's name or address"
    paginator = InfinitePaginator
    fields = ("recipient", "title", "body", "url_link", "kind",
              ("created_at", "seen_at", "read_at", "archived_at"))  # fmt: skip
    readonly_fields = ("url_link",)

    @display(description="State", label={"New": "info", "Unread": "primary", "Archived": "warning"})
    def state(self, row: Notification) -> str:
        if row.archived_at:
            return "Archived"
        if row.read_at:
            return "Read"
        return "Unread" if row.seen_at else "New"

    @display(description="Link", empty_value="-")
    def url_link(self, row: Notification) -> str | None:
        if not row.url:
            return None
        if not row.link:
            return format_html("{} (not safe to follow)", row.url)
        return format_html('<a href="{0}" rel="noopener noreferrer">{0}</a>', row.link)
