"""`make conformance-server`: the server that the suites of other people's clients dial.

An ordinary server – Redis, a database, `manage.py relay` and `manage.py serve` – on localhost:8000,
which is written into those suites. Its database is new, and goes with it.
"""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

import jwt
from websockets.asyncio.client import connect

from project import servers
from project.run import RunError, manage, supervise, until_ready
from project.supervisor import ending
from tests.conformance.environment import ADDRESS, API_KEY, ENVIRONMENT, HOSTS, PORT

NO_SUCH_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
SOCKET = f"{ADDRESS.replace('http', 'ws')}/connection/websocket"
# enough to reach each thread of each process
WARM = 32
READY = f"""
  the server for foreign suites is ready:  {SOCKET}
  stop: Ctrl-C; its database goes with it
"""


def demand_free():
    """Nobody may hold the port, at any address that is called localhost."""
    for host in HOSTS:
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, PORT))
        except OSError as error:
            if host != HOSTS[0] and error.errno in NO_SUCH_ADDRESS:
                continue
            raise RunError(
                f"port {PORT} on {host} cannot be used ({error.strerror}): the suites dial it and "
                "no other, so stop what holds it"
            ) from error


def database(folder):
    """PostgreSQL, or what TOCSIN_TEST_DATABASE names, as of the tests."""
    if os.environ.get("TOCSIN_TEST_DATABASE") == "sqlite":
        return contextlib.nullcontext(f"sqlite:///{folder}/tocsin.sqlite3")
    return servers.postgresql()


async def prepare(supervisor, what, *words):
    code = await supervisor.once(manage(what, *words))
    if code:
        raise RunError(f"the {what} could not be prepared ({ending(code)}; see above)")


async def start(supervisor):
    await prepare(supervisor, "tables", "migrate", "--no-input", "--verbosity=0")
    await prepare(supervisor, "key", "apikey", "suites", "--key", API_KEY)
    supervisor.start(manage("relay", "relay"))
    supervisor.start(manage("web", "serve", "--host", HOSTS[0], "--port", str(PORT)))
    await until_ready(ADDRESS)
    await asyncio.gather(*(dial() for _ in range(WARM)))


async def dial():
    """Come once, as a client does: a process that has had none dials its database only then.

    The suites' own tests count on a server that answers sooner.
    """
    token = jwt.encode({"sub": "the first"}, ENVIRONMENT["TOCSIN_TOKEN_SECRETS"])
    async with connect(SOCKET) as socket:
        for command in ({"connect": {"token": token}}, {"subscribe": {"channel": "first"}}):
            await socket.send(json.dumps({"id": 1, **command}))
            reply = json.loads(await socket.recv())
            if "error" in reply:
                raise RunError(f"the server does not answer as it should: {reply}")


def main():
    demand_free()
    # what it starts before it supervises ends by the same signals
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.update(ENVIRONMENT)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-")))
        os.environ["REDIS_URL"] = stack.enter_context(servers.redis(folder / "redis"))
        os.environ["DATABASE_URL"] = stack.enter_context(database(folder))
        asyncio.run(supervise(start, lambda _: READY))


if __name__ == "__main__":
    try:
        main()
    except (RunError, servers.ServerError) as error:
        sys.exit(f"make conformance-server: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
