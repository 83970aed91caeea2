"""One request and its answer, as any ASGI server tells them."""

import asyncio

import pytest

from realtime.engine.conf import settings
from realtime.engine.exchange import Exchange, Gone, Refused

ORIGIN = (b"origin", b"http://localhost")


class Wire:
    """What the server tells of a request, and what it is told."""

    def __init__(self, *messages, method="POST", headers=(), **scope):
        self.said, self._messages = [], list(messages)
        found = [(b"host", b"localhost"), *headers]
        self.scope = {"type": "http", "method": method, "headers": found, **scope}
        self.exchange = Exchange(self.scope, self._receive, self._send)

    async def _receive(self):
        return self._messages.pop(0)

    async def _send(self, message):
        self.said.append(message)

    @property
    def status(self):
        return self.said[0]["status"]

    @property
    def headers(self):
        return dict(self.said[0]["headers"])

    @property
    def body(self):
        return b"".join(message["body"] for message in self.said[1:])


def request(body=b"", *, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


async def test_a_body_is_put_together():
    wire = Wire(request(b"ab", more=True), request(b"c"))
    assert await wire.exchange.body() == b"abc"


@pytest.mark.parametrize("parts", [[b"x" * 65_537], [b"x" * 65_536, b"x"]])
async def test_a_body_larger_than_a_frame_is_refused(parts):
    wire = Wire(*(request(part, more=True) for part in parts))
    with pytest.raises(Refused) as refused:
        await wire.exchange.body()
    assert refused.value.status == 413


async def test_a_body_as_large_as_a_frame_is_taken():
    wire = Wire(request(b"x" * settings.FRAME_BYTES))
    assert len(await wire.exchange.body()) == settings.FRAME_BYTES


async def test_a_client_that_leaves_in_the_middle_is_gone():
    wire = Wire(request(b"ab", more=True), GONE)
    with pytest.raises(Gone):
        await wire.exchange.body()


async def test_it_waits_until_the_client_is_gone_or_has_been_given_the_end():
    await Wire(request(), GONE).exchange.gone()
    ended = Wire()
    ended.exchange.begin(b"text/plain", b"")
    ended.exchange.end()
    await ended.exchange.gone()


async def test_an_answer_is_whole_and_kept_by_nobody():
    wire = Wire()
    wire.exchange.answer(404)
    assert (wire.status, wire.body) == (404, b"no such session")
    assert wire.headers[b"content-length"] == b"15"
    kept = b"private, no-cache, no-store, must-revalidate, max-age=0"
    assert wire.headers[b"cache-control"] == kept
    assert wire.headers[b"x-content-type-options"] == b"nosniff"
    assert not wire.said[-1].get("more_body")


async def test_an_answer_without_content_says_nothing_of_it():
    wire = Wire()
    wire.exchange.answer(204)
    assert (wire.status, wire.body) == (204, b"")
    assert b"content-length" not in wire.headers


@pytest.mark.parametrize(
    ("version", "asked", "kept"),
    [("1.1", b"", True), ("1.0", b"", False), ("1.1", b"close", False), ("1.1", b"Close", False)],
)
async def test_a_stream_leaves_as_it_is_written(version, asked, kept):
    wire = Wire(http_version=version, headers=[(b"connection", asked)])
    wire.exchange.begin(b"text/event-stream", b"\r\n")
    wire.exchange.write(b"data")
    assert [message.get("body") for message in wire.said] == [None, b"\r\n", b"data"]
    assert all(message["more_body"] for message in wire.said[1:])
    assert wire.headers[b"x-accel-buffering"] == b"no"
    assert (wire.headers.get(b"connection") == b"keep-alive") is kept


async def test_after_the_end_nothing_more_is_said():
    wire = Wire()
    wire.exchange.begin(b"text/plain", b"")
    wire.exchange.end()
    said = len(wire.said)
    wire.exchange.write(b"late")
    wire.exchange.end()
    assert len(wire.said) == said


@pytest.mark.parametrize(
    ("origin", "told"),
    [(b"http://localhost", True), (b"https://friend.test", True), (b"http://evil.test", False)],
)
async def test_only_a_page_that_the_site_trusts_may_read_the_answer(settings, origin, told):
    settings.CSRF_TRUSTED_ORIGINS = ["https://friend.test"]
    wire = Wire(headers=[(b"origin", origin)])
    wire.exchange.answer(204)
    assert (wire.headers.get(b"access-control-allow-origin") == origin) is told
    assert b"access-control-allow-credentials" not in wire.headers


async def test_a_preflight_is_told_what_may_be_asked():
    wire = Wire(method="OPTIONS", headers=[ORIGIN])
    wire.exchange.judge(("POST",))
    wire.exchange.allow(("POST",))
    assert wire.status == 204
    assert wire.headers[b"access-control-allow-methods"] == b"POST, OPTIONS"
    assert wire.headers[b"access-control-allow-headers"] == b"content-type"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", [], 405),
        ("HEAD", [], 405),
        ("POST", [(b"origin", b"http://evil.test")], 403),
        ("OPTIONS", [(b"origin", b"http://evil.test")], 403),
        ("POST", [(b"host", b"evil.test")], 403),
    ],
)
async def test_what_is_not_for_us_is_refused(method, headers, status):
    with pytest.raises(Refused) as refused:
        Wire(method=method, headers=headers).exchange.judge(("POST",))
    assert refused.value.status == status


async def test_a_server_that_makes_its_applications_wait_is_refused_loudly():
    async def slow(_):
        await asyncio.sleep(1)

    wire = Wire()
    with pytest.raises(RuntimeError, match="wait"):
        Exchange(wire.scope, wire._receive, slow).answer(204)
