"""What a request about a user's connections means for the hubs."""

import time

import pytest
from msgspec import Raw

from realtime.engine import orders, requests, revocation, topics
from realtime.engine.exceptions import BadRequest, NotAvailable, UnknownTopic
from realtime.engine.ordering import order
from realtime.protocol.codes import Disconnect


class Room(topics.Topic):
    namespace = "room"
    name = "room:{name}"


@pytest.fixture(autouse=True)
def _declared(monkeypatch):
    monkeypatch.setattr(topics, "_declared", [Room()])


def test_who_is_meant_is_said_without_the_secret_of_a_session():
    given = order(requests.Disconnect(user="1", client="c", session="secret", whitelist=["d"]))
    digest = revocation.digest("secret")
    assert given == orders.Disconnect(user="1", client="c", session=digest, spared=("d",))
    assert order(requests.Disconnect(user="1")) == orders.Disconnect(user="1")


def test_a_disconnect_may_have_its_own_words():
    own = requests.Disconnect(user="1", disconnect=requests.Reason(4000, "later"))
    assert order(own) == orders.Disconnect(user="1", code=4000, reason="later")
    none = requests.Disconnect(user="1", disconnect=requests.Reason())
    assert order(none) == orders.Disconnect(user="1")
    with pytest.raises(ValueError, match="code"):
        order(requests.Disconnect(user="1", disconnect=requests.Reason(1000, "a")))


def test_a_subscription_is_given_with_what_belongs_to_it():
    asked = requests.Subscribe(
        user="1",
        channel="room:a",
        info=Raw(b'{"a": 1}'),
        b64data="WzFd",
        recover_since=requests.Where(3, "e"),
    )
    assert order(asked) == orders.Subscribe(
        user="1", topic="room:a", info='{"a": 1}', data="[1]", since=("e", 3)
    )
    plain = order(requests.Subscribe(user="1", channel="room:a"))
    assert plain == orders.Subscribe(user="1", topic="room:a")


def test_what_cannot_be_given_is_refused():
    for words, error in (
        ({"channel": "nowhere:a"}, UnknownTopic),
        ({"channel": "room:a", "override": {"presence": {"value": True}}}, NotAvailable),
        ({"channel": "room:a", "b64info": "/w=="}, BadRequest),
    ):
        with pytest.raises(error):
            order(requests.Subscribe(user="1", **words))
    with pytest.raises(UnknownTopic):
        order(requests.Unsubscribe(user="1", channel="nowhere:a"))


def test_a_refresh_ends_a_connection_now_later_or_never():
    over = orders.Disconnect(
        user="1", code=Disconnect.EXPIRED.number, reason=Disconnect.EXPIRED.text
    )
    assert order(requests.Refresh(user="1", expired=True)) == over
    assert order(requests.Refresh(user="1", expire_at=1)) == over
    later = int(time.time()) + 1000
    assert order(requests.Refresh(user="1", expire_at=later)) == orders.Expire(user="1", at=later)
    assert order(requests.Refresh(user="1", expire_at=0)) == orders.Expire(user="1")
    assert order(requests.Refresh(user="1")) == orders.Expire(user="1")
