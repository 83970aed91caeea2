"""Programs under `make run` live until it ends, and end with it."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from project import supervisor as module
from project.supervisor import Program, Supervisor, ending

DEADLINE_S = 15.0


class Terminal:
    """What was said, and a way to wait for it."""

    def __init__(self):
        self.lines = []
        self.news = asyncio.Event()

    def say(self, name, text):
        self.lines.append((name, text))
        self.news.set()

    async def until(self, fact):
        async with asyncio.timeout(DEADLINE_S):
            while not fact(self.lines):
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def terminal():
    return Terminal()


@pytest.fixture
async def supervisor(terminal):
    supervisor = Supervisor(terminal.say)
    yield supervisor
    await supervisor.stop()


def python(name, code, **options):
    return Program(name, (sys.executable, "-u", "-c", code), **options)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until_gone(pid):
    deadline = time.monotonic() + DEADLINE_S
    while alive(pid):
        assert time.monotonic() < deadline, f"{pid} lives on"
        os.sched_yield()


async def test_what_a_program_says_comes_with_its_name(supervisor, terminal):
    code = await supervisor.once(python("tables", "print('made'); raise SystemExit(3)"))
    assert code == 3
    assert terminal.lines == [("tables", "made")]


async def test_of_a_progress_bar_the_last_state_is_shown(supervisor, terminal):
    await supervisor.once(python("market", r"print('10 %\r20 %\r30 %')"))
    assert terminal.lines == [("market", "30 %")]


async def test_a_program_that_dies_comes_back(supervisor, terminal):
    supervisor.start(python("relay", "import os; print(os.getpid()); os.kill(os.getpid(), 9)"))
    await terminal.until(lambda lines: sum(text.isdigit() for _, text in lines) >= 2)
    assert ("relay", "ended (SIGKILL); starts again in 0.2 s") in terminal.lines


async def test_what_a_dead_program_leaves_behind_goes_with_it(supervisor, terminal):
    code = (
        "import subprocess, sys, os\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'],"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(child.pid); sys.stdout.flush(); os.kill(os.getpid(), 9)"
    )
    await supervisor.once(python("web", code))
    until_gone(int(terminal.lines[0][1]))


async def test_stop_ends_all_and_what_is_marked_last_goes_last(terminal):
    supervisor = Supervisor(terminal.say)
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(0)))\n"
        "print('up')\n"
        "while True: signal.pause()"
    )
    supervisor.start(python("redis", code, last=True))
    supervisor.start(python("web", code))
    await terminal.until(lambda lines: [text for _, text in lines].count("up") == 2)
    pids = list(supervisor.pids.values())
    await supervisor.stop()
    assert [name for name, text in terminal.lines if text == "bye"] == ["web", "redis"]
    assert not any(alive(pid) for pid in pids)
    assert not supervisor.pids


async def test_who_does_not_stop_is_killed(terminal, monkeypatch):
    monkeypatch.setattr(module, "STOP_S", 0.2)
    supervisor = Supervisor(terminal.say)
    code = (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up')\n"
        "while True: signal.pause()"
    )
    supervisor.start(python("market", code))
    await terminal.until(lambda lines: ("market", "up") in lines)
    await supervisor.stop()
    assert ("market", "did not stop within 0.2 s: killed") in terminal.lines


async def test_who_is_killed_on_request_comes_back(supervisor, terminal):
    supervisor.start(python("relay", "import signal; print('up'); signal.pause()"))
    await terminal.until(lambda lines: ("relay", "up") in lines)
    supervisor.kill("relay")
    await terminal.until(lambda lines: lines.count(("relay", "up")) == 2)
    assert ("relay", "ended (SIGKILL); starts again in 0.2 s") in terminal.lines


PARENT = (
    "import subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
    "print(child.pid)\n"
    "print(child.wait())\n"
    "import signal; signal.pause()"
)


async def test_its_children_are_killed_and_it_lives_on(supervisor, terminal):
    supervisor.start(python("web", PARENT))
    await terminal.until(lambda lines: len(lines) == 1)
    pid = supervisor.pids["web"]
    supervisor.kill_children("web")
    await terminal.until(lambda lines: ("web", "-9") in lines)
    assert supervisor.pids == {"web": pid}


async def test_where_nothing_tells_its_children_it_is_killed_with_them(
    supervisor, terminal, monkeypatch
):
    monkeypatch.setenv("PATH", "")
    supervisor.start(python("web", PARENT))
    await terminal.until(lambda lines: len(lines) == 1)
    supervisor.kill_children("web")
    await terminal.until(lambda lines: ("web", "ended (SIGKILL); starts again in 0.2 s") in lines)
    until_gone(int(terminal.lines[0][1]))


ECHO = (
    "import socket, sys\n"
    "server = socket.create_server(('127.0.0.1', 0))\n"
    "print(server.getsockname()[1])\n"
    "while True:\n"
    "    one = server.accept()[0]; one.sendall(b'here'); one.close()"
)


def stopped(pid):
    told = subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return told.stdout.strip().startswith("T")


async def test_who_is_frozen_answers_when_it_goes_on(supervisor, terminal):
    supervisor.start(python("redis", ECHO))
    await terminal.until(lambda lines: len(lines) == 1)
    supervisor.freeze("redis", 1)
    assert stopped(supervisor.pids["redis"])
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(terminal.lines[0][1]))
        assert await reader.read() == b"here"
    writer.close()


async def test_who_is_frozen_is_stopped_all_the_same(terminal):
    supervisor = Supervisor(terminal.say)
    supervisor.start(python("redis", ECHO))
    await terminal.until(lambda lines: len(lines) == 1)
    supervisor.freeze("redis", 3600)
    await supervisor.stop()
    assert not any("did not stop" in text for _, text in terminal.lines)


def test_an_ending_is_said_in_words():
    assert [ending(1), ending(-9)] == ["exit code 1", "SIGKILL"]
