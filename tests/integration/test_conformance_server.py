"""The server for foreign suites has one address, and says so when it cannot have it."""

import contextlib
import socket
import sys

import pytest

from tests.conformance.environment import PORT
from tests.processes import running


@pytest.mark.sqlite
def test_a_taken_port_is_said_before_anything_starts():
    with socket.socket() as holder:
        with contextlib.suppress(OSError):  # somebody else holds it: as good
            holder.bind(("127.0.0.1", PORT))
            holder.listen()
        with running(sys.executable, "-m", "tests.conformance") as program:
            assert program.process.wait(60) != 0
            program.until(rf"conformance-server: port {PORT} on 127\.0\.0\.1 cannot be used")
            assert "tables" not in program.said
