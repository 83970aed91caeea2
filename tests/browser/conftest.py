"""The site as a person meets it: web processes and relay on the test's database, a real browser.

The database is made once and not emptied between these tests: each makes people of its own, and
none has the mark `django_db`.
"""

import contextlib
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import setup_databases

from tests.chromium import find
from tests.processes import eventually, free_port

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 90.0


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {**browser_type_launch_args, "executable_path": find()}


def database_url():
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return f"postgres://tocsin@/{name}?host={connection.settings_dict['OPTIONS']['host']}"


def answers(url):
    try:
        with urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False


@dataclass
class Site:
    url: str
    programs: dict


@pytest.fixture(scope="session")
def _database(django_db_blocker):
    with django_db_blocker.unblock():
        setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
        yield  # it goes with its server, or with its folder


@pytest.fixture(scope="session")
def site(_database, tmp_path_factory):
    """Two web processes and a relay; `site.url` is where they answer."""
    with contextlib.ExitStack() as stack:
        port = free_port()
        environment = {**os.environ, "DATABASE_URL": database_url()}
        folder = tmp_path_factory.mktemp("site")

        def start(name, *arguments):
            log = stack.enter_context((folder / f"{name}.log").open("w"))
            program = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), *arguments],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
            )
            stack.callback(program.wait, timeout=20)
            stack.callback(program.terminate)
            return program

        programs = {
            "serve": start("serve", "serve", "--workers", "2", "--port", str(port)),
            "relay": start("relay", "relay"),
        }
        url = f"http://localhost:{port}"
        try:
            eventually(lambda: answers(f"{url}/login/"), DEADLINE_S)
        except AssertionError:
            logs = "\n".join(path.read_text()[-3000:] for path in folder.iterdir())
            raise AssertionError(f"the site did not start:\n{logs}") from None
        yield Site(url, programs)


@pytest.fixture
def person(site):
    """Makes people of the test's own: `person()`, `person(is_staff=True)`."""

    def make(**fields):
        name = f"p{uuid.uuid4().hex[:8]}"
        return get_user_model().objects.create_user(
            name, f"{name}@example.org", "a-good-password", **fields
        )

    return make


def cookie_of(user):
    """A session of this person's, as a sign-in would leave it."""
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client.cookies["sessionid"].value


@pytest.fixture
def signed_in(site, browser):
    """Opens a browser of one's own for a person: `signed_in(user, path, color_scheme="dark")`."""
    with contextlib.ExitStack() as stack:

        def open_page(user, path="/", *, cookie=None, prepare=lambda page: None, **options):
            context = browser.new_context(base_url=site.url, **options)
            stack.callback(context.close)
            value = cookie or cookie_of(user)
            context.add_cookies([{"name": "sessionid", "value": value, "url": site.url}])
            page = context.new_page()
            page.errors = []
            page.on("pageerror", lambda error: page.errors.append(str(error)))
            prepare(page)
            page.goto(path)
            return page

        yield open_page
