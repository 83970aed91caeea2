"""`python -m project.probe URL`: exit 0 where it answers 200; for health checks of containers.

It asks as a proxy would: for a host that is allowed, and as if by https.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 5


def asked(url: str, host: str | None = None) -> str:
    """The status of an HTTP answer with the beginning of its text, or why there is none."""
    headers = {"X-Forwarded-Proto": "https"} | ({"Host": host} if host else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  (an operator's address)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(300).decode(errors='replace').strip()}"
    except OSError as error:
        return f"nothing ({error})"


if __name__ == "__main__":
    allowed = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip()
    said = asked(sys.argv[1], allowed or None)
    if said != "200":
        sys.exit(f"{sys.argv[1]} answers {said}")
