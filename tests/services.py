"""A pytest plugin: real services before Django reads its settings.

TOCSIN_TEST_DATABASE is `postgresql` (the default: the wheel's, the newest supported), `sqlite`, or
`postgresql-system` (what the machine has, mostly older). Each pytest process starts servers of
its own. Run as `python -m pytest`, so that this plugin is found.
"""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

from project import servers

_stack = contextlib.ExitStack()


def database() -> str:
    return asked().removesuffix("-system")


def asked() -> str:
    return os.environ.get("TOCSIN_TEST_DATABASE", "postgresql")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    if asked() not in {"postgresql", "postgresql-system", "sqlite"}:
        raise pytest.UsageError("TOCSIN_TEST_DATABASE is postgresql, postgresql-system or sqlite")
    folder = Path(_stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-")))
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        # or each program that a test starts compiles all of its libraries anew
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    os.environ["DEBUG"] = "true"
    os.environ["SECRET_KEY"] = (
        "a key for the tests alone, long enough to be taken seriously 0123456789"
    )
    os.environ["REDIS_URL"] = _stack.enter_context(servers.redis(folder / "redis"))
    if database() == "postgresql":
        os.environ["DATABASE_URL"] = _stack.enter_context(
            servers.postgresql(system=asked() == "postgresql-system")
        )
    else:
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/tocsin.sqlite3"


def pytest_unconfigure() -> None:
    _stack.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in ("postgresql", "sqlite"):
            if item.get_closest_marker(name) and database() != name:
                item.add_marker(pytest.mark.skip(reason=f"this fact exists on {name} only"))
