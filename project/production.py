"""What production demands of the environment before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHORTEST_KEY = 50  # as `check --deploy` has it (security.W009)
FEWEST_CHARACTERS = 5
OWN_MACHINE = frozenset({"localhost", "127.0.0.1", "[::1]"})


def demand(
    environment: Mapping[str, str], secret_key: str, hosts: Sequence[str], *, plain_http: bool
) -> None:
    """Raises ImproperlyConfigured, naming all that is missing or insecure and what to write."""
    problems = []
    if (
        len(secret_key) < SHORTEST_KEY
        or len(set(secret_key)) < FEWEST_CHARACTERS
        or "insecure" in secret_key
    ):
        problems.append(
            f"SECRET_KEY is missing or weak: at least {SHORTEST_KEY} random characters, for "
            "example from `python3 -c 'import secrets; print(secrets.token_urlsafe(50))'`"
        )
    if not hosts or "*" in hosts:
        problems.append(
            "ALLOWED_HOSTS must name the hosts this site answers for, separated by commas; "
            "'*' is refused"
        )
    if plain_http and not OWN_MACHINE.issuperset(hosts):
        problems.append(
            "PLAIN_HTTP sends passwords and sessions unencrypted: it is for ALLOWED_HOSTS of this "
            f"machine alone ({', '.join(sorted(OWN_MACHINE))})"
        )
    problems += [
        f"{name} is missing: {example}"
        for name, example in (
            ("DATABASE_URL", "postgres://user:password@host/name, or sqlite:////path/to/file"),
            ("REDIS_URL", "redis://host:6379/0"),
        )
        if not environment.get(name)
    ]
    if problems:
        raise ImproperlyConfigured(
            "With DEBUG off Tocsin does not start like this:\n- "
            + "\n- ".join(problems)
            + "\nEvery variable is explained in docs/reference/settings.md."
        )
