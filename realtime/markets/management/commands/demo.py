"""`manage.py demo`: the people everybody may sign in as, where DEBUG is on, and what greets them.

Their alerts are real ones, which the recorded market fires; their first notifications say what to
try. Nothing is made again for people who are there already.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from realtime.markets import actions
from realtime.markets.feeds.source import INSTRUMENTS
from realtime.markets.models import Market
from realtime.notifications.actions import announce, notify

# name -> staff and superuser?
PEOPLE = {"admin": True, "ada": False, "grace": False}
# levels that the recorded market trades through, the first of them within half a minute
ALERTS = {
    "ada": (
        ("BTCUSDT", "up", "61850"),
        ("BTCUSDT", "down", "61800"),
        ("BTCUSDT", "up", "61700"),
        ("ETHUSDT", "up", "2684"),
        ("ETHUSDT", "down", "2680"),
    ),
    "grace": (("BTCUSDT", "down", "61700"), ("ETHUSDT", "down", "2675")),
}
# kind, title, body, address; the last one ends up on top. {id}: the person's
GREETINGS = (
    (
        "message",
        "Write a row, see it here",
        (
            "Any program that writes the database is heard. In a terminal, in this checkout:\n"
            'DEBUG=true .venv/bin/python manage.py shell -c "from realtime.notifications.actions '
            "import notify; notify({id}, 'message', 'Hello from a terminal')\""
        ),
        "",
    ),
    (
        "message",
        "Open your inbox twice",
        (
            "In two tabs, or on two devices: what you read or archive in one changes in the other "
            "at once, and the count on the bell with it."
        ),
        "/inbox/",
    ),
    (
        "message",
        "Your price alerts are set",
        (
            "Each is decided on every committed trade and tells you when the market trades "
            "through its price. Change them, or set more, on the market's page."
        ),
        "/market/BTCUSDT/",
    ),
    (
        "message",
        "Welcome to Tocsin, {name}",
        (
            "This inbox is rows of a database table, and this page follows them: what is committed "
            "appears here without a reload."
        ),
        "",
    ),
)
ANNOUNCEMENT = (
    "The market here is a recording.",
    "Binance trades of 8 and 9 August 2024, played again in their own rhythm.",
    "/market/BTCUSDT/",
)


class Command(BaseCommand):
    help = (
        "Make the demo people admin/admin (staff), ada/ada and grace/grace, with price alerts, "
        "first notifications and an announcement; only with DEBUG."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "demo people have passwords that everybody knows: they are made only where DEBUG "
                "is on. Make an administrator with `manage.py createsuperuser`."
            )
        with transaction.atomic():
            made = [name for name, staff in PEOPLE.items() if self._made(name, staff=staff)]
        self.stdout.write(f"demo people: {', '.join(PEOPLE)} ({len(made)} new)")

    def _made(self, name: str, *, staff: bool) -> bool:
        """Who is there already stays as it is, password included."""
        user, new = get_user_model().objects.get_or_create(
            username=name,
            defaults={
                "email": f"{name}@example.org",
                "is_staff": staff,
                "is_superuser": staff,
            },
        )
        if new:
            user.set_password(name)
            user.save(update_fields=["password"])
            _greet(user)
        return new


def _greet(user: Any) -> None:
    """Ada and Grace get their alerts and what to try; the admin tells everybody of the market."""
    if user.is_staff:
        announce(*ANNOUNCEMENT, author=user)
        return
    for symbol, direction, price in ALERTS[user.username]:
        actions.set_alert(user, _market(symbol), direction, Decimal(price))
    words = {"id": user.pk, "name": user.username.capitalize()}
    for kind, title, body, url in GREETINGS:
        notify(user, kind, title.format(**words), body.format(**words), url)


def _market(symbol: str) -> Market:
    """As the replay would make it."""
    known = INSTRUMENTS[symbol]
    market, _ = Market.objects.get_or_create(
        symbol=symbol,
        defaults={
            "base": known.base,
            "quote": known.quote,
            "price_step": known.price_step,
            "quantity_step": known.quantity_step,
        },
    )
    return market
