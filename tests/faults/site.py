"""The whole site as processes on the test's database: a Redis of its own, relays, web processes."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import redis
from django.db import connection

from project import servers
from tests.faults.links import Link
from tests.live import ask, eventually, raw
from tests.processes import Running, free_port, manage, status, workers
from tests.realtime import environment

START_S, END_S = 60.0, 30.0
# the relay's own role, which may be refused, has the rights of the other
COURIER = "courier"
ROLES = {"relay": COURIER, "web": "tocsin"}


class Redis:
    """On a socket in `folder`; may be killed, frozen and started again."""

    def __init__(self, folder):
        folder.mkdir(mode=0o700)
        self._folder, self.process = folder, None
        self.url, self.socket = servers.redis_url(folder), folder / "redis.sock"

    def start(self):
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            servers.redis_command(self._folder, wheel_first=True),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def say(self, *words):
        with redis.Redis.from_url(self.url) as client:
            return client.execute_command(*words)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Site:
    """`linked`: every line between its parts is a Link of `links`, by their names."""

    def __init__(self, folder, *, linked=False, **extra):
        self.redis = Redis(folder / "redis")
        self.relays, self.servers = [], []
        self.environment = {**environment(), "REDIS_URL": self.redis.url, "LOG_LEVEL": "INFO"}
        self.environment |= {"TOCSIN_RELAY_STANDBY_S": "0.1", **extra}
        self.linked, self.links = linked, {}
        self._ways = {part: self._way(folder, part, linked=linked) for part in ("relay", "web")}

    def _way(self, folder, part, *, linked):
        """What a part is told of where the others are."""
        if not linked:
            return {}
        redis, url = str(folder / f"{part}.redis"), self.environment["DATABASE_URL"]
        self.links[f"{part} to Redis"] = Link(redis, str(self.redis.socket))
        found = {"REDIS_URL": f"unix://{redis}?db=0"}
        if connection.vendor == "postgresql":
            (folder / part).mkdir()
            real, name = url.partition("host=")[2], ".s.PGSQL.5432"
            self.links[f"{part} to PostgreSQL"] = Link(f"{folder / part}/{name}", f"{real}/{name}")
            url = url.replace("//tocsin@", f"//{ROLES[part]}@")
            found["DATABASE_URL"] = url.replace(real, str(folder / part))
        return found

    def start_relay(self, **extra):
        environment = {**self.environment, **self._ways["relay"], **extra}
        self.relays.append(Running(manage("relay"), environment))
        return self.relays[-1]

    def start_server(self, workers, port=0, **extra):
        port = port or free_port()
        words = ("serve", "--workers", str(workers), "--port", str(port))
        environment = {**self.environment, **self._ways["web"], **extra}
        self.servers.append(Running(manage(*words), environment))
        self.servers[-1].port, self.servers[-1].workers = port, workers

    async def restart_server(self, server, **extra):
        """In order, as a deploy does it: the others serve meanwhile."""
        await asyncio.to_thread(server.end, signal.SIGTERM, END_S)
        assert server.process.returncode == 0, server.said
        self.servers.remove(server)
        server.close()
        self.start_server(server.workers, server.port, **extra)
        await self.ready()

    @property
    def server(self):
        return self.servers[0]

    @property
    def ports(self):
        return [server.port for server in self.servers]

    async def link_clients(self):
        """The ports that clients dial: those of the servers, or of links to them."""
        if not self.linked:
            return self.ports
        found = {f"clients to server {n}": Link(free_port(), p) for n, p in enumerate(self.ports)}
        for link in found.values():
            await link.start()
        self.links |= found
        return [link.listen for link in found.values()]

    @property
    def port(self):
        return self.ports[0]

    @property
    def leader(self):
        """The living relay whose last word on it is that it leads."""
        said = [r for r in self.relays if r.process.poll() is None and leads(r)]
        return said[0] if said else None

    def workers(self):
        return workers(self.server.process)

    async def readiness(self):
        """What the first server says of the site: ready (200) or not (503)."""
        return await asyncio.to_thread(status, f"http://127.0.0.1:{self.port}/readyz")

    async def unready(self):
        """Wait until it says that changes do not reach readers."""
        end = time.monotonic() + START_S
        while await self.readiness() != 503:
            assert time.monotonic() < end, "it says that it is ready"

    async def ready(self):
        await eventually(lambda: self.leader, START_S)
        for server in self.servers:
            while not await asyncio.to_thread(_answers, server):
                assert server.process.poll() is None, server.said

    def close(self):
        for program in [*self.relays, *self.servers]:
            if program.process.poll() is None:
                _end(program)
            program.close()
        self.redis.kill()


def _answers(server):
    address = f"http://127.0.0.1:{server.port}/healthz"
    return status(address) == 200 and len(workers(server.process)) == server.workers


def leads(relay):
    told = [line for line in relay.lines if "relay.leading" in line or "relay.standby" in line]
    return bool(told) and "relay.leading" in told[-1]


def _end(program):
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.end(signal.SIGTERM, 20)


@contextlib.asynccontextmanager
async def running(folder, *, with_redis=True, relays=2, workers=(2,), **extra):
    """`workers`: the processes of each server, which has a port of its own."""
    site = Site(folder, **extra)
    if site.linked and connection.vendor == "postgresql":
        make_courier()
    try:
        for link in site.links.values():
            await link.start()
        if with_redis:
            site.redis.start()
        for _ in range(relays):
            site.start_relay()
        for number in workers:
            site.start_server(number)
        await site.ready()
        site.doors = await site.link_clients()
        yield site
    finally:
        await asyncio.to_thread(site.close)
        for link in site.links.values():
            await link.stop()


def make_courier():
    if not ask("SELECT 1 FROM pg_roles WHERE rolname = %s", [COURIER]):
        raw().execute(f"CREATE ROLE {COURIER} LOGIN IN ROLE tocsin")


def heads():
    """Where each topic stands, asked by a program of its own."""
    rows = ask('SELECT topic, epoch, "offset" FROM tocsin_head')
    return {topic: (epoch, offset) for topic, epoch, offset in rows}


def clock(ahead_s):
    """For a process that believes it is so much later (tests/faults/clock/sitecustomize.py)."""
    return {"PYTHONPATH": str(Path(__file__).parent / "clock"), "TOCSIN_CLOCK_S": str(ahead_s)}


def handed_over():
    return not ask("SELECT 1 FROM tocsin_entry LIMIT 1")


def mark(word):
    """The sign of a parameter in SQL for this database."""
    return word.replace("%s", "?") if connection.vendor == "sqlite" else word


def kill(pid):
    os.kill(pid, signal.SIGKILL)
