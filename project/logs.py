"""Logs: one structured event a line, JSON in production, readable where DEBUG is on; no secrets.

Events of structlog and lines of the standard library come out the same way, on stderr.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import redis
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from structlog.typing import EventDict, Processor

# the house's names for what django-structlog says (noun.participle)
NAMES = {
    "request_finished": "request.finished",
    "request_failed": "request.failed",
    "request_cancelled": "request.cancelled",
}
# asked again and again by programs, the last one by the proof page
PROBES = re.compile(r"^GET /(healthz|readyz|metrics|proof/committed)$")
# a link that resets a password or confirms an address is a secret; so may be a query, and so is the
# first frame of an event stream
ONE_TIME = re.compile(r"(/(?:reset/key|confirm-email)/)[^/?\s]+|(cf_connect=)\S+")
QUERY = re.compile(r"\?\S*")
SHORTEST_SECRET = 8
OK = 200
_probed: dict[str, int] = {}  # what each probe was answered last


def requests(_: object, __: str, event: EventDict) -> EventDict:
    """The house's names; a probe is told when its answer changes; links lose what is secret."""
    name = str(event.get("event"))
    event["event"] = NAMES.get(name) or ONE_TIME.sub(r"\1\2…", name)
    if "request" in event:
        request = str(event["request"])
        path = QUERY.sub("", request)
        probe = name in NAMES and PROBES.match(path)
        if probe and not _changed(path, event.get("code", OK)):
            raise structlog.DropEvent
        event["request"] = ONE_TIME.sub(r"\1\2…", QUERY.sub("?…", request))
    return event


def _changed(probe: str, code: int) -> bool:
    before, _probed[probe] = _probed.get(probe, OK), code
    return code != before


class Told(logging.Filter):
    """Drops what an event of ours already says: a probe's 503, a Redis that does not answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "django.request" and getattr(record, "status_code", 0) == 503:  # noqa: PLR2004
            return False
        fault = record.exc_info[1] if record.exc_info else None
        return not (
            record.name == "channels_redis.pubsub" and isinstance(fault, redis.RedisError | OSError)
        )


class Refused(logging.Filter):
    """What a client did wrong (a host, a form) is a warning, and no error with a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security."):
            record.exc_info = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    requests,
]
LOGGERS: dict[str, Any] = {
    # Django's own handlers of these would say everything twice
    "django": {"handlers": [], "propagate": True},
    "django.request": {"level": "ERROR"},  # 4xx are in request.finished
    "django.server": {"handlers": [], "propagate": True},
    "daphne": {"level": "WARNING"},
    "asyncio": {"level": "WARNING"},
}


def configured(*, debug: bool, level: str, secrets: Iterable[str]) -> dict[str, Any]:
    """Configure structlog; returns Django's LOGGING. No line shows one of `secrets`."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(_readable() if debug else _json()),
            _hide(secrets),
        ],
        "foreign_pre_chain": SHARED,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"event": formatter},
        "filters": {"told": {"()": Told}, "refused": {"()": Refused}},
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "event",
                "filters": ["told", "refused"],
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": LOGGERS,
    }


def _readable() -> list[Processor]:
    colours = sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR"))
    console = structlog.dev.ConsoleRenderer(
        colors=colours,
        pad_event_to=24,
        # the pretty one takes seconds, in the event loop, and shows what local names hold
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [_without_date, _on_its_line, console]


def _without_date(_: object, __: str, event: EventDict) -> EventDict:
    event["timestamp"] = str(event.get("timestamp", ""))[11:23]
    for noise in ("logger", "request_id", "user_agent"):
        event.pop(noise, None)
    return event


def _on_its_line(_: object, __: str, event: EventDict) -> EventDict:
    """What a client chose neither begins a line nor steers the terminal; JSON escapes by itself."""
    return {
        _printable(name): _printable(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    signs = (sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return "".join(signs)


def _json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]


def _hide(secrets: Iterable[str]) -> Callable[[object, str, str], str]:
    # also as an address, a line of JSON and Python's own quotes have it
    forms = {f for s in secrets for f in (s, quote(s), json.dumps(s)[1:-1], repr(s)[1:-1])}
    hidden = sorted((f for f in forms if len(f) >= SHORTEST_SECRET), key=len, reverse=True)

    def hide(_: object, __: str, line: str) -> str:
        for secret in hidden:
            line = line.replace(secret, "[secret]")
        return line

    return hide
