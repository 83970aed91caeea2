"""Logs are one event a line and hold no secret."""

import contextlib
import io
import json
import logging
import logging.config
import secrets
from urllib.parse import quote

import pytest
import redis
import structlog

from project import logs

SECRET = "the-secret-key-of-this-site"
PASSWORD = 'pass"word\\of@this/site'


@pytest.fixture
def lines():
    """Configure as asked; the lines that came out."""
    before = structlog.get_config()
    handlers, level = logging.root.handlers[:], logging.root.level
    stream = io.StringIO()

    def configure(*, debug=False):
        settings = logs.configured(debug=debug, level="INFO", secrets=[SECRET, PASSWORD, ""])
        settings["handlers"]["console"]["stream"] = stream
        logging.config.dictConfig(settings)
        return lambda: stream.getvalue().splitlines()

    yield configure
    structlog.configure(**before)
    logging.root.handlers[:], logging.root.level = handlers, level


def test_in_production_an_event_is_a_line_of_json(lines):
    said = lines()
    structlog.get_logger("realtime.engine").info("gap.repaired", topic="trades:BTC", count=3)
    [line] = said()
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "gap.repaired",
        "topic": "trades:BTC",
        "count": 3,
        "level": "info",
        "logger": "realtime.engine",
    }


def test_a_line_of_the_standard_library_comes_out_the_same_way(lines):
    said = lines()
    logging.getLogger("anything").warning("lost %s of %d", "two", 3)
    event = json.loads(said()[0])
    assert (event["event"], event["level"]) == ("lost two of 3", "warning")


def test_what_an_event_of_ours_says_is_not_said_again(lines):
    said = lines()
    try:
        raise redis.ConnectionError("refused")
    except redis.ConnectionError:
        logging.getLogger("channels_redis.pubsub").exception("Unexpected exception in receive task")
    unready = {"status_code": 503, "request": None}
    logging.getLogger("django.request").error("Service Unavailable: /readyz", extra=unready)
    assert said() == []
    logging.getLogger("channels_redis.pubsub").error("something else")
    assert len(said()) == 1


def test_a_traceback_stays_on_its_line(lines):
    said = lines()
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger("x").exception("step.failed")
    [line] = said()
    assert "ValueError: no" in json.loads(line)["exception"]


def test_where_debug_is_on_a_line_is_readable(lines):
    said = lines(debug=True)
    structlog.get_logger("x").info("relay.leading", pid=7)
    assert "relay.leading" in said()[0]
    assert "pid=7" in said()[0]
    assert not said()[0].startswith("{")


@pytest.mark.parametrize("debug", [False, True])
def test_a_traceback_shows_no_local_values(lines, debug):
    said, session_key = lines(debug=debug), secrets.token_hex()
    try:
        raise ValueError("no", len(session_key))
    except ValueError:
        logging.getLogger("x").exception("failed")
    text = "\n".join(said())
    assert "ValueError" in text
    assert session_key not in text


@pytest.mark.parametrize("debug", [False, True])
def test_planted_secrets_are_not_found(lines, debug):
    said = lines(debug=debug)
    structlog.get_logger("x").error("broker.failed", url=f"redis://:{SECRET}@host/0")
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("y").exception(SECRET)
    structlog.get_logger("z").error("database.failed", word=PASSWORD, url=quote(PASSWORD))
    assert said()
    text = "\n".join(said())
    assert SECRET not in text
    assert "word\\" not in text
    assert "word%" not in text


HOSTILE = "ada\n2026-11-27T12:00:00Z [error] forged.line\r\x1b[2Jgone\x9b31m\u2028x\u202ey"


@pytest.mark.parametrize("debug", [False, True])
def test_nothing_that_is_logged_begins_a_line_or_steers_the_terminal(lines, rf, debug):
    said = lines(debug=debug)
    structlog.get_logger("x").info("topic.refused", topic=HOSTILE, names=[HOSTILE], **{HOSTILE: 1})
    structlog.get_logger("x").info(HOSTILE)
    logging.getLogger("y").warning("Not Found: %s", HOSTILE)
    request = rf.get("/", headers={"User-Agent": HOSTILE, "X-Request-ID": HOSTILE})
    words = {"status_code": 403, "request": request, "user_agent": HOSTILE}
    logging.getLogger("django.security.csrf").warning("Forbidden: %s", HOSTILE, extra=words)
    assert len(said()) == 4
    assert [line for line in said() if not line.isprintable()] == []
    if not debug:
        assert json.loads(said()[0])["topic"] == HOSTILE, "and nothing of it is lost"


def finished(request, code=200):
    return {"event": "request_finished", "request": request, "code": code}


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        ("GET /inbox/", "GET /inbox/"),
        ("GET /inbox/?token=abc", "GET /inbox/?…"),
        ("GET /accounts/password/reset/key/1-abc-def/", "GET /accounts/password/reset/key/…/"),
    ],
)
def test_an_address_loses_what_is_secret_in_it(request_, shown):
    event = logs.requests(None, "info", finished(request_))
    assert event["event"] == "request.finished"
    assert event["request"] == shown


@pytest.mark.parametrize("request_", ["GET /readyz", "GET /proof/committed?trades={}&candles=0"])
def test_a_probe_is_told_when_its_answer_changes(monkeypatch, request_):
    monkeypatch.setattr(logs, "_probed", {})
    said = []
    for number, code in enumerate((200, 503, 503, 200, 200)):
        with contextlib.suppress(structlog.DropEvent):
            event = finished(request_.format(number), code)
            said.append(logs.requests(None, "info", event)["code"])
    assert said == [503, 200]


@pytest.mark.parametrize("debug", [False, True])
def test_a_refused_form_shows_no_link_that_is_secret(lines, rf, debug):
    said = lines(debug=debug)
    path = "/accounts/password/reset/key/1-abc-def/"
    words = {"status_code": 403, "request": rf.post(f"{path}?token=ghi")}
    logging.getLogger("django.security.csrf").warning("Forbidden: %s", path, extra=words)
    [line] = said()
    assert "Forbidden: /accounts/password/reset/key/" in line
    assert "abc" not in line
    assert "ghi" not in line


def test_the_first_frame_of_an_event_stream_is_not_shown(lines):
    said = lines()
    path = "/connection/sse?cf_connect=%7B%22token%22:abc/d"
    logging.getLogger("django.channels.server").info("HTTP GET %s 200 [0.1]", path)
    assert "HTTP GET /connection/sse?cf_connect=… 200" in json.loads(said()[0])["event"]


def test_what_a_client_did_wrong_is_a_warning_without_a_traceback(lines):
    said = lines()
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("django.security.DisallowedHost").exception("Invalid host: 'x'")
    event = json.loads(said()[0])
    assert (event["event"], event["level"]) == ("Invalid host: 'x'", "warning")
    assert "exception" not in event
