"""Whom a command speaks of."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from realtime.engine.conf import settings


def active(asked: str) -> Any:
    """Somebody who may sign in, by id or by name; whoever could be two people is neither."""
    user = _found(asked)
    if user is None:
        raise _nobody(asked)
    if not user.is_active:
        raise CommandError(f"{user.get_username()} is deactivated: a token would open nothing")
    return user


def subject(asked: str) -> str:
    """The id that tokens of somebody name; of a stranger, where they are let in, as it was said."""
    user = _found(asked)
    if user is not None:
        return str(user.pk)
    if settings.TOKEN_STRANGERS:
        return asked
    raise _nobody(asked)


def _found(asked: str) -> Any:
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
    return by_id or by_name


def _nobody(asked: str) -> CommandError:
    return CommandError(f'no user has the id or the name "{asked}"')
