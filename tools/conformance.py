"""The Python SDK's own tests, unmodified, against a server of ours that they find on their port.

They are in its source distribution alone, which pip fetches once, pinned by its hash. What they
print is shown where one of them fails; a run without an end says where it stands.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PIN = ROOT / "tests" / "conformance" / "suite.txt"
CACHE = ROOT / ".venv" / "suites"
# how many there are, and what runs them; `live`: those alone that dial the server
TESTS = {"all": 185, "live": 62}
SUITES = {"all": ("discover", "-v", "-s", "tests"), "live": ("-v", "tests.test_client")}
READY = "is ready"
READY_S, SUITE_S, END_S = 180.0, 420.0, 30.0
POLL_S = 0.1
TAIL = 60
RAN = re.compile(r"^Ran (\d+) tests? in ([\d.]+)s$", re.MULTILINE)
STARTED = re.compile(r"^(test_\w+ \(\S+\)) \.\.\. ", re.MULTILINE)


class ConformanceError(Exception):
    """It cannot be run, or it failed; the message says how."""


def archive() -> Path:
    """The source distribution, of exactly the pinned bytes."""
    pin = PIN.read_text()
    if not (found := _kept(pin)):
        CACHE.mkdir(parents=True, exist_ok=True)
        options = ("--no-binary=:all:", "--no-deps", "--no-build-isolation", "--require-hashes")
        command = ("-m", "pip", "download", "--quiet", *options, "-d", str(CACHE), "-r", str(PIN))
        done = subprocess.run(  # noqa: S603
            [sys.executable, *command], capture_output=True, text=True, check=False
        )
        found = _kept(pin)
        if not found:
            said = (done.stderr.strip() or done.stdout.strip())[-1500:]
            raise ConformanceError(
                f"pip could not fetch the suite pinned in {PIN.relative_to(ROOT)} (a package index "
                f"is needed, once): {said}"
            )
    return found


def _kept(pin: str) -> Path | None:
    files = CACHE.glob("*.tar.gz")
    return next((f for f in files if hashlib.sha256(f.read_bytes()).hexdigest() in pin), None)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Path]:
    """The server for foreign suites, ready; gives the file of what it says."""
    said = folder / "server.log"
    with (
        said.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "tests.conformance"], cwd=ROOT, stdout=output, stderr=output
        ) as process,
    ):
        try:
            _wait_until_ready(process, said)
            yield said
        finally:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise ConformanceError(f"the server did not end: {_tail(said)}") from None


def _wait_until_ready(process: subprocess.Popen[bytes], said: Path) -> None:
    deadline = time.monotonic() + READY_S
    while READY not in said.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ConformanceError(f"the server did not start: {_tail(said)}")
        time.sleep(POLL_S)


def run_suite(which: str, folder: Path, home: Path) -> str:
    """Run the tests from their own folder, in an environment without a proxy; what they print."""
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    said = folder / "suite.log"
    command = ("-X", "faulthandler", "-m", "unittest", *SUITES[which])
    with (
        said.open("wb") as output,
        subprocess.Popen(  # noqa: S603
            [sys.executable, *command], cwd=home, env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            process.wait(SUITE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # it says where it stands
            process.wait()
            last = STARTED.findall(said.read_text(errors="replace"))[-1:]
            raise ConformanceError(
                f"no end after {SUITE_S:g} s, in {last}: {_tail(said)}"
            ) from None
        finally:
            process.kill()
    return said.read_text(errors="replace")


def verdict(which: str, said: str) -> str:
    """One line of what passed; raises ConformanceError unless that is all of them."""
    ran = RAN.search(said)
    end = said[ran.end() :].strip() if ran else ""
    if ran is None or int(ran[1]) != TESTS[which] or end != "OK":
        faults = said.find("=" * 70)
        shown = said[faults:] if faults >= 0 else said[-4000:]
        raise ConformanceError(f"not all of {TESTS[which]} tests passed:\n{shown}")
    return f"{ran[1]} passed in {ran[2]}s"


def _tail(file: Path) -> str:
    return "\n".join(file.read_text(errors="replace").splitlines()[-TAIL:])


def main(which: str) -> None:
    with tempfile.TemporaryDirectory(prefix="tocsin-suite-") as scratch:
        folder = Path(scratch)
        with tarfile.open(archive()) as source:
            source.extractall(folder, filter="data")
        [home] = (path.parent for path in folder.glob("*/pyproject.toml"))
        with serving(folder) as server:
            said = run_suite(which, folder, home)
            try:
                print(verdict(which, said))
            except ConformanceError as error:
                raise ConformanceError(f"{error}\nthe server said:\n{_tail(server)}") from None


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "all")
    except ConformanceError as error:
        sys.exit(f"conformance: {error}")
