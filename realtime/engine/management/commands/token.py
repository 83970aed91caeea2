"""`manage.py token`: sign a token for somebody, or revoke what was signed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from realtime.engine import blocklist, tokens
from realtime.engine.management import people

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

NEVER = "never"


class Command(BaseCommand):
    help = "Print a signed token that connects as a user, or subscribes one to a topic; or revoke."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the id of a user, or the user name")
        parser.add_argument(
            "--topic", default="", metavar="T", help="a token to subscribe to this topic"
        )
        parser.add_argument(
            "--expires", metavar="S", help=f"after so many seconds, or {NEVER}; else the setting's"
        )
        parser.add_argument("--info", metavar="JSON", help="what others see of the user")
        parser.add_argument(
            "--channel",
            action="append",
            default=[],
            metavar="C",
            help="a topic that the connection has without asking; may be said again",
        )
        parser.add_argument(
            "--revoke",
            nargs="?",
            const="",
            metavar="ID",
            help="end every token of the user instead, or the one with this id (its jti)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["revoke"] is not None:
            self._revoke(options["user"], options["revoke"])
            return
        user = people.active(options["user"])
        arguments: dict[str, Any] = {"topic": options["topic"], "channels": options["channel"]}
        if options["info"] is not None:
            arguments["info"] = _json(options["info"])
        if options["expires"] is not None:
            arguments["expires_in_s"] = _seconds(options["expires"])
        try:
            self.stdout.write(tokens.issue(str(user.pk), **arguments))
        except (ImproperlyConfigured, ValueError) as error:
            raise CommandError(str(error)) from error

    def _revoke(self, asked: str, token_id: str) -> None:
        row = blocklist.revoke(people.subject(asked), token_id)
        self.stdout.write(f"revoked: {row}; what speaks by it is cut")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f'--info is no JSON: {error}; write for example \'{{"name": "Ada"}}\''
        ) from error


def _seconds(text: str) -> float | None:
    if text == NEVER:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise CommandError(f"--expires is {text!r}; say seconds, or {NEVER}") from error
