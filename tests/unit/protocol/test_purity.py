"""The protocol is usable where there is no Django."""

import subprocess
import sys
from pathlib import Path

import realtime.protocol

PROGRAM = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"django", "channels", "asgiref", "redis", "psycopg"}:
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Absent())
from realtime.protocol import client_pb2, codes, commands, delta, effects, filters
from realtime.protocol import messages, recovery, session, subscriptions
from realtime.protocol.codec import binary, text
print(text.encode(messages.Reply(1, codes.Error.INTERNAL)))
"""


def test_the_protocol_imports_without_django():
    root = Path(realtime.protocol.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith('{"id":1,"error"')


def test_the_test_imports_every_module_of_the_protocol():
    modules = {path.stem for path in Path(realtime.protocol.__file__).parent.glob("*.py")}
    lines = [line for line in PROGRAM.splitlines() if line.startswith("from realtime.protocol ")]
    imported = {name for line in lines for name in line.partition("import ")[2].split(", ")}
    assert modules - {"__init__"} == imported
