"""A Chromium for the browser tests: CHROMIUM, PATH, playwright's own, the package manager."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
HELP = (
    "no Chromium: set CHROMIUM to one, or install it (Debian and Ubuntu: `apt-get install chromium "
    "fonts-liberation`; elsewhere `.venv/bin/playwright install chromium`)"
)


class NoChromiumError(RuntimeError):
    """Where no browser is to be had; the message says what to install."""


@functools.cache
def find() -> str:
    """The path of a Chromium that is there, or was just installed."""
    if given := os.environ.get("CHROMIUM"):
        if not shutil.which(given):
            raise NoChromiumError(f"CHROMIUM={given} is not a program")
        return given
    found = on_path() or playwrights() or installed_by_playwright() or installed_by_apt()
    if found is None:
        raise NoChromiumError(HELP)
    return found


def on_path() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def playwrights() -> str | None:
    """The browser that playwright downloaded earlier."""
    code = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as p: print(p.chromium.executable_path)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    path = done.stdout.strip()
    return path if path and Path(path).exists() else None


def installed_by_playwright() -> str | None:
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    return playwrights() if _ran(command, 300) else None


def installed_by_apt() -> str | None:
    if os.getuid() != 0 or not shutil.which("apt-get"):
        return None
    _ran(["apt-get", "update", "-q"], 300)
    install = ["apt-get", "install", "-qy", "--no-install-recommends"]
    return on_path() if _ran([*install, "chromium", "fonts-liberation"], 600) else None


def _ran(command: list[str], timeout_s: float) -> bool:
    print(f"browser: {' '.join(command)}", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environment, stdout=subprocess.DEVNULL, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    try:
        print(find())
    except NoChromiumError as error:
        sys.exit(str(error))
