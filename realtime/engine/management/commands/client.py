"""`manage.py client`: what a client of the Centrifuge protocol hears, for people who debug."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from centrifuge import StreamPosition
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from realtime.engine import origins, tokens
from realtime.engine.management import lines, people
from realtime.engine.management.listening import TOO_FEW, Listening
from realtime.engine.management.questions import Wanted
from realtime.engine.management.reaching import PATH, Unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.core.management.base import CommandParser

    from realtime.engine.management.lines import Facts

TOKEN_LIFE_S = 300
EXAMPLE = f"ws://127.0.0.1:8000{PATH}"


class Command(BaseCommand):
    help = f"Connect to a server ({EXAMPLE}), subscribe to topics, print what comes."
    # it speaks to a server, mostly another one; this site may be in any state
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("url", metavar="URL", help=f"{EXAMPLE}, or wss://…")
        add("topics", nargs="*", metavar="TOPIC")
        who = parser.add_mutually_exclusive_group()
        who.add_argument("--token", metavar="T", help="a connection token; - reads it from stdin")
        who.add_argument("--user", metavar="NAME", help="a user of this site's own database")
        add("--topic-token", default="", metavar="T", help="a token for the one topic")
        add("--since", metavar="EPOCH:OFFSET", help="recover the one topic from this position")
        add("--history", type=int, metavar="N", help="the newest N publications of each topic")
        add("--presence", action="store_true", help="who is on each topic, who comes and goes")
        add("--publish", metavar="DATA", help="publish this JSON to the one topic")
        add("--rpc", nargs=2, metavar=("METHOD", "DATA"), help="call a method with this JSON")
        add("--protobuf", action="store_true", help="speak Protobuf instead of JSON")
        add("--json", action="store_true", help="print a line of JSON for each thing")
        add("--count", type=int, metavar="N", help="end after so many publications")
        add("--timeout", type=float, metavar="S", help="end after so many seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = _wanted(options)
        form = lines.program if options["json"] else lines.person
        try:
            code = asyncio.run(self._listen(wanted, form))
        except Unreachable as error:
            raise CommandError(lines.shown(str(error))) from None
        if code == TOO_FEW:
            raise CommandError(f"not all came within {wanted.timeout_s:g} s", returncode=code)
        if code:
            sys.exit(code)

    async def _listen(self, wanted: Wanted, form: Callable[[str, float, Facts], str]) -> int:
        def tell(event: str, at: float, facts: Facts) -> None:
            try:
                self.stdout.write(form(event, at, facts))
                self.stdout.flush()
            except BrokenPipeError:  # whoever read has seen enough; nothing may be left to flush
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                listening.end()

        listening = Listening(wanted, tell)
        return await listening.run()


def _wanted(options: dict[str, Any]) -> Wanted:
    url, topics = options["url"], tuple(dict.fromkeys(options["topics"]))
    _check_url(url)
    _check_counts(options)
    for name in ("topic_token", "since", "publish"):
        if options[name] and len(topics) != 1:
            raise CommandError(
                f"--{name.replace('_', '-')} is for one topic; there are {len(topics)}"
            )
    if (options["history"] or options["presence"]) and not topics:
        raise CommandError("--history and --presence are of topics; none is named")
    rpc = options["rpc"]
    return Wanted(
        url,
        topics,
        token=_token(options["token"]),
        get_token=_issuing(options["user"], url) if options["user"] else None,
        topic_token=options["topic_token"],
        since=_position(options["since"]) if options["since"] else None,
        history=options["history"],
        presence=options["presence"],
        publish=None if options["publish"] is None else (_json("--publish", options["publish"]),),
        rpc=(rpc[0], _json("--rpc", rpc[1])) if rpc else None,
        protobuf=options["protobuf"],
        count=options["count"],
        timeout_s=options["timeout"],
    )


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"ws", "wss"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or "#" in url:
        raise CommandError(f"{lines.shown(url)} is no address of live connections: say {EXAMPLE}")


def _check_counts(options: dict[str, Any]) -> None:
    for name, least in (("history", 1), ("count", 0), ("timeout", 0.001)):
        if options[name] is not None and not options[name] >= least:
            raise CommandError(f"--{name} is {options[name]}; say at least {least}")


def _token(said: str | None) -> str:
    return sys.stdin.readline().strip() if said == "-" else said or ""


def _issuing(name: str, url: str) -> Callable[[], Awaitable[str]]:
    """Short tokens, a new one whenever the SDK wants one; for no other site than this one."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    if not origins.known_host(host, settings.ALLOWED_HOSTS):
        raise CommandError(
            f"--user would hand {host} a token of this site, which it could use: it is none of "
            "ALLOWED_HOSTS. Say --token with one that is meant for it."
        )
    user = str(people.active(name).pk)
    _issue(user)  # complains before anything is connected

    async def get_token() -> str:
        return _issue(user)

    return get_token


def _issue(user: str) -> str:
    try:
        return tokens.issue(user, expires_in_s=TOKEN_LIFE_S)
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error


def _position(text: str) -> StreamPosition:
    epoch, colon, offset = text.rpartition(":")
    if not colon or not (offset.isascii() and offset.isdecimal()):
        raise CommandError(f"--since is {text!r}; say EPOCH:OFFSET as it is printed, abcdefgh:41")
    return StreamPosition(offset=int(offset), epoch=epoch)


def _json(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{option} is no JSON: {error}; write a text as '\"hello\"'") from error
