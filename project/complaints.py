"""What an operator can mend is said in a sentence, not in a traceback."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, ProgrammingError

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSING_TABLE = ("no such table", "no such column", "does not exist")
BUSY = ("deadlock detected", "lock timeout")


@contextlib.contextmanager
def plainly(arguments: list[str]) -> Iterator[None]:
    """Ends the program with exit code 1 and the sentence; `--traceback` shows where it was."""
    try:
        yield
    except (ImproperlyConfigured, InterfaceError, OperationalError, ProgrammingError) as error:
        if (said := sentence(error)) is None or "--traceback" in arguments:
            raise
        sys.exit(said)


def sentence(error: Exception) -> str | None:
    """What to tell the operator; None where it is the program that is wrong."""
    if isinstance(error, ImproperlyConfigured):
        return str(error)
    reason = " ".join(str(error).split())
    if any(words in reason for words in MISSING_TABLE) and 'database "' not in reason:
        return f"The tables are not up to date ({reason}). Run `manage.py migrate`."
    if isinstance(error, ProgrammingError):
        return None
    if any(words in reason for words in BUSY):
        return f"Others hold the same tables ({reason}). Nothing was changed: run it again."
    reason = reason.replace(" Is the server running", ". Is the server running")
    return (
        f"The database {_where()} does not do its part: {reason.rstrip('.')}. "
        "See that it runs, and that DATABASE_URL is right."
    )


def _where() -> str:
    """Which database it is, without its password."""
    database = settings.DATABASES["default"]
    host = database.get("HOST") or database.get("OPTIONS", {}).get("host", "")
    return f"{database['NAME']} on {host}" if host else str(database["NAME"])
