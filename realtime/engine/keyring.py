"""Which keys sign tokens, and which are believed: shared secrets, and public keys from a file.

A kind of key serves its own algorithms and no other, so that nobody can sign with a public key as
if it were a secret; `none` is no algorithm here. Keys can be changed while tokens are under way:
all secrets verify and the first one signs; the file is read again when it has changed.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
import structlog
from django.conf import settings as django_settings
from django.utils.crypto import salted_hmac
from jwt.algorithms import HMACAlgorithm
from msgspec import Struct

from realtime.engine.conf import settings
from realtime.engine.exceptions import InvalidToken, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

log = structlog.get_logger(__name__)

LONGEST = 16_384  # characters: a token is looked at before anybody is known
SHORTEST_SECRET_BYTES = 32
SHORTEST_RSA_BITS = 2048
LARGEST_FILE_BYTES = 1_048_576
HMAC = {"HS256": HMACAlgorithm.SHA256, "HS384": HMACAlgorithm.SHA384, "HS512": HMACAlgorithm.SHA512}
PUBLIC = ("RS256", "ES256")
SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
PURPOSE = "realtime.engine.keyring"


class _Hmac(HMACAlgorithm):
    def check_key_length(self, key: bytes) -> str | None:
        """Silent: a system check speaks of short secrets, once and not at each token."""


def _jws() -> jwt.PyJWS:
    jws = jwt.PyJWS(algorithms=PUBLIC)
    for name, digest in HMAC.items():
        jws.register_algorithm(name, _Hmac(digest))
    return jws


_JWS = _jws()


class _Header(Struct):
    alg: str
    kid: str = ""


def verified(token: str) -> bytes:
    """The payload of a token that one of the keys has signed; raises InvalidToken, Unavailable."""
    if len(token) > LONGEST or not SHAPE.fullmatch(token):
        raise InvalidToken("this is no token, or one that is too long")
    header = _header(token)
    for key in _keys(header):
        try:
            payload: bytes = _JWS.decode(token, key, algorithms=[header.alg])
        except (jwt.PyJWTError, ValueError):
            continue
        return payload
    raise InvalidToken("no key that is known here has signed the token")


def _header(token: str) -> _Header:
    text = token.partition(".")[0]
    try:
        return msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Header)
    except (ValueError, RecursionError) as error:
        raise InvalidToken("the token's header cannot be read") from error


def _keys(header: _Header) -> Sequence[Any]:
    if header.alg in HMAC:
        return secrets()
    if header.alg not in PUBLIC:
        raise InvalidToken("the token's algorithm is not accepted")
    if not settings.TOKEN_JWKS:
        return ()
    return [
        key.key
        for key in _file(settings.TOKEN_JWKS).current()
        if key.algorithm == header.alg and header.kid in {"", key.kid}
    ]


def signed(payload: bytes) -> str:
    """A token of this payload, signed by the first of `secrets`, of which there must be one."""
    return _JWS.encode(payload, secrets()[0], algorithm="HS256")


def secrets() -> list[bytes]:
    """The secrets of HMAC tokens; a program under development has one without being told."""
    given = [text.encode() for part in settings.TOKEN_SECRETS.split(",") if (text := part.strip())]
    if given or not django_settings.DEBUG:
        return given
    return [salted_hmac(PURPOSE, "HMAC tokens", algorithm="sha256").digest()]


# --- Public keys


class PublicKey(Struct, frozen=True):
    """`key`: as cryptography has it; `algorithm`: the only one that it serves."""

    kid: str
    algorithm: str
    key: Any


class _Jwk(Struct, omit_defaults=True):
    """A key of the file; private members are left unread."""

    kty: str
    kid: str = ""
    use: str = "sig"
    alg: str = ""
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""

    def algorithm(self) -> str:
        """The algorithm of ours that it serves, "" when none."""
        fitting = {("RSA", ""): "RS256", ("EC", "P-256"): "ES256"}.get((self.kty, self.crv), "")
        return fitting if self.use == "sig" and self.alg in {"", fitting} else ""


class _Jwks(Struct):
    keys: list[_Jwk]


def parse(text: bytes) -> tuple[PublicKey, ...]:
    """The keys of a JWKS that verify RS256 or ES256; raises ValueError when it has none."""
    try:
        found = msgspec.json.decode(text, type=_Jwks).keys
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    keys = tuple(_public(jwk) for jwk in found if jwk.algorithm())
    if not keys:
        raise ValueError("it holds no public key of type RSA or EC (P-256) for signatures")
    return keys


def _public(jwk: _Jwk) -> PublicKey:
    try:
        key = jwt.PyJWK(msgspec.to_builtins(jwk), jwk.algorithm()).key
    except (jwt.PyJWTError, ValueError) as error:
        raise ValueError(f'its key "{jwk.kid}" cannot be read') from error
    if jwk.kty == "RSA" and key.key_size < SHORTEST_RSA_BITS:
        raise ValueError(
            f'its key "{jwk.kid}" has {key.key_size} bits; RSA needs {SHORTEST_RSA_BITS}'
        )
    return PublicKey(jwk.kid, jwk.algorithm(), key)


def read(path: str) -> tuple[PublicKey, ...]:
    """Raises OSError and ValueError, with a message that can be shown."""
    with Path(path).open("rb") as file:
        text = file.read(LARGEST_FILE_BYTES + 1)
    if len(text) > LARGEST_FILE_BYTES:
        raise ValueError(f"it has more than {LARGEST_FILE_BYTES} bytes")
    return parse(text)


class KeyFile:
    """The keys of one JWKS file, as they were when it could last be read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._state: object = None
        self._keys: tuple[PublicKey, ...] | None = None
        self._fault = ""

    def current(self) -> tuple[PublicKey, ...]:
        """Raises Unavailable while it has never been read: the tokens may well be good."""
        state = self._look()
        if state is None or state != self._state:
            self._read(state)
        if self._keys is None:
            raise Unavailable("the public keys of tokens cannot be read now")
        return self._keys

    def _look(self) -> object:
        try:
            found = Path(self._path).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self, state: object) -> None:
        try:
            self._keys, fault = read(self._path), ""
            self._state = state
        except OSError as error:  # it is tried again for the next token
            fault = str(error)
        except ValueError as error:
            fault = str(error)
            self._state = state
        if fault and fault != self._fault:
            log.error("jwks.refused", path=self._path, reason=fault)
        elif not fault:
            log.info("jwks.read", path=self._path, keys=[key.kid for key in self._keys or ()])
        self._fault = fault


_file = lru_cache(maxsize=8)(KeyFile)
