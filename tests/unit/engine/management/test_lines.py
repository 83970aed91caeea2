"""The lines of `manage.py client`, for people and for programs."""

import json

import pytest

from realtime.engine.management import lines

AT = 1_786_530_399.0175
WHO = {"user": "7", "client": "c1"}


def words(event, **facts):
    time, text = lines.person(event, AT, facts).split("  ", 1)
    assert time == "10:26:39.017"
    return text


@pytest.mark.parametrize(
    ("event", "facts", "said"),
    [
        ("connecting", {"url": "ws://h/"}, "connecting to ws://h/"),
        ("connected", {"client": "c1", "version": "1"}, "connected as client c1, server 1"),
        (
            "interrupted",
            {"code": 3001, "reason": "shutdown"},
            "connection lost: 3001 shutdown; connects again",
        ),
        (
            "disconnected",
            {"code": 3504, "reason": "connection limit"},
            "disconnected: 3504 connection limit; stays away",
        ),
        (
            "disconnected",
            {"code": 1, "reason": "unauthorized"},
            (
                "disconnected: 1 unauthorized; stays away "
                "(the token's time is over: make a new one, manage.py token USER)"
            ),
        ),
        (
            "subscribing",
            {"topic": "t", "code": 2500, "reason": "insufficient state"},
            "t  interrupted: 2500 insufficient state; subscribes again",
        ),
        (
            "delayed",
            {"what": "connecting failed", "code": 100, "reason": "internal server error"},
            "connecting failed: 100 internal server error; tries again",
        ),
        (
            "delayed",
            {"what": "connecting failed", "reason": "nothing listens"},
            "connecting failed: nothing listens; tries again",
        ),
        (
            "subscribed",
            {"topic": "t", "recovered": False, "was_recovering": False},
            "t  subscribed at the present: no history",
        ),
        (
            "subscribed",
            {
                "topic": "t",
                "epoch": "e",
                "offset": 4,
                "recovered": False,
                "was_recovering": True,
                "data": {"rows": [{}, {}], "counts": {"unread": 1}},
            },
            "t  not recovered, begins anew: subscribed at e:4, 2 rows, unread 1",
        ),
        (
            "subscribed",
            {
                "topic": "t",
                "epoch": "e",
                "offset": 4,
                "recovered": False,
                "was_recovering": False,
                "data": [1],
            },
            "t  subscribed at e:4  [1]",
        ),
        (
            "publication",
            {"topic": "t", "offset": 0, "data": "ü", "by": {**WHO, "conn_info": {"name": "Ada"}}},
            't  -  "ü"  by user 7 client c1 {"name":"Ada"}',
        ),
        (
            "publication",
            {"topic": "t", "offset": 5, "latency_ms": 4, "data": {"at": 1}, "tags": {"a": "b"}},
            't  5  +4 ms  {"at":1}  tags {"a":"b"}',
        ),
        ("recorded", {"topic": "t", "offset": 5, "data": 1}, "t  5  recorded  1"),
        ("join", {"topic": "t", "user": "", "client": "c"}, "t  join user (nobody) client c"),
        ("returned", {"method": "m", "took_ms": 1.5, "data": None}, "m returned in 1.5 ms  null"),
    ],
    ids=str,
)
def test_people_read_what_is_so(event, facts, said):
    assert words(event, **facts) == said


def test_programs_read_one_object_a_line():
    line = lines.program("publication", AT, {"topic": "t", "offset": 1, "data": b"\xff\n"})
    assert json.loads(line) == {
        "event": "publication",
        "time": "2026-08-12T10:26:39.017+00:00",
        "topic": "t",
        "offset": 1,
        "data": {"base64": "/wo="},
    }
    assert lines.program("x", AT, {"data": "\u2028\x9b\ud800"}).isascii()


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b2J", "\u202e", "\r", "\n", "\ud800", "\x00"])
def test_nothing_that_a_server_says_steers_the_terminal(evil):
    facts = {"topic": f"t{evil}", "code": 2000, "reason": evil}
    for line in (
        lines.person("unsubscribed", AT, facts),
        lines.person("publication", AT, {"topic": "t", "offset": 1, "data": {evil: evil}}),
        lines.shown(evil),
    ):
        assert line.isprintable()
        assert line.encode()
