"""`manage.py demo`: the people everybody may sign in as, where DEBUG is on, and their alerts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from realtime.markets import actions
from realtime.markets.feeds.source import INSTRUMENTS
from realtime.markets.models import Market

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


class Command(BaseCommand):
    help = (
        "Make the demo people admin/admin (staff), ada/ada and grace/grace, with price alerts; "
        "only with DEBUG."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "demo people have passwords that everybody knows: they are made only where DEBUG "
                "is on. Make an administrator with `manage.py createsuperuser`."
            )
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
            for symbol, direction, price in ALERTS.get(name, ()):
                market = _market(symbol)
                actions.set_alert(user, market, direction, Decimal(price))
        return new


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
