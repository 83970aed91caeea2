"""What a handshake says, before there is a connection."""

import asyncio
from types import SimpleNamespace

import pytest

from realtime.engine.consumers import RealtimeConsumer
from realtime.engine.handshake import Handshake
from realtime.protocol.codec import binary, text


def handshake(*headers, subprotocols=(), **scope):
    found = [(b"host", b"localhost"), *headers]
    return Handshake({"headers": found, "subprotocols": list(subprotocols), **scope})


ORIGIN = (b"origin", b"http://localhost")
COOKIE = (b"cookie", b"a=b; sessionid=secret")


def test_with_an_origin_of_the_site_the_cookie_counts():
    request = handshake(ORIGIN, COOKIE)
    assert request.acceptable
    assert request.session_key == "secret"


@pytest.mark.parametrize("value", [b'"a\\000b"', b"\xff\xfe", b"a\tb"])
def test_a_cookie_that_is_no_session_key_is_nobody(value):
    assert handshake(ORIGIN, (b"cookie", b"sessionid=" + value)).session_key == ""


def test_without_an_origin_the_cookie_is_not_read():
    request = handshake(COOKIE)
    assert request.acceptable
    assert request.session_key == ""


@pytest.mark.parametrize("hosts", ["*", "localhost"])
def test_hosts_open_to_all_do_not_open_the_socket(settings, hosts):
    settings.ALLOWED_HOSTS = [hosts]
    assert not handshake((b"origin", b"http://evil.test")).acceptable


@pytest.mark.parametrize(
    "headers",
    [
        [ORIGIN, ORIGIN],
        [(b"origin", "http://löcalhost".encode())],
        [(b"host", b"other"), ORIGIN],
    ],
)
def test_odd_handshakes_are_refused(headers):
    assert not handshake(*headers).acceptable


def test_a_host_that_is_not_ours_is_refused(settings):
    settings.ALLOWED_HOSTS = ["tocsin.test"]
    assert not handshake().acceptable


@pytest.mark.parametrize(
    ("offered", "answered", "fine"),
    [
        ([], None, True),
        (["centrifuge-json"], "centrifuge-json", True),
        (["x", "centrifuge-json"], "centrifuge-json", True),
        (["x"], None, False),
        (["centrifuge-protobuf"], "centrifuge-protobuf", True),
        (["centrifuge-json", "centrifuge-protobuf"], "centrifuge-protobuf", True),
    ],
)
def test_only_a_known_subprotocol_is_answered(offered, answered, fine):
    request = handshake(subprotocols=offered)
    assert request.subprotocol == answered
    assert request.acceptable is fine


@pytest.mark.parametrize(
    ("query", "offered", "codec"),
    [
        (b"", [], text),
        (b"format=protobuf", [], binary),
        (b"cf_protocol=protobuf", [], binary),
        (b"cf_protocol=json", [], text),
        (b"format=protobuf", ["centrifuge-json"], text),
        (b"", ["centrifuge-protobuf"], binary),
    ],
)
def test_the_form_is_what_the_client_asked_for(query, offered, codec):
    assert handshake(subprotocols=offered, query_string=query).codec is codec


def test_behind_a_proxy_the_scheme_is_what_it_says(settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    secure = (b"x-forwarded-proto", b"https")
    assert handshake((b"origin", b"https://localhost"), secure).acceptable
    assert not handshake((b"origin", b"https://localhost")).acceptable
    assert not handshake(ORIGIN, secure).acceptable


def test_without_a_proxy_its_header_says_nothing(settings):
    settings.SECURE_PROXY_SSL_HEADER = None
    secure = (b"x-forwarded-proto", b"https")
    assert not handshake((b"origin", b"https://localhost"), secure).acceptable


def test_the_address_is_the_peers():
    assert handshake(client=("192.0.2.1", 5)).address == "192.0.2.1"
    assert handshake().address == ""


async def test_a_server_that_makes_its_applications_wait_is_refused_loudly():
    consumer = RealtimeConsumer()

    async def slow(_):
        await asyncio.sleep(1)

    consumer.base_send = slow
    with pytest.raises(RuntimeError, match="wait"):
        consumer._put({})


async def test_a_socket_that_is_closing_disturbs_nobody():
    consumer = RealtimeConsumer()

    async def closing(_):
        raise ConnectionError("Attempt to send on a closed protocol")

    consumer.base_send = closing
    consumer._put({})


async def test_after_a_frame_that_could_not_be_sent_comes_no_other():
    consumer, lost, aborted = RealtimeConsumer(), [], []

    async def too_large(_):
        raise ValueError("more than the server sends")

    consumer.base_send = too_large
    consumer.scope = {"tocsin.abort": lambda: aborted.append(True)}
    consumer._send_frame("{}")  # a refusal, before there is a connection
    consumer.connection = SimpleNamespace(lost=lost.append)
    consumer._send_frame("{}")
    assert (lost, aborted) == ([1006], [True, True])


async def test_an_application_that_fails_leaves_nobody_behind():
    consumer, lost = RealtimeConsumer(), []

    def fail(_):
        raise ZeroDivisionError

    consumer.connection = SimpleNamespace(receive=fail, lost=lost.append)
    with pytest.raises(ZeroDivisionError):
        await consumer.dispatch({"type": "websocket.receive", "text": "{}"})
    assert lost == [1011]
