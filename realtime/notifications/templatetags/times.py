"""`{% when row.created_at %}`: how long ago, in the shortest form, with the full time behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import template
from django.utils import timezone
from django.utils.html import format_html

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.safestring import SafeString

register = template.Library()
MINUTE_S, HOUR_S, HALF_A_DAY_S = 60, 3_600, 43_200
WEEK_DAYS = 6


def short(at: datetime, now: datetime) -> str:
    """`12 s`, `3 min`, `5 h`, then the day within a week, then the date; never in the future."""
    age_s = max(0, int((now - at).total_seconds()))
    if age_s < MINUTE_S:
        return f"{age_s} s"
    if age_s < HOUR_S:
        return f"{age_s // MINUTE_S} min"
    if age_s < HALF_A_DAY_S:
        return f"{age_s // HOUR_S} h"
    if (now.date() - at.date()).days <= WEEK_DAYS:
        return f"{at:%a}"
    return f"{at.day} {at:%b}" if at.year == now.year else f"{at.day} {at:%b %Y}"


@register.simple_tag
def when(at: datetime) -> SafeString:
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        f"{local:%a} {local.day} {local:%b %Y, %H:%M:%S %Z}",
        short(local, timezone.localtime()),
    )


@register.filter
def day(at: datetime) -> str:
    """The heading of a day: Today, Yesterday, a weekday, a date."""
    local, today = timezone.localtime(at), timezone.localdate()
    days = (today - local.date()).days
    if days <= 1:
        return "Yesterday" if days == 1 else "Today"
    if days <= WEEK_DAYS:
        return f"{local:%A}"
    return f"{local.day} {local:%B %Y}" if local.year != today.year else f"{local.day} {local:%B}"
