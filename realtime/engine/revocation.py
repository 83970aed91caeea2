"""Who is concerned by a revocation, and who a session speaks for.

A revocation is a publication of `!control`. What it does not name for certain concerns everybody:
asking once too often is cheap, once too rarely is a leak. Source: correctness.md, section 7.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, load_backend
from django.utils.crypto import constant_time_compare

from realtime.engine import blocklist, history, people, pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from realtime.engine.members import Credential, Person

CONTROL = "!control"


@dataclass(frozen=True, slots=True)
class Event:
    """`kind`: user, session, sessions, namespace or everybody; `subject`: which one."""

    kind: str
    subject: str = ""


EVERYBODY = Event("everybody")


def parse(data: str) -> Event:
    """The event in the data of a control publication; what cannot be read concerns everybody."""
    try:
        body = json.loads(data)
        body = body.get("body", body)
        kind = body["kind"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return EVERYBODY
    if kind == "sessions":
        return Event(kind)
    if kind in {"user", "session", "namespace"} and isinstance(body.get(kind), str):
        return Event(kind, body[kind])
    return EVERYBODY


def concerns_person(event: Event, person: Person) -> bool:
    """Whether it must be asked again who the connection speaks for."""
    match event.kind:
        case "user":
            return bool(person.user) and person.user == event.subject
        case "session":
            return bool(person.session) and person.session == event.subject
        case "sessions":
            return bool(person.session)
        case "namespace":
            return False
    return True


def concerns_topic(event: Event, user: str, topic: str) -> bool:
    """Whether it must be asked again if `user` may read `topic`."""
    match event.kind:
        case "user":
            return bool(user) and user == event.subject
        case "session" | "sessions":
            return False
        case "namespace":
            return namespace_of(topic) == event.subject
    return True


def namespace_of(topic: str) -> str:
    namespace, colon, _ = topic.partition(":")
    return namespace if colon else ""


def digest(session_key: str) -> str:
    """What stands for a session key, which is a credential, in the log and in memory."""
    return hashlib.sha256(session_key.encode()).hexdigest() if session_key else ""


@dataclass(frozen=True, slots=True)
class Identities:
    """`users`: the id of the user, for each credential `asked` about that still speaks for one.

    `covers`: every revocation up to this offset was visible to the question.
    """

    asked: frozenset[Credential]
    users: Mapping[Credential, str]
    covers: int


def identify(credentials: Iterable[Credential]) -> Identities:
    """Ask the database anew who these speak for: session or token, user, active, password.

    Reads only. Django's own `get_user` would flush or cycle a session here.
    """
    covers = history.heads([CONTROL])[CONTROL].offset
    known: dict[tuple[str, str], Any] = {}
    asked = frozenset(credentials)
    good = asked - blocklist.refused(credential for credential in asked if credential.token_user)
    # a program may have a thousand connections, each by a token of its own
    subjects = {credential.token_user for credential in good} - {""}
    named = {subject: people.load_user(subject) for subject in subjects}
    users = {}
    for credential in good:
        if credential.token_user:
            user = named[credential.token_user]
        else:
            user = _user(_session(credential.session_key), known)
        if user is not None:
            users[credential] = str(user.pk)
    return Identities(asked, users, covers)


aidentify = pool.awaitable(identify)


def _session(key: str) -> dict[str, Any]:
    store = import_module(settings.SESSION_ENGINE).SessionStore(key)
    loaded: dict[str, Any] = store.load()
    return loaded


def _user(session: dict[str, Any], known: dict[tuple[str, str], Any]) -> Any:
    user_id, path = session.get(SESSION_KEY), session.get(BACKEND_SESSION_KEY)
    if user_id is None or path not in settings.AUTHENTICATION_BACKENDS:
        return None
    who = (path, str(user_id))
    if who not in known:
        known[who] = load_backend(path).get_user(user_id)
    user = known[who]
    if user is None or not user.is_active:
        return None
    kept = session.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user if any(constant_time_compare(kept, good) for good in hashes) else None
