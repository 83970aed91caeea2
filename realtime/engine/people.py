"""Who a user id means: a row of the user table as it is now, nobody, or a stranger with a token."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError

from realtime.engine.conf import settings


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


def load_user(user_id: str) -> Any:
    """The person as the database has them now; the anonymous one for ``; None: there is none."""
    if not user_id:
        return AnonymousUser()
    model = get_user_model()
    try:
        found = model._default_manager.filter(pk=user_id).first()  # noqa: SLF001
    except (TypeError, ValueError, ValidationError):
        found = None
    if found is None and settings.TOKEN_STRANGERS:
        return Stranger(user_id)
    return found if found is not None and found.is_active else None
