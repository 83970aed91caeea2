"""What a request for a live connection says: who asks, from which page, in which form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from django.conf import settings
from django.http import parse_cookie

from realtime.engine import origins
from realtime.protocol.codec import binary, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime.protocol.codec.base import Codec

CODECS: dict[str, Codec] = {codec.NAME: codec for codec in (binary, text)}


class Handshake:
    """What the request says about who asks, and from which page."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._scope = scope
        self._headers = [(name.lower(), value.decode("latin1")) for name, value in scope["headers"]]
        self.offered = [name for name in scope.get("subprotocols", ()) if name]
        client = scope.get("client")
        self.address = str(client[0]) if client else ""

    def _all(self, name: bytes) -> list[str]:
        return [value for header, value in self._headers if header == name]

    @property
    def subprotocol(self) -> str | None:
        """Of those offered the one to speak; it must be echoed, and none that was not offered."""
        return next((name for name in CODECS if name in self.offered), None)

    @property
    def codec(self) -> Codec:
        asked = parse_qs(self._scope.get("query_string", b"").decode("latin1"))
        wants_binary = "protobuf" in [*asked.get("format", ()), *asked.get("cf_protocol", ())]
        return CODECS[self.subprotocol] if self.subprotocol else binary if wants_binary else text

    @property
    def scheme(self) -> str:
        name, value = settings.SECURE_PROXY_SSL_HEADER or ("", "")
        header = name.removeprefix("HTTP_").replace("_", "-").lower().encode()
        forwarded = bool(name) and self._all(header) == [value]
        return "https" if forwarded or self._scope.get("scheme") in {"wss", "https"} else "http"

    @property
    def acceptable(self) -> bool:
        if self.offered and self.subprotocol is None:
            return False
        hosts, found = self._all(b"host"), self._all(b"origin")
        if len(hosts) != 1 or not origins.known_host(hosts[0], settings.ALLOWED_HOSTS):
            return False
        return not found or origins.allowed(
            found, scheme=self.scheme, host=hosts[0], trusted=settings.CSRF_TRUSTED_ORIGINS
        )

    @property
    def _is_by_a_page(self) -> bool:
        """A page of the site, or of one it trusts, has asked; `acceptable` has judged its Origin.

        To its own site a browser sends no Origin with a GET, but this header, which no page can
        set: neither another site's nor, with "same-origin", a link from one.
        """
        fetched = self._all(b"sec-fetch-site")
        own = self._scope.get("type") == "http" and fetched == ["same-origin"]
        return bool(self._all(b"origin")) or own

    @property
    def session_key(self) -> str:
        """Of the cookie; where no page has asked it is nobody's word, and is not read."""
        if not self._is_by_a_page:
            return ""
        cookies = parse_cookie("; ".join(self._all(b"cookie")))
        key = str(cookies.get(settings.SESSION_COOKIE_NAME, ""))
        return key if key.isascii() and key.isprintable() else ""
