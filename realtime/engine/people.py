"""Who a user id means: a row of the user table as it is now, nobody, or a stranger with a token."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import connections, router
from django.db.models import AutoField

from realtime.engine import sql
from realtime.engine.conf import settings

NUMBER = re.compile(r"[0-9]{1,19}")


class Stranger(AnonymousUser):
    """Whom a token names and no row of ours: known, and without a permission."""

    is_authenticated: Any = True
    is_anonymous: Any = False
    is_active: Any = True
    pk: Any
    id: Any

    def __init__(self, user_id: str) -> None:
        super().__init__()
        self.pk = self.id = user_id


def id_of_name(name: str) -> str | None:
    """The id of who signs in by this name; None: nobody does."""
    model = get_user_model()
    found = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()  # noqa: SLF001
    return None if found is None else str(found.pk)


def load_user(user_id: str) -> Any:
    """The person as the database has them now; the anonymous one for ``; None: there is none."""
    if not user_id:
        return AnonymousUser()
    model = get_user_model()
    try:
        found = model._default_manager.filter(pk=user_id).first()  # noqa: SLF001
    except (TypeError, ValueError, ValidationError):
        found = None
    if found is None:
        is_stranger = settings.TOKEN_STRANGERS and not _was_ours(model, user_id)
        return Stranger(user_id) if is_stranger else None
    # "07" is no other way to write the id 7: who signs tokens may know people of both
    return found if found.is_active and str(found.pk) == user_id else None


def _was_ours(model: Any, user_id: str) -> bool:
    """Whether the table has given this number once: then its row is gone, and with it the person.

    Other keys than automatic numbers leave no trace.
    """
    key = model._meta.pk  # noqa: SLF001
    if not isinstance(key, AutoField) or not NUMBER.fullmatch(user_id):
        return False
    connection = connections[router.db_for_read(model)]
    names = {"table": model._meta.db_table, "column": key.column}  # noqa: SLF001
    with connection.cursor() as cursor:
        cursor.execute(sql.read(connection.vendor, "given"), names)
        [last] = cursor.fetchone() or [None]
    return last is not None and int(user_id) <= last
