"""The admin's pages of people and groups, with the action that tells the chosen ones something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Count, QuerySet
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from realtime.notifications import actions
from realtime.notifications.forms import NotifyForm, people_text
from realtime.notifications.models import Notification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.http import HttpRequest, HttpResponse

admin.site.unregister([User, Group, EmailAddress, Authenticator])


class Notifying(ModelAdmin):
    """A list with the action that tells the chosen people something."""

    actions: Sequence[Callable[..., Any] | str] | None = ("notify_selected",)

    def people(self, chosen: QuerySet[Any]) -> QuerySet[User]:
        """Who is told: those who can sign in, each once."""
        raise NotImplementedError

    def has_notify_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.add_notification")

    @admin.action(description="Notify the selected people", permissions=["notify"])
    def notify_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        people = self.people(queryset)
        form = NotifyForm(request.POST if "send" in request.POST else None, people=people)
        if form.is_valid():
            told = _tell(request, people, form.cleaned_data)
            self.message_user(request, f"{people_text(told)} told.", messages.SUCCESS)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Notify people",
            "form": form,
            "people": people_text(form.count),
            "some": people.order_by("username")[:5],
            "more": form.count - 5,
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "checkbox": ACTION_CHECKBOX_NAME,
            "across": request.POST.get("select_across", "0"),
        }
        return TemplateResponse(request, "admin/notify.html", context)


def _tell(request: HttpRequest, people: QuerySet[User], message: dict[str, Any]) -> int:
    """One transaction: the notifications and the line in the admin's history."""
    words = {name: message[name] for name in ("kind", "title", "body", "url")}
    with transaction.atomic():
        told = actions.notify(people, **words)
        LogEntry.objects.create(
            user_id=cast("int", request.user.pk),
            content_type=ContentType.objects.get_for_model(Notification),
            object_repr=message["title"],
            action_flag=ADDITION,
            change_message=f"Told {people_text(told)}.",
        )
    return told


@admin.register(User)
class PersonAdmin(Notifying, DjangoUserAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "full_name", "email", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    date_hierarchy = "date_joined"
    show_full_result_count = False
    list_per_page = 50

    def people(self, chosen: QuerySet[Any]) -> QuerySet[User]:
        return chosen.filter(is_active=True)

    @display(description="Name", ordering="last_name")
    def full_name(self, person: User) -> str:
        return person.get_full_name()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:  # noqa: ARG002
        """Only a superuser hands out rights: else who may change people could take them all."""
        own = ("last_login", "date_joined")
        if request.user.is_superuser:
            return own
        return (*own, "is_staff", "is_superuser", "groups", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)


def _may_touch(request: HttpRequest, person: Any) -> bool:
    """An account that opens the admin is for superusers to change, its password too."""
    if request.user.is_superuser or person is None:
        return True
    return not (person.is_staff or person.is_superuser)


@admin.register(Group)
class PeopleGroupAdmin(Notifying, DjangoGroupAdmin):
    list_display = ("name", "members")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).annotate(members_count=Count("user"))

    def people(self, chosen: QuerySet[Any]) -> QuerySet[User]:
        groups = chosen.order_by().values("pk")
        return User.objects.filter(is_active=True, pk__in=_members(groups))

    @display(description="People", ordering="members_count")
    def members(self, group: Any) -> str:
        return f"{group.members_count:,}"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:  # noqa: ARG002
        return () if request.user.is_superuser else ("permissions",)


def _members(groups: QuerySet[Any]) -> QuerySet[Any]:
    return User.groups.through.objects.filter(group__in=groups).values("user")


@admin.register(EmailAddress)
class AddressAdmin(EmailAddressAdmin, ModelAdmin):
    """The sign-in's own list of addresses, in the admin's clothes."""

    list_select_related = ("user",)
    autocomplete_fields = ("user",)
    raw_id_fields = ()

    @admin.action(description="Mark the selected addresses as verified", permissions=["change"])
    def make_verified(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().make_verified(request, queryset)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """An address is where a new password is sent: it is as much as the account itself."""
        form = super().get_form(request, *args, **kwargs)
        if "user" in form.base_fields and not request.user.is_superuser:
            people = User.objects.filter(is_staff=False, is_superuser=False)
            form.base_fields["user"].queryset = people
        return form

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and _may_touch(request, obj and obj.user)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_delete_permission(request, obj)
        return may and _may_touch(request, obj and obj.user)


@admin.register(Authenticator)
class FactorAdmin(ModelAdmin):
    """Who has a second factor. Its secret is shown to nobody; a superuser removes a lost one."""

    list_display = fields = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__username",)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return bool(request.user.is_superuser)
