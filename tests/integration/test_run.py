"""`make run`: everything comes up, stays up, and ends together; on SQLite, as it does."""

import os
import signal
import socket
from pathlib import Path

import pytest

from tests import processes
from tests.processes import eventually, family, make_run, named, status

pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it reads /proc"),
]
PROGRAMS = {"redis": "redis.sock", "relay": "manage.py relay", "market": "manage.py replay"}


def run(var, port, **environment):
    return make_run(var, PORT=str(port), WORKERS="1", **environment)


@pytest.fixture(scope="module")
def var(tmp_path_factory):
    return tmp_path_factory.mktemp("var")


def test_a_newcomer_sees_the_address_and_the_logins_and_one_port_listens(var):
    port = processes.free_port()
    with run(var, port) as program:
        program.until(rf"Tocsin is ready:  http://127\.0\.0\.1:{port}/", deadline_s=120)
        program.until("admin / admin")
        assert status(f"http://127.0.0.1:{port}/") == 200
        assert status(f"http://127.0.0.1:{port}/login/") == 200
        everybody = family(program.process.pid)
        for name, word in PROGRAMS.items():
            assert named(everybody, word), name
        assert processes.listening_ports(everybody) == {port}

        with run(var, processes.free_port()) as second:
            assert second.process.wait(30) != 0
            second.until("already running in this checkout")

        [relay] = named(everybody, PROGRAMS["relay"])
        os.kill(relay, signal.SIGKILL)
        program.until(r"relay .*ended \(SIGKILL\); starts again")
        program.until("relay.leading", times=2)
        eventually(lambda: status(f"http://127.0.0.1:{port}/readyz") == 200)

        everybody = family(program.process.pid)
        assert program.end() == 0
        assert not processes.alive(everybody)
        program.until("stopped")


def test_the_second_time_it_goes_on_and_ends_by_int_though_a_shell_ignores_it(var):
    port = processes.free_port()
    with run(var, port, shell="trap '' INT; exec") as program:
        program.until("Tocsin is ready", deadline_s=120)
        program.until("replay.resumed")
        everybody = family(program.process.pid)
        assert program.end(signal.SIGINT) == 0
        assert not processes.alive(everybody)


def test_it_may_be_stopped_while_it_starts(tmp_path):
    with run(tmp_path, processes.free_port()) as program:
        program.until("redis ")
        everybody = family(program.process.pid)
        assert program.end() == 0
        assert not processes.alive(everybody)


def test_a_killed_supervisor_leaves_nothing_behind(tmp_path):
    with run(tmp_path, processes.free_port()) as program:
        program.until("Tocsin is ready", deadline_s=120)
        everybody = family(program.process.pid)
        [redis] = named(everybody, PROGRAMS["redis"])
        os.kill(redis, signal.SIGSTOP)  # as the proof page freezes it
        program.end(signal.SIGKILL)
        eventually(lambda: not processes.alive(everybody))


def test_a_taken_port_is_a_clear_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with run(tmp_path, port) as program:
            assert program.process.wait(30) != 0
            program.until(f"port {port} on 127.0.0.1 cannot be used")
            program.until(f"make run PORT={port + 1}")


@pytest.mark.parametrize("port", ["http", "0", "70000"])
def test_a_port_that_is_none_is_a_clear_error(tmp_path, port):
    with run(tmp_path, port) as program:
        assert program.process.wait(30) != 0
        program.until(f"PORT={port} is not a number from 1 to 65535")


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_of_another_machine_is_named_as_what_is_wrong(tmp_path, host):
    with run(tmp_path, processes.free_port(), HOST=host) as program:
        assert program.process.wait(30) != 0
        program.until(f"HOST={host} is no address of this machine")
        assert "PORT=" not in program.said


# --- A .env

EXPORTED = 'DATABASE_URL="$DATABASE" exec env'  # make_run unsets what the tests themselves export


def test_what_stands_in_dotenv_counts(tmp_path):
    port, database = processes.free_port(), tmp_path / "named.sqlite3"
    given = {
        "PORT": port,
        "HOST": "localhost",
        "WORKERS": 1,
        "DEBUG": "true",
        "DATABASE_URL": f"sqlite:///{database}",
        "REDIS_URL": os.environ["REDIS_URL"],
    }
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    with make_run(tmp_path) as program:
        program.until(rf"Tocsin is ready:  http://localhost:{port}/", deadline_s=120)
        everybody = family(program.process.pid)
        assert len(named(everybody, f"-m {processes.WORKER}")) == 1
        assert not named(everybody, PROGRAMS["redis"])
        assert database.exists()
        assert program.end() == 0


def test_what_is_set_outside_wins_over_dotenv(tmp_path):
    (tmp_path / ".env").write_text("PORT=inside\n")
    with make_run(tmp_path, PORT="outside") as program:
        assert program.process.wait(30) != 0
        program.until("PORT=outside is not a number")


@pytest.mark.parametrize("debug", ["", "DEBUG=false\n"])
def test_production_s_dotenv_gets_no_demo_people(tmp_path, debug):
    database = tmp_path / "production.sqlite3"
    (tmp_path / ".env").write_text(f"DATABASE_URL=sqlite:///{database}\n{debug}")
    with make_run(tmp_path) as program:
        assert program.process.wait(30) != 0
        program.until("make run: it makes people whose passwords everybody knows")
    assert not database.exists()


def test_nor_does_a_database_that_is_named_outside_without_debug(tmp_path):
    database = tmp_path / "production.sqlite3"
    with make_run(tmp_path, DATABASE=f"sqlite:///{database}", shell=EXPORTED) as program:
        assert program.process.wait(30) != 0
        program.until("make run: it makes people whose passwords everybody knows")
    assert not database.exists()


def test_a_switch_that_is_none_is_a_clear_error(tmp_path):
    (tmp_path / ".env").write_text("DEBUG=enabled\n")
    with make_run(tmp_path) as program:
        assert program.process.wait(30) != 0
        program.until("make run: DEBUG is 'enabled'; it must be true or false")
