"""What is ordered of a user's connections: read from the log, and carried out."""

from types import SimpleNamespace

import msgspec
import pytest

from realtime.engine import orders
from realtime.engine.members import Register
from realtime.protocol import codes
from realtime.protocol.codec import text
from realtime.protocol.messages import Dismissal, Publication
from tests.unit.engine.test_members import Reader

ALL = [
    orders.Disconnect(user="1", spared=("a",), code=4000, reason="later"),
    orders.Subscribe(user="1", client="a", topic="t:1", info="1", data="[]", since=("e", 2)),
    orders.Unsubscribe(user="1", session="d", topic="t:1"),
    orders.Expire(user="1", at=5),
    orders.Say(user="1", data='"é"'),
    orders.Forget("t:1"),
]


def publication(order, op="c"):
    body = order if isinstance(order, str) else msgspec.json.encode(order).decode()
    return Publication(1, text.row_data(op, "", body, None, 0), "", op, 1, 1)


@pytest.mark.parametrize("order", ALL)
def test_an_order_is_read_as_it_was_given(order):
    assert orders.read(publication(order)) == order


@pytest.mark.parametrize("order", ALL)
def test_what_somebody_published_is_no_order(order):
    assert orders.read(publication(order, op="p")) is None
    assert orders.read(publication(order, op="u")) is None


@pytest.mark.parametrize(
    "body",
    [
        '{"kind":"user","user":"1"}',
        '{"kind":"disconnect"}',
        '{"kind":"disconnect","user":1}',
        '{"kind":"disconnect","user":"1","code":1000,"reason":"a"}',
        '{"kind":"news","user":"1"}',
        "[]",
        "null",
    ],
)
def test_what_is_no_order_is_left_to_the_revocations(body):
    assert orders.read(publication(body)) is None


@pytest.mark.parametrize(("code", "reason"), [(2999, "a"), (5000, "a"), (4000, ""), (0, "a")])
def test_no_order_is_made_that_clients_could_not_read(code, reason):
    with pytest.raises(ValueError, match="code"):
        orders.Disconnect(user="1", code=code, reason=reason)


class Obedient(Reader):
    def __init__(self, user, client, session=""):
        super().__init__(user)
        self.person.grant.answered(0)
        self.client, self.session, self.done = client, session, []

    def __getattr__(self, name):
        return lambda *values: self.done.append((name, *values))


def obey(order, *readers, feeds=()):
    register = Register()
    for reader in readers:
        register.enter(reader)
    hub = SimpleNamespace(rights=SimpleNamespace(register=register), feeds=dict(feeds))
    orders.obey(order, hub)
    return [reader.done for reader in readers]


def test_an_order_is_for_its_user_alone():
    done = obey(orders.Say(user="1", data="1"), Obedient("1", "a"), Obedient("2", "b"))
    assert done == [[("say", "1")], []]


@pytest.mark.parametrize(
    ("words", "whom"),
    [
        ({}, "ab"),
        ({"client": "a"}, "a"),
        ({"session": "y"}, "b"),
        ({"client": "a", "session": "y"}, ""),
    ],
)
def test_it_may_name_a_client_or_a_session(words, whom):
    readers = Obedient("1", "a", "x"), Obedient("1", "b", "y")
    obey(orders.Unsubscribe(user="1", topic="t:1", **words), *readers)
    assert "".join(r.client for r in readers if r.done) == whom


def test_who_is_spared_stays():
    done = obey(orders.Disconnect(user="1", spared=("a",)), Obedient("1", "a"), Obedient("1", "b"))
    assert done == [[], [("disconnect", codes.Disconnect.FORCE)]]


def test_every_order_reaches_the_connection():
    own = orders.Disconnect(user="1", code=4500, reason="bye")
    assert obey(own, Obedient("1", "a")) == [[("disconnect", Dismissal(4500, "bye"))]]
    gift = orders.Subscribe(user="1", topic="t:1")
    assert obey(gift, Obedient("1", "a")) == [[("subscribe", gift)]]
    assert obey(orders.Expire(user="1"), Obedient("1", "a")) == [[("expire", None)]]


def test_a_topic_is_forgotten_where_somebody_listens():
    forgotten = []
    feed = SimpleNamespace(forget=lambda: forgotten.append(1))
    obey(orders.Forget("t:1"), feeds={"t:1": feed})
    obey(orders.Forget("t:2"), feeds={"t:1": feed})
    assert forgotten == [1]
