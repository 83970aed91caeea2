"""How the admin looks, and where its side bar leads: Unfold's settings.

The colours are the tokens of static/tocsin/tokens.css on Unfold's two scales; what the scales
cannot say stands in static/tocsin/admin.css.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.templatetags.static import static
from django.urls import reverse_lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

# light themes use the low steps for grounds and lines, dark ones the high steps
GREYS = {
    "50": "#F6F7F9",
    "100": "#F0F1F4",
    "200": "#E3E5EA",
    "300": "#B1B7C2",
    "400": "#8E95A2",
    "500": "#646A76",
    "600": "#474C57",
    "700": "#363C46",
    "800": "#282D35",
    "900": "#14171B",
    "950": "#0D0F12",
}
ACCENT = {
    "50": "#F6F7FE",
    "100": "#EDEFFC",
    "200": "#D6DBF9",
    "300": "#B9C1FF",
    "400": "#9AA6FF",
    "500": "#9AA6FF",
    "600": "#3A4BC8",
    "700": "#3140AD",
    "800": "#2A3690",
    "900": "#1F2440",
    "950": "#171B33",
}
TEXT = {
    "subtle-light": "#646A76",
    "subtle-dark": "#8E95A2",
    "default-light": "#474C57",
    "default-dark": "#B1B7C2",
    "important-light": "#15171C",
    "important-dark": "#ECEEF1",
}


def _file(name: str) -> Callable[[HttpRequest], str]:
    return lambda _request: static(name)


def _page(title: str, icon: str, name: str, permission: str) -> dict[str, Any]:
    """An entry of the side bar, for those who have the permission."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{name}"),
        "permission": lambda request: request.user.has_perm(permission),
    }


def _list(title: str, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")
    return _page(title, icon, f"{app}_{name}_changelist", f"{app}.view_{name}")


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "items": list(items)}


NAVIGATION = [
    _group(
        "Operate",
        _page("Relay", "sync_alt", "engine_relay", "engine.view_entry"),
        _list("Waiting entries", "hourglass_empty", "engine.entry"),
        _list("Topics", "tag", "engine.head"),
        _page("Publication log", "receipt_long", "engine_log", "engine.view_publication"),
        _list("Namespaces", "folder_open", "engine.namespace"),
        _list("API keys", "key", "engine.apikey"),
        _list("Revoked tokens", "block", "engine.revokedtoken"),
    ),
    _group(
        "Messages",
        _list("Announcements", "campaign", "notifications.announcement"),
        _list("Notifications", "notifications", "notifications.notification"),
    ),
    _group(
        "Markets",
        _list("Markets", "storefront", "markets.market"),
        _list("Tickers", "monitoring", "markets.ticker"),
        _list("Trades", "swap_vert", "markets.trade"),
        _list("Price alerts", "alarm", "markets.pricealert"),
        _list("Firings", "notification_important", "markets.alertfiring"),
    ),
    _group(
        "People",
        _list("People", "person", "auth.user"),
        _list("Groups", "group", "auth.group"),
        _list("Email addresses", "mail", "account.emailaddress"),
        _list("Second factors", "phonelink_lock", "mfa.authenticator"),
    ),
]

UNFOLD = {
    "SITE_TITLE": "Tocsin",
    "SITE_HEADER": "Tocsin",
    "SITE_SUBHEADER": "admin",
    "SITE_ICON": {
        "light": _file("tocsin/mark-light.svg"),
        "dark": _file("tocsin/mark-dark.svg"),
    },
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _file("tocsin/favicon.svg")}
    ],
    "STYLES": [_file("tocsin/admin.css")],
    "COLORS": {"base": GREYS, "primary": ACCENT, "font": TEXT},
    "DASHBOARD_CALLBACK": "realtime.engine.pages.dashboard",
    "BORDER_RADIUS": "6px",
    "SHOW_BACK_BUTTON": True,
    "COMMAND": {"search_callback": "project.search.find"},
    "SIDEBAR": {"show_search": True, "command_search": True, "navigation": NAVIGATION},
}
