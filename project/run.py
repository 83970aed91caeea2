"""`make run`: Redis, the tables, demo people, the relay, the web and a recorded market, supervised.

One port listens, the web's; everything else speaks over unix sockets under `var/`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import environ
from django.core.exceptions import ImproperlyConfigured

from project import faults, probe, servers
from project.environment import load, switch
from project.supervisor import Program, Supervisor, ending

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VAR = ROOT / "var"
DOTENV = ROOT / ".env"
LONGEST_SOCKET = 100  # bytes in the name of a unix socket: 104 on macOS, 108 on Linux
DEFAULT_PORT, OPEN_PORT, HIGHEST_PORT = 8000, 1024, 65535
POLL_S = 0.2
PATIENCE_S = 45.0
COLOURS = {"redis": 35, "tables": 32, "relay": 36, "web": 34, "market": 33, "tocsin": 32}


class RunError(Exception):
    """It cannot start here; the message says what helps."""


@dataclass(frozen=True)
class Options:
    """What the environment asks for."""

    host: str
    port: int
    workers: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Options:
        return cls(
            host=environment.get("HOST") or "127.0.0.1",
            port=_number(environment, "PORT", DEFAULT_PORT, highest=HIGHEST_PORT),
            workers=_number(environment, "WORKERS", 2, highest=64),
        )

    @property
    def address(self) -> str:
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def _number(environment: Mapping[str, str], name: str, default: int, *, highest: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise RunError(f"{name}={text} is not a number from 1 to {highest}")
    return int(text)


def demand_free(options: Options) -> None:
    """A taken port is said before anything starts."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            raise RunError(_refused(options, error)) from error


def _refused(options: Options, error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return (
            f"HOST={options.host} is no address of this machine ({error.strerror}): leave HOST out "
            "for this machine alone, or take 0.0.0.0 for all of its addresses"
        )
    helps = "stop what holds it, or choose another"
    if error.errno == errno.EACCES:
        helps = "ports below 1024 are the system's: choose another"
    other = options.port + 1 if OPEN_PORT <= options.port < HIGHEST_PORT else DEFAULT_PORT
    return (
        f"port {options.port} on {options.host} cannot be used ({error.strerror}): "
        f"{helps}: make run PORT={other}"
    )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One `make run` a checkout: two would share a database file and a Redis socket."""
    with (VAR / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise RunError(
                f"`make run` is already running in this checkout (process {lock.read().strip()})"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def redis_folder() -> Path:
    """Where the sockets live: under var/, or somewhere shorter where that path is too long."""
    folder = VAR / "redis"
    if len(os.fsencode(folder / "redis.sock")) > LONGEST_SOCKET:
        shorter = Path(tempfile.mkdtemp(prefix="tocsin-"))
        atexit.register(shutil.rmtree, shorter, ignore_errors=True)
        return shorter
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    return folder


def say(name: str, text: str) -> None:
    prefix = f"{name:<7}│"
    if sys.stdout.isatty():
        prefix = f"\033[{COLOURS.get(name, 37)}m{prefix}\033[0m"
    print(f"{prefix} {text}", flush=True)


def manage(name: str, *arguments: str) -> Program:
    return Program(name, (sys.executable, str(ROOT / "manage.py"), *arguments))


async def start(supervisor: Supervisor, options: Options) -> None:
    """Everything, in the order of need; returns when a page can be opened."""
    folder = redis_folder()
    await faults.listen(supervisor, folder / "faults.sock")
    if not os.environ.get("REDIS_URL"):
        (folder / "redis.sock").unlink(missing_ok=True)
        os.environ["REDIS_URL"] = servers.redis_url(folder)
        command = [*servers.redis_command(folder), "--logfile", str(folder / "redis.log")]
        supervisor.start(Program("redis", command, last=True))
        await until((folder / "redis.sock").exists, "Redis")
        say("redis", f"{Path(command[0]).name} on a private socket; its log: {folder}/redis.log")
    code = await supervisor.once(Program("tables", (sys.executable, "-m", "project.prepare")))
    if code:
        raise RunError(f"the tables could not be prepared ({ending(code)}; see above)")
    web = ("--host", options.host, "--port", str(options.port), "--workers", str(options.workers))
    supervisor.start(manage("relay", "relay"))
    supervisor.start(manage("web", "serve", *web))
    supervisor.start(manage("market", "replay", "--loop"))
    await until_ready(options.address)


async def until(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not fact():
        if time.monotonic() > deadline:
            raise RunError(f"{what} did not start within {PATIENCE_S:g} s (see above)")
        await asyncio.sleep(POLL_S / 4)


async def until_ready(address: str) -> None:
    """Waits for /readyz; says now and then what it still answers."""
    patience = time.monotonic() + PATIENCE_S
    while (answer := await asyncio.to_thread(probe.asked, f"{address}/readyz")) != "200":
        if time.monotonic() > patience:
            say("tocsin", f"not ready yet: {address}/readyz answers {answer}")
            patience = time.monotonic() + PATIENCE_S
        await asyncio.sleep(POLL_S)


def banner(address: str, took_s: float) -> str:
    return f"""
  Tocsin is ready:  {address}/    (after {took_s:.0f} s)

  sign in as        ada / ada    grace / grace
  or as staff       admin / admin    {address}/admin/
  commands          DEBUG=true .venv/bin/python manage.py help
  stop              Ctrl-C; the data stays in var/
"""


def complete_environment() -> None:
    """What is set outside, then `.env`, then the defaults: for this process and all it starts.

    Raises RunError where that is production's, whose database would get the demo people.
    """
    load(DOTENV)
    # a database that somebody names may be production's, exported in this shell for something else
    os.environ.setdefault("DEBUG", "false" if os.environ.get("DATABASE_URL") else "true")
    os.environ.setdefault("DATABASE_URL", f"sqlite:///{VAR}/tocsin.sqlite3")
    if not switch(environ.Env(), "DEBUG"):
        raise RunError(
            "it makes people whose passwords everybody knows, so it does not start where DEBUG is "
            "off, nor with a DATABASE_URL without DEBUG=true. For production see "
            "docs/howto/deploy.md"
        )


async def main() -> None:
    complete_environment()
    options = Options.read(os.environ)
    demand_free(options)
    await supervise(
        lambda supervisor: start(supervisor, options),
        lambda took_s: banner(options.address, took_s),
    )


async def supervise(
    start: Callable[[Supervisor], Coroutine[Any, Any, None]], banner: Callable[[float], str]
) -> None:
    """Start programs, say `banner(seconds)` when they serve, and end them when told to."""
    began = time.monotonic()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    # both, and HUP: a shell starts a background job with INT ignored
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    os.environ["PYTHONUNBUFFERED"] = "1"
    supervisor = Supervisor(say)
    starting = asyncio.create_task(start(supervisor))
    stopping = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.is_set():
            await starting
            print(banner(time.monotonic() - began), flush=True)
            await stopping
        say("tocsin", "stopping")
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await supervisor.stop()
    say("tocsin", "stopped")


def cli() -> None:
    VAR.mkdir(exist_ok=True)
    try:
        with alone():
            asyncio.run(main())
    except (RunError, ImproperlyConfigured, servers.ServerError) as error:
        sys.exit(f"make run: {error}")


if __name__ == "__main__":
    cli()
