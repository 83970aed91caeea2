"""`manage.py apikey`: make a key of the server API, or revoke one, without the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from realtime.engine import keys

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    help = "Print a new key of the server API, once; or revoke the keys of a name."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="whose key it is")
        parser.add_argument(
            "--method",
            action="append",
            choices=keys.METHODS,
            metavar="M",
            help="what it may call; may be said again; without it: everything",
        )
        parser.add_argument(
            "--topics",
            action="append",
            default=[],
            metavar="PREFIX",
            help="for topics that begin with this; may be said again; without it: all",
        )
        parser.add_argument("--revoke", action="store_true", help="revoke the keys of this name")
        parser.add_argument("--key", default="", help="a text of your own; only with DEBUG on")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["revoke"]:
            self._revoke(options["name"])
            return
        if options["key"] and not settings.DEBUG:
            raise CommandError("a key of one's own can be guessed: only with DEBUG on")
        methods = options["method"] or keys.METHODS
        _, text = keys.make(options["name"], methods, options["topics"], secret=options["key"])
        self.stdout.write(text)

    def _revoke(self, name: str) -> None:
        count = keys.revoke(keys.named(name))
        if not count:
            raise CommandError(f'no good key has the name "{name}"')
        self.stdout.write(f"revoked: {count}")
