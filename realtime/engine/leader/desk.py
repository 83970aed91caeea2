"""The relay's one database connection, on which it runs the named SQL; used by one thread alone."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any, Protocol

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from realtime.engine import silence, sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

# A session that says nothing for so long is ended by the server: whoever is frozen leads no longer.
SILENCE_S = 3
CONNECTION = {
    "autocommit": True,
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}


class Desk(Protocol):
    """Rows of one statement; several statements in one transaction."""

    vendor: str

    def ask(self, name: str, **params: Any) -> list[tuple[Any, ...]]: ...

    def together(self) -> contextlib.AbstractContextManager[Any]: ...


def holder() -> str:
    return f"tocsin relay {socket.gethostname()}:{os.getpid()}"[:63]


class PostgresqlDesk:
    """A session of its own, never shared with Django, whose locks and time-outs are the relay's."""

    vendor = "postgresql"

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The open session; a new one where there is none."""
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg  # noqa: PLC0415  (not needed on SQLite)

        django = connections[DEFAULT_DB_ALIAS].get_connection_params()
        own = {"cursor_factory", "context", "prepare_threshold"}
        params = {name: value for name, value in django.items() if name not in own}
        connection = psycopg.connect(**{**params, **CONNECTION, "application_name": holder()})
        self._connection = connection  # from now on it can be abandoned
        with contextlib.ExitStack() as failing:
            failing.callback(connection.close)
            connection.execute(
                # a crash must not forget publications that hubs have delivered
                "SET synchronous_commit = on;"
                f"SET idle_session_timeout = '{SILENCE_S}s';"
                f"SET idle_in_transaction_session_timeout = '{SILENCE_S}s';"
                # the relay's locks are all of its own; anything longer is a fault
                "SET statement_timeout = '60s'"
            )
            failing.pop_all()
        return connection

    def ask(self, name: str, **params: Any) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(sql.read(self.vendor, name), params)
        return cursor.fetchall() if cursor.description else []

    def together(self) -> contextlib.AbstractContextManager[Any]:
        return self.connection.transaction()

    def abandon(self) -> None:
        """End a statement that another thread waits for: its connection is cut."""
        if self._connection is not None:
            silence.cut(self._connection)

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
        self._connection = None


class SqliteDesk:
    """Django's connection of the relay's thread; lists travel as JSON."""

    vendor = "sqlite"

    def ask(self, name: str, **params: Any) -> list[tuple[Any, ...]]:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(sql.read(self.vendor, name), params)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """IMMEDIATE by the settings; gives up soon, for the writers come first."""
        connection = connections[DEFAULT_DB_ALIAS]
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 200")
        with transaction.atomic(using=DEFAULT_DB_ALIAS):
            yield

    def close(self) -> None:
        connections[DEFAULT_DB_ALIAS].close()


def as_json(value: Any) -> str:
    return json.dumps(value)
