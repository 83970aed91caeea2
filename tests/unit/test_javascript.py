"""The pages' pure rules are tested in their own language; this runs them with the rest."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_pages_rules_hold():
    # where the machine has no Node, set-up put one into the environment
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    files = sorted(str(path) for path in (ROOT / "tests/js").glob("*.test.js"))
    assert files
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
