"""Programs of ours as subprocesses: their output, their children, the ports they listen on."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_S = 60.0
WORKER = "realtime.engine.server"


class Running:
    """A program whose lines are read as they come."""

    def __init__(self, command, environment):
        self.lines = []
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()
        with self._news:
            self.lines.append("(end)")
            self._news.notify_all()

    def until(self, pattern, *, times=1, deadline_s=DEADLINE_S):
        """Wait for so many lines that match; the last match."""

        def found():
            matches = [m for line in self.lines if (m := re.search(pattern, line))]
            return matches[times - 1] if len(matches) >= times else None

        with self._news:
            done = self._news.wait_for(
                lambda: found() or self.lines[-1:] == ["(end)"], timeout=deadline_s
            )
            assert done and found(), f"no {pattern!r} in:\n" + "\n".join(self.lines[-40:])  # noqa: PT018
            return found()

    def end(self, how=signal.SIGTERM, deadline_s=DEADLINE_S):
        self.process.send_signal(how)
        return self.process.wait(deadline_s)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        if not self._reader.is_alive():
            self.process.stdout.close()

    @property
    def said(self):
        return "\n".join(self.lines)


@contextlib.contextmanager
def running(*command, **environment):
    program = Running(command, environment)
    try:
        yield program
    finally:
        program.close()


def manage(*arguments):
    return (sys.executable, "manage.py", *arguments)


def make_run(var, *, shell="exec", **environment):
    """`make run` with its data and its `.env` in `var`, as on a machine where nothing is set."""
    code = (
        f"import pathlib; from project import run; run.VAR = pathlib.Path({str(var)!r}); "
        "run.DOTENV = run.VAR / '.env'; run.cli()"
    )
    script = f'unset REDIS_URL DATABASE_URL DEBUG SECRET_KEY; {shell} "$0" -c "$1"'
    return running("sh", "-c", script, sys.executable, code, **environment)


def eventually(fact, deadline_s=DEADLINE_S):
    """Wait until `fact()` is true, and give what it gave."""
    end = time.monotonic() + deadline_s
    while not (found := fact()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def family(pid):
    """The process and all below it, as /proc tells."""
    found, parents = {pid}, {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            parents[int(entry.parent.name)] = int(fields[1])
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def named(pids, word):
    return sorted(pid for pid in pids if word in command_of(pid))


def workers(program):
    """The processes of a `manage.py serve` (a Popen) that hold connections."""
    return named(family(program.pid), f"-m {WORKER}")


def alive(pids):
    """Those that run: a zombie is gone."""
    return {pid for pid in pids if command_of(pid)}


def listening_ports(pids):
    """TCP ports that these processes listen on."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inodes.add(os.readlink(link))  # noqa: PTH115
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports
