"""Pin requirements.in and requirements-dev.in for every supported Python."""

import subprocess
import sys
from pathlib import Path

from tools.setup import find_uv

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    uv = find_uv()
    if uv is None:
        sys.exit("`make lock` needs uv: pip install uv")
    for name in ("requirements", "requirements-dev"):
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
        command += [f"{name}.in", "-o", f"{name}.txt", *sys.argv[1:]]
        subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603
