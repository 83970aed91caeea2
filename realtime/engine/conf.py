"""The engine's settings: one table, read once from the environment as `TOCSIN_<NAME>`."""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "TOCSIN_"
VERSION = "0.1.0"
with contextlib.suppress(PackageNotFoundError):
    VERSION = version("tocsin")
YES, NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})


@dataclass(frozen=True)
class Setting:
    """One setting; the type of `default` is the type of its values.

    `secret`: its value is shown nowhere, in no message and in no line of the log.
    """

    name: str
    default: bool | int | float | str
    unit: str
    help: str
    secret: bool = False


SETTINGS = (
    Setting("HEAD_POLL_S", 1.0, "s", "How often a hub compares its positions with the log."),
    Setting("HEAD_POLL_DEGRADED_S", 0.25, "s", "The same while Redis does not answer."),
    Setting("HOLD_S", 1.0, "s", "How long a subscription waits for the answer about a right."),
    Setting("PENDING_WAIT_S", 1.0, "s", "How long a snapshot waits for entries on their way."),
    Setting("PENDING_MAX", 1000, "entries", "Above this many a snapshot is refused for now (100)."),
    Setting("MOVE_LIMIT", 1000, "entries", "How many entries the relay moves in one transaction."),
    Setting("OUTBOX_ENTRIES", 10_000, "entries", "Above this many waiting, the relay is behind."),
    Setting("RELAY_POLL_S", 1.0, "s", "How long the relay waits for a wake-up before it looks."),
    Setting("RELAY_STANDBY_S", 0.25, "s", "How often a standby relay tries to lead."),
    Setting("RELAY_RESEND_S", 10.0, "s", "How far back a new leader repeats what was published."),
    Setting(
        "RELAY_METRICS_PORT", 0, "", "Where a relay on this machine gives its metrics; 0: off."
    ),
    Setting("BROKER_TIMEOUT_S", 0.2, "s", "The longest that anything waits for Redis."),
    Setting("EMULATION_S", 3.0, "s", "How long a command over HTTP may look for its connection."),
    Setting("BROKER_QUEUE", 10_000, "messages", "Unread messages from Redis; more are dropped."),
    Setting("PRESENCE_BEAT_S", 3.0, "s", "How often a process says in Redis that it lives."),
    Setting("PRESENCE_TTL_S", 10.0, "s", "How long a process that was killed stays on its topics."),
    Setting("PRESENCE_BYTES", 4096, "bytes", "The most that presence says about a connection."),
    Setting("PRESENCE_CLIENTS", 2000, "clients", "The most that presence lists; else 106."),
    Setting("PRESENCE_PER_S", 20.0, "questions", "How often a client may ask; faster is 111."),
    Setting("PRESENCE_BURST", 100, "questions", "How many it may ask at once; else 111."),
    Setting("DATABASE_THREADS", 8, "threads", "Most database connections of one process's hub."),
    Setting("DATABASE_ANSWER_S", 8.0, "s", "How long a hub waits for a statement; 0: for ever."),
    Setting("RING_SIZE", 1000, "publications", "Recent publications a hub keeps for each topic."),
    Setting("RING_BYTES", 1_048_576, "bytes", "The most that these publications take up."),
    Setting("MISSED_BYTES", 67_108_864, "bytes", "Kept above that for who comes back, in all."),
    Setting("RECHECK_S", 60.0, "s", "How often every session and right is asked about again."),
    Setting("LINGER_S", 5.0, "s", "How long a hub follows a topic after its last reader left."),
    Setting("TOKEN_STRANGERS", False, "", "Tokens may name who is no user of this site."),  # noqa: FBT003
    Setting("PERSONAL_TOPIC", False, "", "Every user is subscribed to `#<user id>`."),  # noqa: FBT003
    Setting("PUBLISH_PER_S", 20.0, "publications", "A client's lasting rate; faster is 111."),
    Setting("PUBLISH_BURST", 100, "publications", "How many it may publish at once; else 111."),
    Setting("RPC_PER_S", 20.0, "calls", "A client's lasting rate of calls; faster is 111."),
    Setting("RPC_BURST", 100, "calls", "How many calls it may make at once; else 111."),
    Setting("RPC_S", 5.0, "s", "How long a method may take; else the caller is told 100."),
    Setting("RPC_THREADS", 4, "threads", "How many methods may run at once in a process."),
    Setting("HISTORY_LIMIT", 300, "publications", "The most that one history command gives."),
    Setting(
        "FRAME_BYTES", 65_536, "bytes", "The largest frame of a client; else 3501, in HTTP 413."
    ),
    Setting("FRAME_COMMANDS", 256, "commands", "The most in one frame of a client; else 3501."),
    Setting("UNANSWERED_BYTES", 4_194_304, "bytes", "What a client may ask ahead; else 3013."),
    Setting("FRAMES_PER_S", 100.0, "frames", "A client's lasting rate; faster is 3013."),
    Setting("FRAMES_BURST", 1024, "frames", "How many a client may send at once; else 3013."),
    Setting("COMMANDS_PER_S", 50.0, "commands", "A client's lasting rate; faster is 3013."),
    Setting("COMMANDS_BURST", 512, "commands", "How many a client may send at once; else 3013."),
    Setting("CONNECT_S", 10.0, "s", "From accept to the connect command; else 3502."),
    Setting("PING_S", 25, "s", "How often a client is pinged."),
    Setting("PONG_S", 10.0, "s", "How long the answer may take, below PING_S; else 3012."),
    Setting("TOPICS_PER_CONNECTION", 128, "topics", "Subscriptions of a connection; else 106."),
    Setting("CONNECTIONS_PER_USER", 1000, "connections", "Of a user in one process; else 3504."),
    Setting("CONNECTIONS_PER_ADDRESS", 10_000, "connections", "Of an address; else 3504."),
    Setting("UNSENT_BYTES", 1_048_576, "bytes", "What a reader may leave unread; else 3008."),
    Setting("SLOW_S", 3.0, "s", "How long a reader may stay above UNSENT_BYTES."),
    Setting("TOPIC_BYTES", 255, "bytes", "The longest name of a topic."),
    Setting("BODY_BYTES", 65_536, "bytes", "Above this a row's body is not sent: op o, fetch it."),
    Setting("PUBLISH_BYTES", 65_536, "bytes", "The largest data that publish() takes."),
    Setting("API_BYTES", 1_048_576, "bytes", "The largest request to the server API; else 413."),
    Setting("API_ANSWER_BYTES", 16_777_216, "bytes", "Above this the rest of a batch is 106."),
    Setting("API_COMMANDS", 1000, "commands", "The most in a batch, or topics in a broadcast."),
    Setting("API_THREADS", 4, "threads", "How many requests ask the database at once, a process."),
    Setting("IDEMPOTENCY_S", 86_400.0, "s", "How long an idempotency key is remembered."),
    Setting("TOKEN_SECRETS", "", "", "Keys of HMAC tokens: the first signs.", secret=True),
    Setting("TOKEN_JWKS", "", "", "A JWKS file with the public keys of RS256 and ES256 tokens."),
    Setting("TOKEN_AUDIENCE", "", "", "What a token's `aud` must name."),
    Setting("TOKEN_ISSUER", "", "", "What a token's `iss` must be."),
    Setting("TOKEN_LEEWAY_S", 5.0, "s", "How far clocks may differ; every expiry is later by it."),
    Setting("TOKEN_LIFE_S", 3600.0, "s", "How long a token lives that is signed here."),
    Setting("REVOKED_S", 0.0, "s", "How long the revocation of a token is kept; 0: for ever."),
    Setting("TOLERANT_TRIGGERS", False, "", "Triggers that survive DDL by hand."),  # noqa: FBT003
    Setting("TRIGGER_CHECK_S", 30.0, "s", "How often the relay looks for missing triggers."),
    Setting("DRAIN_S", 5.0, "s", "How long a stopping server takes to send its readers elsewhere."),
)


class Settings:
    """The values in force: `settings.HEAD_POLL_S`. Tests change them within `override`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._values = {s.name: _parse(s, environment.get(PREFIX + s.name)) for s in SETTINGS}

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"TOCSIN_{name} is no setting; see conf.SETTINGS") from None

    @contextlib.contextmanager
    def override(self, **values: bool | float | str) -> Iterator[None]:
        if unknown := values.keys() - self._values.keys():
            raise AttributeError(f"no such settings: {', '.join(sorted(unknown))}")
        before = dict(self._values)
        self._values.update(values)
        try:
            yield
        finally:
            self._values = before


def _parse(setting: Setting, text: str | None) -> bool | int | float | str:
    if text is None:
        return setting.default
    if isinstance(setting.default, str):
        return text.strip()
    if isinstance(setting.default, bool):
        if text.strip().lower() not in YES | NO:
            raise ImproperlyConfigured(f"{PREFIX}{setting.name} is {text!r}; say true or false")
        return text.strip().lower() in YES
    try:
        value = int(text) if isinstance(setting.default, int) else float(text)
    except ValueError:
        value = math.nan  # which is in no range
    if not 0 <= value < math.inf:
        unit = f", in {setting.unit}" if setting.unit else ""
        raise ImproperlyConfigured(
            f"{PREFIX}{setting.name} is {text!r}; it must be a number{unit}, "
            f"for example {setting.default}"
        )
    return value


settings = Settings(os.environ)
