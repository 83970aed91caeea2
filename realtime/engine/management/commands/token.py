"""`manage.py token`: sign a token for somebody, to try things by hand or for a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import BaseCommand, CommandError

from realtime.engine import tokens

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

NEVER = "never"


class Command(BaseCommand):
    help = "Print a signed token that connects as a user, or subscribes one to a topic."

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

    def handle(self, *args: Any, **options: Any) -> None:
        user = _user(options["user"])
        if not user.is_active:
            raise CommandError(f"{user.get_username()} is deactivated: a token would open nothing")
        arguments: dict[str, Any] = {"topic": options["topic"], "channels": options["channel"]}
        if options["info"] is not None:
            arguments["info"] = _json(options["info"])
        if options["expires"] is not None:
            arguments["expires_in_s"] = _seconds(options["expires"])
        try:
            self.stdout.write(tokens.issue(str(user.pk), **arguments))
        except (ImproperlyConfigured, ValueError) as error:
            raise CommandError(str(error)) from error


def _user(asked: str) -> Any:
    """Somebody by id or by name; whoever could be two people is neither."""
    model = get_user_model()
    people = model._default_manager.all()  # noqa: SLF001
    try:
        by_id = people.filter(pk=asked).first()
    except (ValueError, ValidationError, OverflowError):
        by_id = None
    by_name = people.filter(**{model.USERNAME_FIELD: asked}).first()
    if by_id and by_name and by_id != by_name:
        raise CommandError(
            f'"{asked}" is the id of {by_id.get_username()} and the name of the user with the id '
            f"{by_name.pk}: say {by_id.get_username()} or {by_name.pk}"
        )
    if found := by_id or by_name:
        return found
    raise CommandError(f'no user has the id or the name "{asked}"')


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
