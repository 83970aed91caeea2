"""Whether a page of this origin may open a socket with the visitor's cookie.

Scheme, host and port must be those of the request, or stand in CSRF_TRUSTED_ORIGINS;
`ALLOWED_HOSTS = ["*"]` opens nothing. Channels' own validator compares the host alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.http.request import split_domain_port, validate_host

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


def parse(text: str) -> Origin | None:
    """Scheme, host and port; None for what is no origin of a page ("null", a list, a path …)."""
    try:
        parts = urlsplit(text)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return None
    if (
        port is None
        or not parts.hostname
        or text.lower() != f"{parts.scheme}://{parts.netloc}".lower()
    ):
        return None
    if "@" in parts.netloc or not text.isascii():
        return None
    return parts.scheme, parts.hostname, port


def known_host(host: str, allowed: Iterable[str]) -> bool:
    """The Host header names this site."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


def allowed(origins: Sequence[str], *, scheme: str, host: str, trusted: Iterable[str]) -> bool:
    """`origins`: every Origin header of the request, at least one; more than one is refused."""
    if len(origins) != 1 or (origin := parse(origins[0])) is None:
        return False
    return origin == parse(f"{scheme}://{host}") or any(_trusts(text, origin) for text in trusted)


def _trusts(text: str, origin: Origin) -> bool:
    trusted = parse(text.replace("://*.", "://"))
    if trusted is None or (trusted[0], trusted[2]) != (origin[0], origin[2]):
        return False
    if "://*." in text:
        return origin[1].endswith(f".{trusted[1]}")
    return origin == trusted
