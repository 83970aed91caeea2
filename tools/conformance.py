"""The tests of foreign SDKs against a server of ours, which they find on their port.

Those of the Python SDK run unmodified, as its source distribution has them: pip fetches it once,
pinned by its hash. The JavaScript SDK's are not published; ours use it in both of its builds and on
each of its ways: WebSocket, HTTP streaming, Server-Sent Events.
What they print is shown where one of them fails; a run without an end says where it stands.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PIN = ROOT / "tests" / "conformance" / "suite.txt"
CACHE = ROOT / ".venv" / "suites"
SERVER = (sys.executable, "-m", "tests.conformance")
READY = "is ready"
READY_S, SUITE_S, END_S = 180.0, 420.0, 30.0
POLL_S = 0.1
TAIL = 60
# a test's name as its runner says that it begins (unittest) or ended (node)
NAMED = re.compile(r"^(?:(test_\w+ \(\S+\)) \.\.\. |\s*(?:not )?ok \d+ - (.*))", re.MULTILINE)


class ConformanceError(Exception):
    """It cannot be run, or it failed; the message says how."""


@dataclass(frozen=True)
class Suite:
    """`passed`: how the end of what it prints looks when all of its `tests` have passed."""

    tests: int
    command: tuple[str, ...]
    passed: str
    faults: str


def unittest(tests: int, *arguments: str) -> Suite:
    command = (sys.executable, "-X", "faulthandler", "-m", "unittest", *arguments)
    return Suite(tests, command, rf"^Ran {tests} tests in \S+s\n\nOK$", "=" * 70)


def node(tests: int, file: Path) -> Suite:
    program = Path(sys.executable).with_name("node")
    found = str(program) if program.exists() else shutil.which("node") or "node"
    # before Node 22 a WebSocket has to be asked for
    command = (found, "--experimental-websocket", "--no-warnings", "--test-reporter=tap", "--test")
    none = "".join(rf"# {what} 0\n" for what in ("fail", "cancelled", "skipped", "todo"))
    return Suite(tests, (*command, str(file)), rf"^# pass {tests}\n{none}", "not ok ")


SUITES = {
    "python": unittest(185, "discover", "-v", "-s", "tests"),
    # those of them that dial the server
    "python-live": unittest(62, "-v", "tests.test_client"),
    "javascript": node(80, ROOT / "tests" / "js" / "sdk.js"),
}


# --- The source distribution


def archive() -> Path:
    """The source distribution, of exactly the pinned bytes."""
    if found := _kept():
        return found
    CACHE.mkdir(parents=True, exist_ok=True)
    options = ("--no-binary=:all:", "--no-deps", "--no-build-isolation", "--require-hashes")
    command = ("-m", "pip", "download", "--quiet", *options, "-d", str(CACHE), "-r", str(PIN))
    done = subprocess.run(  # noqa: S603
        [sys.executable, *command], capture_output=True, text=True, check=False
    )
    if found := _kept():
        return found
    said = (done.stderr.strip() or done.stdout.strip())[-1500:]
    raise ConformanceError(
        f"pip could not fetch the suite pinned in {PIN.relative_to(ROOT)} (a package index is "
        f"needed, once): {said}"
    )


def _kept() -> Path | None:
    pin, files = PIN.read_text(), CACHE.glob("*.tar.gz")
    return next((f for f in files if hashlib.sha256(f.read_bytes()).hexdigest() in pin), None)


def unpacked(folder: Path) -> Path:
    with tarfile.open(archive()) as source:
        source.extractall(folder, filter="data")
    [home] = (path.parent for path in folder.glob("*/pyproject.toml"))
    return home


# --- The server


@contextlib.contextmanager
def serving(
    said: Path, command: tuple[str, ...] = SERVER, ready: str = READY, **environment: str
) -> Iterator[None]:
    """The server for foreign suites, or another, ready; what it says is in the file `said`."""
    with (
        said.open("wb") as output,
        subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output
        ) as process,
    ):
        try:
            _wait_until_ready(process, said, ready)
            yield
        finally:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise ConformanceError(f"the server did not end:\n{_tail(said)}") from None


def _wait_until_ready(process: subprocess.Popen[bytes], said: Path, ready: str) -> None:
    deadline = time.monotonic() + READY_S
    while re.search(ready, said.read_text(errors="replace")) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise ConformanceError(f"the server did not start:\n{_tail(said)}")
        time.sleep(POLL_S)


# --- The tests


def run(suite: Suite, home: Path, said: Path) -> str:
    """Run them from their own folder, in an environment without a proxy; gives what they print."""
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    with (
        said.open("wb") as output,
        subprocess.Popen(  # noqa: S603
            suite.command, cwd=home, env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            process.wait(SUITE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # Python says where it stands
            process.wait()
            last = "".join((NAMED.findall(said.read_text(errors="replace")) or [("",)])[-1])
            raise ConformanceError(
                f"no end after {SUITE_S:g} s; last named: {last}\n{_tail(said)}"
            ) from None
        finally:
            process.kill()
    return said.read_text(errors="replace")


def demand_passed(suite: Suite, said: str) -> None:
    """Raises ConformanceError unless all of its tests have passed, none skipped."""
    if re.search(suite.passed, said, re.MULTILINE) is None:
        begin = said.find(suite.faults)
        shown = said[begin:] if begin >= 0 else said[-4000:]
        raise ConformanceError(f"not all of {suite.tests} tests passed:\n{shown}")


def _tail(file: Path) -> str:
    return "\n".join(file.read_text(errors="replace").splitlines()[-TAIL:])


def main(names: list[str]) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tocsin-suite-") as scratch:
        folder = Path(scratch)
        home, server = unpacked(folder), folder / "server.log"
        with serving(server):
            for name in names:
                suite = SUITES[name]
                try:
                    demand_passed(suite, run(suite, home, folder / f"{name}.log"))
                except ConformanceError as error:
                    raise ConformanceError(
                        f"{name}: {error}\n-- the server:\n{_tail(server)}"
                    ) from None
                print(f"{name}: {suite.tests} passed", flush=True)
    total = " + ".join(str(SUITES[name].tests) for name in names)
    print(f"{total} passed in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(sys.argv[1:] or ["python", "javascript"])
    except ConformanceError as error:
        sys.exit(f"conformance: {error}")
