"""Tokens, which sign in programs and phones, or open one topic: what they say, once believed.

The signature is checked first, then every claim by its type, then the time: what is returned is
whole and may be used as it is. Claims not named here are ignored. Source: protocol.md, section 4.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from django.core.exceptions import ImproperlyConfigured
from msgspec import UNSET, Raw, Struct, UnsetType

from realtime.engine import keyring
from realtime.engine.conf import settings
from realtime.engine.exceptions import ExpiredToken, InvalidToken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import EllipsisType

__all__ = [
    "ConnectionToken",
    "ExpiredToken",
    "InvalidToken",
    "SubscriptionToken",
    "TopicOptions",
    "connection",
    "issue",
    "subscription",
]


@dataclass(frozen=True, slots=True)
class TopicOptions:
    """What a token says about one topic.

    `info`, `data`: JSON text on one line. `override`: which of presence, join_leave,
    force_push_join_leave, force_positioning and force_recovery it sets, and how.
    """

    info: str | None
    data: str | None
    override: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class ConnectionToken:
    """Who connects. `user`: "" is nobody in particular. `info`: JSON text on one line.

    `expire_at`: unix seconds, leeway included, when the connection ends unless it is refreshed; it
    may have passed already. `topics`, `subs`: what to subscribe it to.
    """

    user: str
    expire_at: float | None
    info: str | None
    topics: tuple[str, ...]
    subs: Mapping[str, TopicOptions]
    issued_at: float | None
    token_id: str


@dataclass(frozen=True, slots=True)
class SubscriptionToken:
    """Who may subscribe to what; `client`: only this connection may, unless "".

    `expire_at`: as of a connection, of the subscription.
    """

    user: str
    topic: str
    client: str
    options: TopicOptions
    expire_at: float | None
    issued_at: float | None
    token_id: str


def connection(token: str, now: float | None = None) -> ConnectionToken:
    """Raises InvalidToken, ExpiredToken; Unavailable while the public keys cannot be read."""
    claims = _read(keyring.verified(token))
    if claims.channel is not UNSET:
        raise InvalidToken("a token for a topic cannot connect")
    believed = ConnectionToken(
        user=claims.sub,
        expire_at=_end(claims),
        info=_text(claims.info, claims.b64info),
        topics=tuple(dict.fromkeys(claims.channels or ())),
        subs={topic: _options(options) for topic, options in (claims.subs or {}).items()},
        issued_at=None if claims.iat is UNSET else claims.iat,
        token_id=claims.jti,
    )
    _in_time(claims, now)
    return believed


def subscription(token: str, now: float | None = None) -> SubscriptionToken:
    """Raises as `connection` does. Of whom, for which topic and connection, is not compared."""
    claims = _read(keyring.verified(token))
    if not claims.channel:
        raise InvalidToken("a token without a topic cannot subscribe")
    believed = SubscriptionToken(
        user=claims.sub,
        topic=claims.channel,
        client=claims.client,
        options=_options(claims),
        expire_at=_end(claims),
        issued_at=None if claims.iat is UNSET else claims.iat,
        token_id=claims.jti,
    )
    _in_time(claims, now)
    return believed


def issue(
    user: str,
    *,
    topic: str = "",
    expires_in_s: float | EllipsisType | None = ...,
    info: Any = None,
    channels: Iterable[str] = (),
    **claims: Any,
) -> str:
    """Sign a token: for connecting as `user`, str(user.pk), or for subscribing to `topic`.

    `expires_in_s`: TOKEN_LIFE_S unless given, None: never. `info`: JSON-able, what others see of
    the user. `channels`: topics that the connection has without asking. `claims`: any other, such
    as `expire_at`, `subs`, `client`, `data` and `override`. Raises ValueError or TypeError for
    what would not be accepted, and ImproperlyConfigured without TOCSIN_TOKEN_SECRETS.
    """
    if not isinstance(user, str):
        raise TypeError(f"a token is for the id of a user as a text, not {type(user).__name__}")
    if topic and channels:
        raise ValueError("a token is either for connecting, with channels, or for one topic")
    if not keyring.secrets():
        raise ImproperlyConfigured("TOCSIN_TOKEN_SECRETS is empty: there is no key to sign with")
    now = time.time()
    said = {
        # never later than it was: who revokes all tokens right afterwards means this one, too
        "iat": math.floor(now * 1000) / 1000,
        "jti": uuid.uuid4().hex,
        "exp": _expiry(now, settings.TOKEN_LIFE_S if expires_in_s is ... else expires_in_s),
        "aud": settings.TOKEN_AUDIENCE or None,
        "iss": settings.TOKEN_ISSUER or None,
        "channel": topic or None,
        "channels": [*channels] or None,
        "info": info,
        **claims,
        "sub": user,
    }
    said = {claim: value for claim, value in said.items() if value is not None}
    token = keyring.signed(json.dumps(said, allow_nan=False, separators=(",", ":")).encode())
    try:
        _ = (subscription if "channel" in said else connection)(token, now)
    except InvalidToken as error:
        raise ValueError(f"such a token would be refused: {error}") from error
    except ExpiredToken:  # on the caller's own word
        pass
    return token


def _expiry(now: float, life_s: float | None) -> float | None:
    if life_s is None:
        return None
    if not 0 < life_s < math.inf:
        raise ValueError(f"a token cannot live for {life_s} s; None: for ever")
    return round(now + life_s, 3)


# --- Claims. A null is refused where it would mean "nobody" or "never".


class _Switch(Struct):
    value: bool


class _Override(Struct, omit_defaults=True):
    presence: _Switch | None = None
    join_leave: _Switch | None = None
    force_push_join_leave: _Switch | None = None
    force_positioning: _Switch | None = None
    force_recovery: _Switch | None = None


class _Options(Struct):
    info: Raw = Raw()
    b64info: str = ""
    data: Raw = Raw()
    b64data: str = ""
    override: _Override | None = None


class _Claims(_Options):
    sub: str = ""
    exp: float | UnsetType = UNSET
    nbf: float | UnsetType = UNSET
    iat: float | UnsetType = UNSET
    expire_at: float | UnsetType = UNSET
    iss: str = ""
    aud: str | list[str] = ""
    jti: str = ""
    channel: str | UnsetType = UNSET
    client: str = ""
    channels: list[str] | None = None
    subs: dict[str, _Options] | None = None


def _read(payload: bytes) -> _Claims:
    try:
        claims = msgspec.json.decode(payload, type=_Claims)
    except (ValueError, RecursionError) as error:
        raise InvalidToken(f"the token's claims cannot be read: {error}") from error
    if "\x00" in claims.sub + claims.jti:
        raise InvalidToken("sub and jti must be texts that a database can keep")
    if settings.TOKEN_ISSUER not in {"", claims.iss}:
        raise InvalidToken("the token is from another issuer")
    audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if settings.TOKEN_AUDIENCE and settings.TOKEN_AUDIENCE not in audience:
        raise InvalidToken("the token is for another audience")
    return claims


def _in_time(claims: _Claims, now: float | None) -> None:
    now, leeway = time.time() if now is None else now, settings.TOKEN_LEEWAY_S
    if claims.exp is not UNSET and claims.exp + leeway <= now:
        raise ExpiredToken
    # one from a clock further ahead than that could not be revoked by its time
    if any(begin is not UNSET and begin - leeway > now for begin in (claims.nbf, claims.iat)):
        raise ExpiredToken("the token is not valid yet")


def _end(claims: _Claims) -> float | None:
    end = claims.exp if claims.expire_at is UNSET else claims.expire_at or UNSET
    return None if end is UNSET else end + settings.TOKEN_LEEWAY_S


def _options(options: _Options) -> TopicOptions:
    override = msgspec.to_builtins(options.override) or {}
    return TopicOptions(
        info=_text(options.info, options.b64info),
        data=_text(options.data, options.b64data),
        override={name: switch["value"] for name, switch in override.items()},
    )


def _text(value: Raw, encoded: str = "") -> str | None:
    """One line of JSON, as frames need it; None when there is none or null."""
    try:
        text = b64decode(encoded, validate=True) if encoded else bytes(value)
        found = msgspec.json.decode(text) if text else None
        return None if found is None else msgspec.json.format(text.decode(), indent=-1)
    except (ValueError, RecursionError) as error:
        raise InvalidToken("info and data must be JSON") from error
