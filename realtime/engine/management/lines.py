"""What `manage.py client` prints: one line for each thing that happened, for people or programs.

Guarantee: a line is one line, and shows nothing that would move a terminal's cursor or colour it.
"""

from __future__ import annotations

import datetime as dt
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from realtime.protocol import codes

if TYPE_CHECKING:
    from collections.abc import Callable

Facts = dict[str, Any]

# what an SDK says by itself when it has no valid token left
NO_TOKEN = 1
HINTS = {
    NO_TOKEN: "the token's time is over: make a new one, manage.py token USER",
    codes.Error.UNAUTHORIZED.number: "nobody is signed in: say --user NAME or --token TOKEN",
    codes.Error.UNKNOWN_CHANNEL.number: "no topic is declared under this namespace, in this form",
    codes.Error.PERMISSION_DENIED.number: "this user may not: the topic's `allows` said no",
    codes.Error.BAD_REQUEST.number: "a name that is not canonical, or data that is not taken",
    codes.Error.NOT_AVAILABLE.number: "the topic, or the server, does not offer this",
    codes.Disconnect.INVALID_TOKEN.number: "signed by another site, or for nobody known there",
    codes.Disconnect.FORCE.number: "signed out or deactivated, or an operator wants it",
}


def program(event: str, at: float, facts: Facts) -> str:
    """A line of JSON. What is no JSON is `{"base64": …}`."""
    said = {"event": event, "time": _instant(at).isoformat(timespec="milliseconds"), **facts}
    return json.dumps(said, separators=(",", ":"), default=_base64)


def person(event: str, at: float, facts: Facts) -> str:
    """Time (UTC), topic, and what is so."""
    time = _instant(at).strftime("%H:%M:%S.%f")[:-3]
    topic = facts.get("topic")
    return shown("  ".join(filter(None, (time, topic, _words(event, facts)))))


def shown(text: str) -> str:
    """The text without what a terminal would obey."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode()
        for one in text
    )


def _words(event: str, facts: Facts) -> str:
    words = WORDS.get(event)
    return words(facts) if words else f"{event} {_who(facts)}"  # join, leave, present


def _publication(facts: Facts, *, recorded: bool = False) -> str:
    latency = f"{facts['latency_ms']:+d} ms" if "latency_ms" in facts else None
    by = f"by {_who(facts['by'])}" if "by" in facts else None
    tags = f"tags {_json(facts['tags'])}" if "tags" in facts else None
    offset = str(facts["offset"]) if facts["offset"] else "-"
    parts = (offset, "recorded" if recorded else latency, _json(facts["data"]), by, tags)
    return "  ".join(filter(None, parts))


def _subscribed(facts: Facts) -> str:
    where = _place(facts) if "epoch" in facts else "the present: no history"
    if facts["recovered"]:
        return f"recovered from {where}; what was missed follows"
    again = "not recovered, begins anew: " if facts["was_recovering"] else ""
    return f"{again}subscribed at {where}{_rows(facts.get('data'))}"


def _rows(data: Any) -> str:
    if not isinstance(data, dict) or not isinstance(data.get("rows"), list):
        return "" if data is None else f"  {_json(data)}"
    counts = data.get("counts") or {}
    behind = [f"{len(data['rows'])} rows", *(f"{name} {count}" for name, count in counts.items())]
    return f", {', '.join(behind)}"


def _who(info: Facts) -> str:
    infos = [_json(info[name]) for name in ("conn_info", "chan_info") if info.get(name) is not None]
    return " ".join([f"user {info['user'] or '(nobody)'}", f"client {info['client']}", *infos])


def _coded(what: str, facts: Facts) -> str:
    code = f"{facts['code']} " if facts.get("code") else ""
    return f"{what}: {code}{facts['reason']}"


def _hint(facts: Facts) -> str:
    hint = HINTS.get(facts.get("code", 0))
    return f" ({hint})" if hint else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_base64)


def _base64(value: bytes) -> Facts:
    return {"base64": b64encode(value).decode()}


def _unrecoverable(facts: Facts) -> str:
    return f"{_coded(f'cannot recover from {_place(facts)}', facts)}; begins anew"


def _returned(facts: Facts) -> str:
    return f"{facts['method']} returned in {facts['took_ms']} ms  {_json(facts['data'])}"


def _place(facts: Facts) -> str:
    return f"{facts['epoch']}:{facts['offset']}"


WORDS: dict[str, Callable[[Facts], str]] = {
    "connecting": lambda facts: f"connecting to {facts['url']}",
    "connected": lambda facts: f"connected as client {facts['client']}, server {facts['version']}",
    "interrupted": lambda facts: f"{_coded('connection lost', facts)}; connects again",
    "disconnected": lambda facts: f"{_coded('disconnected', facts)}; stays away{_hint(facts)}",
    "subscribing": lambda facts: f"{_coded('interrupted', facts)}; subscribes again",
    "subscribed": _subscribed,
    "unrecoverable": _unrecoverable,
    "unsubscribed": lambda facts: f"{_coded('unsubscribed', facts)}{_hint(facts)}",
    "delayed": lambda facts: f"{_coded(facts['what'], facts)}; tries again",
    "refused": lambda facts: f"{_coded(facts['what'], facts)}{_hint(facts)}",
    "publication": _publication,
    "recorded": lambda facts: _publication(facts, recorded=True),
    "history": lambda facts: f"history: {facts['count']} of those up to {_place(facts)}",
    "presence": lambda facts: f"present: {facts['clients']} clients, {facts['users']} users",
    "published": lambda facts: f"published in {facts['took_ms']} ms",
    "returned": _returned,
}


def _instant(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, dt.UTC)
