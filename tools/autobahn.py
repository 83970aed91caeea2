"""Autobahn|Testsuite, unmodified, against a server of ours: RFC 6455 as other people read it.

Its client needs Python 2.7, and has packages of its own in .venv/autobahn. What it dials is
`manage.py serve` with an echo beside the endpoint, the settings at their defaults. Cases 9, 12 and
13 are not run: they measure speed, or speak of compression, which is not offered here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.conformance import ROOT, ConformanceError, serving

if TYPE_CHECKING:
    from collections.abc import Mapping

    Cases = Mapping[str, Mapping[str, Any]]

PIN = ROOT / "tests" / "conformance" / "autobahn.txt"
PACKAGES = ROOT / ".venv" / "autobahn"
REPORTS = ROOT / "test-results" / "autobahn"
READY_S, SUITE_S = 180.0, 600.0
AGENT = "tocsin"
SERVER = (sys.executable, "manage.py", "serve", "--workers", "1", "--port", "0")
STARTED = r"server\.started +address=(\S+)"
ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "tests.conformance.echo_settings",
    "DEBUG": "true",
    "SECRET_KEY": "a key for a foreign suite alone, long enough to be taken seriously 0123456789",
    # nobody asks for either
    "DATABASE_URL": "sqlite://:memory:",
    "REDIS_URL": "redis://127.0.0.1:1",
}
# the first number of a case: what it is about, and how many there are
GROUPS = {
    "1": ("messages of many sizes", 16),
    "2": ("pings and pongs", 11),
    "3": ("reserved bits", 7),
    "4": ("opcodes", 10),
    "5": ("fragments", 20),
    "6": ("UTF-8", 145),
    "7": ("the closing handshake", 37),
    "10": ("many fragments", 1),
}
FAILED = "failed"
# how the suite calls what is none: non-strict is right, but not as soon as it could be
VERDICTS = {"OK": "passed", "NON-STRICT": "non-strict", "INFORMATIONAL": "informational"}
COLUMNS = (*VERDICTS.values(), FAILED)
CLOSED = {"OK", "INFORMATIONAL"}


def python27() -> str:
    """A Python 2.7 with pip: of PATH, or of pyenv, whose stand-ins on PATH may lead nowhere."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    known = sorted(map(str, pyenv.glob("versions/2.7*/bin/python2.7")))
    for found in filter(None, [shutil.which("python2.7"), *known]):
        done = subprocess.run([found, "-m", "pip", "--version"], capture_output=True, check=False)  # noqa: S603
        if done.returncode == 0:
            return found
    raise ConformanceError(
        "the suite needs Python 2.7 with pip, and there is none on PATH or in pyenv: "
        "`pyenv install 2.7.18` brings one"
    )


def prepare(python: str) -> None:
    """Install what is pinned, once."""
    stamp = PACKAGES / hashlib.sha256(PIN.read_bytes()).hexdigest()
    if stamp.exists():
        return
    shutil.rmtree(PACKAGES, ignore_errors=True)
    options = ("--user", "--quiet", "--no-deps", "--no-warn-script-location", "-r", str(PIN))
    command = [python, "-m", "pip", "install", *options]
    done = subprocess.run(  # noqa: S603
        command, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ConformanceError(f"pip could not install the suite: {done.stderr.strip()[-1500:]}")
    stamp.touch()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUSERBASE": str(PACKAGES), "PYTHONWARNINGS": "ignore"}


def run(python: str, address: str, folder: Path) -> Cases:
    """All cases, against the server there; its reports lie in REPORTS."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    wanted = {
        "outdir": str(REPORTS),
        "servers": [{"agent": AGENT, "url": f"ws://{address}/echo"}],
        "cases": [f"{group}.*" for group in GROUPS],
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    spec, log = folder / "spec.json", folder / "suite.log"
    spec.write_text(json.dumps(wanted))
    command = [python, "-m", "autobahntestsuite.wstest", "-m", "fuzzingclient", "-s", str(spec)]
    with log.open("wb") as output:
        try:
            subprocess.run(  # noqa: S603
                command,
                env=_environment(),
                stdout=output,
                stderr=output,
                timeout=SUITE_S,
                check=True,
            )
        except subprocess.SubprocessError as error:
            said = log.read_text(errors="replace")[-3000:]
            raise ConformanceError(f"the suite has no result: {error}\n{said}") from None
    found: dict[str, Cases] = json.loads((REPORTS / "index.json").read_text())
    return found[AGENT]


def wait_for(address: str) -> None:
    """The port is open before the process behind it answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(f"http://{address}/healthz", timeout=READY_S).close()
    except OSError as error:
        raise ConformanceError(f"the server at {address} does not answer: {error}") from None


def verdict(case: Mapping[str, Any]) -> str:
    return VERDICTS.get(case["behavior"], FAILED) if case["behaviorClose"] in CLOSED else FAILED


def table(cases: Cases) -> str:
    """By group."""
    found = Counter((number.partition(".")[0], verdict(case)) for number, case in cases.items())
    lines = [" " * 27 + "".join(f"{column:>15}" for column in COLUMNS)]
    for group, (about, _) in GROUPS.items():
        counts = "".join(f"{found[group, column]:>15}" for column in COLUMNS)
        lines.append(f"{group:>3}  {about:<22}{counts}")
    return "\n".join(lines)


def demand_passed(cases: Cases) -> None:
    """Raises ConformanceError where a case failed, or was not run."""
    ran = Counter(number.partition(".")[0] for number in cases)
    for group, (about, expected) in GROUPS.items():
        if ran[group] != expected:
            raise ConformanceError(f"{ran[group]} of {expected} cases about {about} were run")
    failed = [
        f"{number} ({case['behavior']}, close {case['behaviorClose']})"
        for number, case in cases.items()
        if verdict(case) == FAILED
    ]
    if failed:
        raise ConformanceError(f"failed, see {REPORTS}/index.html: {', '.join(failed)}")


def main() -> None:
    began = time.monotonic()
    python = python27()
    prepare(python)
    with tempfile.TemporaryDirectory(prefix="tocsin-autobahn-") as scratch:
        folder = Path(scratch)
        said = folder / "server.log"
        with serving(said, SERVER, STARTED, **ENVIRONMENT):
            [address] = re.findall(STARTED, said.read_text())
            wait_for(address)
            cases = run(python, address, folder)
    print(table(cases))
    demand_passed(cases)
    print(f"{len(cases)} cases, no failure, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except ConformanceError as error:
        sys.exit(f"autobahn: {error}")
