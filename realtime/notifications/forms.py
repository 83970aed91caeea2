"""Forms of the admin: what to tell the chosen people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.validators import RegexValidator
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from realtime.notifications.models import TITLE_LENGTH, validate_url

if TYPE_CHECKING:
    from django.db.models import QuerySet

KIND_LENGTH = 40


class NotifyForm(forms.Form):
    """A message to people who are counted when it is shown and again when it is sent."""

    title = forms.CharField(max_length=TITLE_LENGTH, widget=UnfoldAdminTextInputWidget())
    body = forms.CharField(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}))
    url = forms.CharField(
        label="Link",
        required=False,
        max_length=1000,
        validators=[validate_url],
        widget=UnfoldAdminTextInputWidget(),
        help_text="Where the notification leads: http(s)://… or a path of this site.",
    )
    kind = forms.CharField(
        max_length=KIND_LENGTH,
        initial="message",
        validators=[
            RegexValidator(
                r"^[a-z][a-z0-9_.-]*\Z",
                "A kind is one word in small letters, for example message or maintenance.",
            )
        ],
        widget=UnfoldAdminTextInputWidget(),
        help_text="One word in small letters, by which people sort their inbox.",
    )
    shown = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, data: Any = None, *, people: QuerySet[Any]) -> None:
        self.count = people.count()
        super().__init__(data, initial={"shown": self.count})

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.count:
            raise forms.ValidationError("Nobody would be told: none of these people is active.")
        if "shown" not in self.errors and cleaned.get("shown") != self.count:
            self.data = {**dict(self.data.items()), "shown": self.count}
            raise forms.ValidationError(
                f"Since you chose them, the number of people became {self.count:,}. "
                "Look again, then send."
            )
        return cleaned


def people_text(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"
