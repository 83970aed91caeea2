"""`manage.py serve`: one socket, several processes; one that dies is not missed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from websockets.sync.client import connect

from tests import processes
from tests.peers import CLOSE, CONT, PING, PONG, TEXT, answered, frame
from tests.processes import WORKER, eventually, family, manage, running, status, workers

pytestmark = pytest.mark.either


@pytest.fixture
def port():
    return processes.free_port()


@pytest.fixture
def serve(port):
    with running(*manage("serve", "--workers", "2", "--port", str(port))) as program:
        program.until("server.started")
        eventually(lambda: status(f"http://127.0.0.1:{port}/healthz") == 200)
        yield program


def test_a_killed_process_is_replaced_and_nobody_is_turned_away(serve, port):
    before = workers(serve.process)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    assert {status(f"http://127.0.0.1:{port}/healthz") for _ in range(20)} == {200}
    serve.until("worker.died")
    after = eventually(lambda: len(found := workers(serve.process)) == 2 and found)
    assert set(after) - set(before)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_with_all_its_processes(serve, how):
    everybody = family(serve.process.pid)
    assert serve.end(how, 20) == 0
    assert not processes.alive(everybody)
    serve.until("server.stopped")


def test_a_killed_server_leaves_no_process_behind(serve):
    everybody = workers(serve.process)
    os.kill(serve.process.pid, signal.SIGKILL)
    eventually(lambda: not processes.alive(everybody))


def test_a_process_whose_server_was_gone_before_it_could_look_ends_too():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        words = ("-m", WORKER, "--fd", str(listener.fileno()), "--parent", str(gone.pid))
        process = subprocess.Popen(
            [sys.executable, *words, "project.asgi:application"], pass_fds=[listener.fileno()]
        )
        try:
            assert process.wait(processes.DEADLINE_S) == 0
        finally:
            process.kill()


def test_an_idle_connection_kept_open_does_not_hold_up_the_end(serve, port):
    with socket.create_connection(("127.0.0.1", port)) as kept:
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert kept.recv(12) == b"HTTP/1.1 200"
        assert serve.end(deadline_s=30) == 0
    assert "Traceback" not in serve.said


FLOODS = {
    "pings": frame(PING, b"a" * 125) * 1100,
    "pongs": frame(PONG) * 1100,
    "empty parts": frame(TEXT, fin=False) + frame(CONT, fin=False) * 1100,
}


@pytest.fixture(scope="module")
def site():
    port = processes.free_port()
    with running(*manage("serve", "--workers", "1", "--port", str(port))) as program:
        program.until("server.started")
        eventually(lambda: status(f"http://127.0.0.1:{port}/healthz") == 200)
        yield f"ws://127.0.0.1:{port}/connection/websocket"
        assert "Traceback" not in program.said


def test_an_odd_handshake_is_a_bad_request_and_no_error(site):
    port = urlsplit(site).port
    lines = (
        b"GET /connection/websocket HTTP/1.1",
        b"Host: 127.0.0.1:%d" % port,
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==",
        b"Sec-WebSocket-Protocol: \xff\xfe",
    )
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_handshake_of_thousands_of_headers_is_a_bad_request(site):
    host = urlsplit(site).netloc
    lines = [b"GET /connection/websocket HTTP/1.1", b"Host: " + host.encode()]
    lines += [b"X-%d: a" % number for number in range(2000)]
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=20) as client:
        with contextlib.suppress(OSError):
            client.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_no_compression_is_agreed_to_whose_bombs_would_have_to_be_unpacked(site):
    with connect(site, compression="deflate") as client:
        assert "permessage-deflate" in client.request.headers["Sec-WebSocket-Extensions"]
        assert "Sec-WebSocket-Extensions" not in client.response.headers


@pytest.mark.parametrize("sent", FLOODS.values(), ids=FLOODS)
def test_a_flood_that_the_protocol_never_sees_ends_as_too_many_requests(site, sent):
    push = b'{"push":{"disconnect":{"code":3013,"reason":"too many requests"}}}'
    assert answered(site, sent)[-2:] == [(TEXT, push), (CLOSE, 3013)]


@pytest.mark.parametrize("length", [b"Content-Length: 99999999", b"Transfer-Encoding: chunked"])
def test_a_body_larger_than_any_form_is_not_kept(site, length):
    host = urlsplit(site).netloc
    head = b"POST /login/ HTTP/1.1\r\nHost: " + host.encode() + b"\r\n" + length + b"\r\n\r\n"
    chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=20) as client:
        with contextlib.suppress(OSError):
            client.sendall(head + chunk * 80)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_taken_port_is_said(site):
    port = urlsplit(site).port
    with running(*manage("serve", "--port", str(port))) as second:
        assert second.process.wait(30) != 0
        second.until(f"cannot listen on 127.0.0.1 port {port}.*choose another --port")


@pytest.fixture
def _signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_processes_that_die_at_once_end_the_command(port, monkeypatch):
    monkeypatch.setattr("realtime.engine.management.commands.serve.sys.executable", "false")
    monkeypatch.setattr("realtime.engine.management.commands.serve.FIRST_WAIT_S", 0.01)
    with pytest.raises(CommandError, match=r"ended 5 times in a row, at once \(exit code 1\)"):
        call_command("serve", port=port, workers=1)
    assert status(f"http://127.0.0.1:{port}/healthz") is None


def test_no_process_is_not_a_server(port):
    with pytest.raises(CommandError, match="at least 1"):
        call_command("serve", port=port, workers=0)
