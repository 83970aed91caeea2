"""`{% icon "bell" %}`: an outline icon of static/vendor/icons, inline, in the text's colour."""

import functools
import re

from django import template
from django.contrib.staticfiles import finders
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag
@functools.cache
def icon(name: str) -> SafeString:
    """Decoration only: the words stand beside it. Empty where `make assets` did not run."""
    path = finders.find(f"vendor/icons/{name}.svg")
    if not path:
        return SafeString("")
    with open(path, encoding="utf-8") as file:  # noqa: PTH123  (a path of the finders is a str)
        paths = re.search(r"<svg.*?>(.*)</svg>", file.read(), re.DOTALL)
    shapes = re.sub(r"<path stroke=\"none\"[^>]*/>|\s*\n\s*", "", paths[1] if paths else "")
    return mark_safe(  # noqa: S308  (a file of the project's own assets)
        '<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        f'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{shapes}</svg>'
    )
