"""A request that does not arrive, in a process of its own: the server brings its own event loop."""

import subprocess
import sys

DRIPPING = """
from realtime.engine.server import Channel
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

clock, channel, wire = Clock(), Channel(), StringTransport()
channel.callLater, channel.timeOut = clock.callLater, 60
channel.makeConnection(wire)
clock.advance(50)
channel.dataReceived(b"GET / HTTP/1.1\\r\\n")
for second in range(120):
    if wire.disconnecting:
        break
    clock.advance(1)
    channel.dataReceived(b"X-A: b\\r\\n")
print(second)
"""


def test_a_request_that_drips_in_has_a_minute_from_its_first_byte_on():
    done = subprocess.run(
        [sys.executable, "-c", DRIPPING], capture_output=True, text=True, check=False
    )
    assert done.stdout == "60\n", done.stderr
