"""Whom a revocation concerns."""

import json
from types import SimpleNamespace

import pytest

from realtime.engine import revocation
from realtime.engine.members import Credential, Person
from realtime.engine.revocation import CONTROL, EVERYBODY, Event
from realtime.protocol.messages import Position

ADA = Person("5", Credential("key"), revocation.digest("key"))
GUEST = Person()


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ({"kind": "user", "user": "5"}, Event("user", "5")),
        ({"kind": "session", "session": "ab"}, Event("session", "ab")),
        ({"kind": "sessions"}, Event("sessions")),
        ({"kind": "namespace", "namespace": ""}, Event("namespace", "")),
        ({"op": "c", "body": {"kind": "user", "user": "5"}}, Event("user", "5")),
        ({"kind": "everybody"}, EVERYBODY),
        ({"kind": "user"}, EVERYBODY),
        ({"kind": "user", "user": 5}, EVERYBODY),
        ({"kind": "news"}, EVERYBODY),
        ({"body": None}, EVERYBODY),
        ([], EVERYBODY),
    ],
)
def test_what_cannot_be_read_concerns_everybody(body, event):
    assert revocation.parse(json.dumps(body)) == event


def test_rubbish_concerns_everybody():
    assert revocation.parse("{") == EVERYBODY


@pytest.mark.parametrize(
    ("event", "person", "topic"),
    [
        (Event("user", "5"), True, True),
        (Event("user", "6"), False, False),
        (Event("session", ADA.session), True, False),
        (Event("session", "other"), False, False),
        (Event("sessions"), True, False),
        (Event("namespace", "inbox"), False, True),
        (Event("namespace", "news"), False, False),
        (EVERYBODY, True, True),
    ],
)
def test_an_event_concerns_whom_it_names(event, person, topic):
    assert revocation.concerns_person(event, ADA) is person
    assert revocation.concerns_topic(event, ADA.user, "inbox:#5") is topic


@pytest.mark.parametrize("event", [Event("user", ""), Event("session", ""), Event("sessions")])
def test_a_guest_has_nothing_to_sign_out_of(event):
    assert not revocation.concerns_person(event, GUEST)


def test_a_name_without_a_colon_is_of_the_default_namespace():
    assert revocation.concerns_topic(Event("namespace", ""), "5", "news")


def test_the_key_itself_is_not_kept():
    assert "key" not in ADA.session
    assert "key'" not in repr(ADA)
    assert revocation.digest("") == ""


def test_one_look_at_a_person_serves_all_tokens_of_theirs(monkeypatch):
    looked = []

    def load_user(user):
        looked.append(user)
        return None if user == "gone" else SimpleNamespace(pk=user)

    monkeypatch.setattr(revocation.history, "heads", lambda _: {CONTROL: Position("e", 3)})
    monkeypatch.setattr(revocation.blocklist, "refused", lambda _: set())
    monkeypatch.setattr(revocation.people, "load_user", load_user)
    whose = ("5", "5", "gone", "gone")
    tokens = [Credential(token_user=user, token_id=str(n)) for n, user in enumerate(whose)]
    found = revocation.identify(tokens)
    assert found.users == dict.fromkeys(tokens[:2], "5")
    assert sorted(looked) == ["5", "gone"]
