"""The processes under measurement: real PostgreSQL, Redis, relay and Daphne, one of each."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from project import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
READY_S = 60.0
SYMBOL = "BENCH"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def environment() -> Iterator[None]:
    """PostgreSQL and Redis, migrated, with one person and one market; sets os.environ."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-")))
        os.environ.update(
            DJANGO_SETTINGS_MODULE="project.settings",
            DEBUG="true",
            SECRET_KEY="for measuring only, and long enough for the settings to take it",
            REDIS_URL=stack.enter_context(servers.redis(folder / "redis")),
            DATABASE_URL=stack.enter_context(servers.postgresql()),
            TOCSIN_CONNECTIONS_PER_USER="100000",
        )
        import django  # noqa: PLC0415  (after the environment is there)

        django.setup()
        from django.core.management import call_command  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        yield


def session_cookie() -> str:
    """The cookie of a person who has signed in, without the form."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    user, _ = get_user_model().objects.get_or_create(username="reader")
    client = Client()
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"


@contextlib.contextmanager
def process(*command: str, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
    log = tempfile.TemporaryFile()  # noqa: SIM115  (closed below)
    child = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **extra},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield child
        if child.poll() not in (None, 0):
            log.seek(0)
            raise RuntimeError(f"{command} ended: {log.read()[-3000:].decode(errors='replace')}")
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        log.close()


@contextlib.contextmanager
def relay() -> Iterator[subprocess.Popen[bytes]]:
    with process("manage.py", "relay") as child:
        yield child


@contextlib.contextmanager
def tocsin() -> Iterator[tuple[int, int]]:
    """One Daphne process of Tocsin; yields its process id and port."""
    port = free_port()
    with process("manage.py", "serve", "--workers", "1", "--port", str(port)) as child:
        wait_for(f"http://127.0.0.1:{port}/healthz", child)
        yield child.pid, port


@contextlib.contextmanager
def stock(layer: str) -> Iterator[tuple[int, int]]:
    """One Daphne process with the stock consumer of bench/stock.py."""
    port = free_port()
    command = ("-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "bench.stock:application")
    with process(*command, BENCH_LAYER=layer, DJANGO_SETTINGS_MODULE="") as child:
        wait_for(f"http://127.0.0.1:{port}/", child)
        yield child.pid, port


def wait_for(url: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and child.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{url} did not answer")
