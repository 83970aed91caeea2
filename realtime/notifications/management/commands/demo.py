"""`manage.py demo`: the people everybody may sign in as, where DEBUG is on."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

# name -> staff and superuser?
PEOPLE = {"admin": True, "ada": False, "grace": False}


class Command(BaseCommand):
    help = "Make the demo people admin/admin (staff), ada/ada and grace/grace; only with DEBUG."

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
        return new
