"""Make realtime/protocol/client_pb2.py and its .pyi from client.proto, with the pinned compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# from the root: the path is the name under which the messages are registered in a process
SOURCE = "realtime/protocol/client.proto"
MADE = ("realtime/protocol/client_pb2.py", "realtime/protocol/client_pb2.pyi")


def generate(target: Path) -> list[Path]:
    """What is made lies under `target` as it lies under the root."""
    options = ["--proto_path=.", f"--python_out={target}", f"--pyi_out={target}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *options, SOURCE]
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603
    return [target / name for name in MADE]


if __name__ == "__main__":
    for path in generate(ROOT):
        print(path.relative_to(ROOT))
