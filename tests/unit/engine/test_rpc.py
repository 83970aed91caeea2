"""What clients may call, what they are told when it fails, and who hears what they send."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from realtime.engine import metrics, people, rpc
from realtime.engine.conf import settings
from realtime.engine.rpc import RpcError
from realtime.protocol.codes import Error
from realtime.protocol.messages import Failure, Returned
from tests.live import eventually


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch):
    monkeypatch.setattr(rpc, "_methods", {})
    monkeypatch.setattr(rpc, "_listeners", [])
    monkeypatch.setattr(rpc, "_doormen", [])


@pytest.fixture
def gone(monkeypatch):
    """The user who calls is none any more."""

    async def nobody(user):
        return None

    monkeypatch.setattr(people, "load_user", lambda user: None)
    monkeypatch.setattr(rpc, "_load_user", nobody)


def declare(function, name="m"):
    return rpc.rpc(name)(function)


async def call(data="null", method="m"):
    return await rpc.answer("", "c-1", method, data)


def said(call):
    return {"client": call.client, "data": call.data, "known": call.user.is_authenticated}


async def said_later(call):
    return said(call)


@pytest.mark.parametrize("function", [said, said_later])
@pytest.mark.parametrize(
    ("data", "value"), [(None, "null"), ("null", "null"), ('{"a":[1]}', '{"a":[1]}')]
)
async def test_a_method_gets_who_calls_and_with_what(function, data, value):
    declare(function)
    expected = Returned(f'{{"client":"c-1","data":{value},"known":false}}')
    assert await call(data) == expected


async def test_what_is_declared_nowhere_cannot_be_called():
    assert await call() is Error.NOT_AVAILABLE
    declare(said)
    assert await call(method="other") is Error.METHOD_NOT_FOUND
    assert await call(method="") is Error.METHOD_NOT_FOUND


def test_two_functions_of_one_name_are_a_mistake():
    declare(said)
    with pytest.raises(ValueError, match='"m"'):
        declare(said_later)
    assert rpc._methods == {"m": said}


def broken(call):
    raise ZeroDivisionError


async def broken_later(call):
    raise ZeroDivisionError


def unspeakable(call):
    return object()


async def forever(call):
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("function", "event"),
    [
        (broken, "rpc.failed"),
        (broken_later, "rpc.failed"),
        (unspeakable, "rpc.failed"),
        (forever, "rpc.slow"),
    ],
)
async def test_a_method_that_fails_or_lasts_too_long_is_an_error_for_now(function, event):
    declare(function)
    before = metrics.RPC_FAILED._value.get()
    with settings.override(RPC_S=0.01 if function is forever else 60.0), capture_logs() as lines:
        assert await call() is Error.INTERNAL
    assert [(line["event"], line["method"]) for line in lines] == [(event, "m")]
    assert metrics.RPC_FAILED._value.get() == before + 1


@pytest.fixture
def waiting(monkeypatch):
    """The method m keeps its thread until it may go on; who is inside of it. And another method."""
    monkeypatch.setattr(people, "load_user", people.Stranger)
    going, inside = threading.Event(), []

    def wait(call):
        inside.append(call.user.pk)
        assert going.wait(60)

    declare(wait)
    declare(said, "other")
    return going, inside


async def test_however_much_one_person_calls_the_others_are_answered(waiting):
    going, inside = waiting
    flood = [asyncio.create_task(rpc.answer("5", f"c-{n}", "m", None)) for n in range(20)]
    try:
        await eventually(lambda: len(inside) >= settings.RPC_THREADS // 2)
        assert isinstance(await rpc.answer("6", "c-1", "other", None), Returned)
        assert len(inside) == settings.RPC_THREADS // 2
    finally:
        going.set()
    assert await asyncio.gather(*flood) == [Returned("null")] * 20


async def test_a_call_that_is_given_up_takes_no_more_threads_while_it_goes_on(waiting):
    going, inside = waiting
    try:
        with settings.override(RPC_S=0.2):
            for _ in range(3):
                calls = [rpc.answer("5", "c-1", "m", None) for _ in range(settings.RPC_THREADS)]
                assert set(await asyncio.gather(*calls)) == {Error.INTERNAL}
        assert isinstance(await rpc.answer("6", "c-1", "other", None), Returned)
        assert len(inside) == settings.RPC_THREADS // 2
    finally:
        going.set()
    assert isinstance(await rpc.answer("5", "c-1", "other", None), Returned)


async def test_an_error_that_is_meant_for_the_caller_is_told_and_counts_as_no_failure():
    def sold_out(call):
        raise RpcError(460, "sold out", temporary=True)

    declare(sold_out)
    before = metrics.RPC_FAILED._value.get()
    assert await call() == Failure(460, "sold out", temporary=True)
    assert metrics.RPC_FAILED._value.get() == before


@pytest.mark.parametrize(("code", "message"), [(399, "x"), (2000, "x"), (0, "x"), (400, "")])
def test_an_error_that_clients_would_misread_cannot_be_made(code, message):
    with pytest.raises(ValueError, match="400 to 1999"):
        RpcError(code, message)


@pytest.mark.parametrize("code", [400, 1999])
def test_an_error_is_of_the_application_s_range(code):
    assert RpcError(code, "x").failure == Failure(code, "x", temporary=False)


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("function", [said, said_later])
async def test_who_is_no_user_any_more_may_call_nothing(function):
    declare(function)
    assert await call() is Error.PERMISSION_DENIED


async def test_everybody_hears_what_is_sent_though_one_of_them_fails():
    heard = []
    rpc.on_message(broken)
    rpc.on_message(lambda call: heard.append((call.client, call.data)))
    assert rpc.is_listening()
    with capture_logs() as lines:
        await rpc.hear("", "c-1", '{"typing":true}')
    assert heard == [("c-1", {"typing": True})]
    assert [(line["event"], line["listener"]) for line in lines] == [("message.failed", "broken")]


@pytest.mark.usefixtures("gone")
async def test_of_who_is_no_user_any_more_nobody_hears():
    heard = []
    rpc.on_message(heard.append)
    with capture_logs() as lines:
        await rpc.hear("", "c-1", "1")
    assert heard == lines == []


async def test_without_a_listener_nobody_listens():
    assert not rpc.is_listening()
    await rpc.hear("", "c-1", "1")


async def test_a_client_is_told_what_all_applications_say():
    rpc.on_connect(lambda call: {"name": "ada", "asked": call.data})
    rpc.on_connect(lambda call: None)

    @rpc.on_connect
    async def later(call):
        return {"unread": 3, "name": "countess"}

    said = await rpc.greet("", "c-1", '"hello"')
    assert said == {"name": "countess", "asked": "hello", "unread": 3}


async def test_without_anybody_to_greet_a_client_is_told_nothing():
    assert await rpc.greet("", "c-1", None) == {}


async def test_an_application_may_turn_a_client_away():
    @rpc.on_connect
    def no(call):
        raise RpcError(470, "not today")

    with pytest.raises(RpcError, match="not today"):
        await rpc.greet("", "c-1", None)
