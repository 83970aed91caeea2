"""`manage.py serve`: N web processes on one listening socket, kept alive, ended in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings as django_settings
from django.core.management.base import BaseCommand, CommandError

from realtime.engine.conf import settings

if TYPE_CHECKING:
    from argparse import ArgumentParser

log = structlog.get_logger(__name__)

BACKLOG = 1024
HIGHEST_PORT = 65535
POLL_S = 0.1
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
STEADY_S = 10.0
HOPELESS = 5  # a process that died so often in a row, each time at once
GRACE_S = 9.0  # beyond the drain window: requests in flight, last words, the interpreter's end


@dataclass
class Worker:
    """A place for one process; `deaths`: in a row, each before STEADY_S."""

    number: int
    process: subprocess.Popen[bytes]
    started: float
    deaths: int = 0
    due: float = 0.0


class Command(BaseCommand):
    help = "Serve pages and live connections: N Daphne processes on one listening socket."
    # the processes themselves do nothing before `migrate` has run; `check` is for the operator
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, default=2, metavar="N")
        parser.add_argument("--port", type=int, default=8000, metavar="P")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument(
            "--proxy-headers",
            action="store_true",
            help="believe X-Forwarded-For and -Proto: only behind a proxy that sets them",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["workers"] < 1:
            raise CommandError("--workers must be at least 1")
        if not 0 <= options["port"] <= HIGHEST_PORT:
            raise CommandError(f"--port must be from 0 to {HIGHEST_PORT}")
        self._proxied = options["proxy_headers"]
        self._stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        with self._listening(options["host"], options["port"]) as listener:
            workers = [self._started(listener, n + 1) for n in range(options["workers"])]
            log.info("server.started", address=_address(listener), workers=len(workers))
            try:
                self._keep(listener, workers)
            finally:
                self._end(workers)
        log.info("server.stopped")

    def _listening(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise CommandError(
                f"cannot listen on {host} port {port}: {error.strerror}; choose another --port"
            ) from error
        listener.set_inheritable(True)
        return listener

    def _started(self, listener: socket.socket, number: int) -> Worker:
        application = django_settings.ASGI_APPLICATION.replace(".application", ":application")
        command = [sys.executable, "-m", "realtime.engine.server", "--fd", str(listener.fileno())]
        command += ["--parent", str(os.getpid())]
        command += ["--proxy-headers"] * self._proxied
        process = subprocess.Popen(  # noqa: S603
            [*command, application],
            pass_fds=[listener.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        return Worker(number, process, time.monotonic())

    def _keep(self, listener: socket.socket, workers: list[Worker]) -> None:
        """Until told to stop: who dies is replaced, the sooner the longer it had lived."""
        while not self._stop.wait(POLL_S):
            now = time.monotonic()
            for place, worker in enumerate(workers):
                if worker.process.poll() is None:
                    continue
                if not worker.due:
                    self._note_death(worker, now)
                elif now >= worker.due:
                    workers[place] = self._started(listener, worker.number)
                    workers[place].deaths = worker.deaths

    def _note_death(self, worker: Worker, now: float) -> None:
        lived_s = now - worker.started
        worker.deaths = worker.deaths + 1 if lived_s < STEADY_S else 1
        if worker.deaths >= HOPELESS:
            raise CommandError(
                f"web process {worker.number} ended {HOPELESS} times in a row, at once "
                f"(exit code {worker.process.returncode}): see its messages above"
            )
        wait_s = min(FIRST_WAIT_S * 2 ** (worker.deaths - 1), LONGEST_WAIT_S)
        worker.due = now + wait_s
        log.warning(
            "worker.died",
            worker=worker.number,
            code=worker.process.returncode,
            lived_s=round(lived_s, 1),
            again_in_s=wait_s,
        )

    def _end(self, workers: list[Worker]) -> None:
        """TERM to all at once: they drain side by side; who outstays its time is killed."""
        deadline = time.monotonic() + settings.DRAIN_S + GRACE_S
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("worker.killed", worker=worker.number)
                worker.process.kill()
                worker.process.wait()


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
