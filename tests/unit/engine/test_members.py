"""Who listens, found by whatever a revocation names; and what one member is handed."""

from types import SimpleNamespace

from realtime.engine.frames import Pushes, Slot, Style
from realtime.engine.members import Credential, Grant, Member, Person, Register, nobody
from realtime.protocol.messages import ClientInfo, Publication


class Reader:
    def __init__(self, user, session=""):
        self.person = Person(user, Credential(session) if session else None, session)
        self.client, self.info = f"client of {user}", None
        self.got = []

    def push(self, pushes, style=Style.PLAIN):
        self.got.append((style, [slot.offset for slot in pushes.slots]))


def register(*readers):
    found = Register()
    for reader in readers:
        found.enter(reader)
    return found


def pushes(*offsets):
    return Pushes([Slot("t:1", Publication(n, "{}", None, "u", n, 0)) for n in offsets])


def test_an_answer_counts_if_it_has_seen_the_last_revocation():
    grant = Grant()
    assert not grant.clear
    grant.raise_to(5)
    assert not grant.answered(4)
    assert grant.answered(5)
    grant.raise_to(3)
    assert grant.clear
    grant.raise_to(6)
    assert not grant.clear


def test_an_older_answer_takes_nothing_back():
    grant = Grant(needs=5, covers=7)
    assert grant.answered(2)


def test_who_has_nothing_to_lose_is_always_clear():
    person = nobody()
    person.grant.raise_to(10**9)
    assert person.grant.clear


def test_a_member_is_clear_when_it_and_its_person_are():
    reader = Reader("1")
    member = Member(reader, "t:1", grant=Grant(covers=0))
    assert not member.clear
    reader.person.grant.answered(0)
    assert member.clear


def test_the_key_of_a_session_is_in_no_line_of_a_log():
    assert "secret" not in repr(Person("1", Credential("secret")))


def test_readers_are_found_by_user_and_by_session():
    ada, tablet, grace = Reader("1", "s1"), Reader("1", "s2"), Reader("2", "s3")
    found = register(ada, tablet, grace)
    assert set(found.readers(user="1")) == {ada, tablet}
    assert found.readers(session="s2") == [tablet]
    assert set(found.readers()) == {ada, tablet, grace}
    assert found.readers(user="3") == found.readers(session="s9") == []
    assert len(found) == 3
    assert grace in found


def test_members_are_found_by_reader_topic_and_right():
    ada, tablet = Reader("1", "s1"), Reader("1", "s2")
    found = register(ada, tablet)
    one, two, other = Member(ada, "a"), Member(tablet, "a"), Member(ada, "b")
    for member in (one, two, other):
        found.add(member)
    assert set(found.holders("1", "a")) == {one, two}
    assert set(found.rights()) == {("1", "a"), ("1", "b")}
    assert found.member(ada, "b") is other
    assert set(found.members(ada)) == {one, other}


def test_whoever_leaves_is_found_no_more():
    ada = Reader("1", "s1")
    found = register(ada)
    members = [Member(ada, "a"), Member(ada, "b")]
    for member in members:
        found.add(member)
    assert found.leave(ada) == members
    assert ada not in found
    assert found.readers(user="1") == found.readers(session="s1") == found.rights() == []
    assert found.leave(ada) == []
    assert found.member(ada, "a") is None


def test_a_former_member_of_a_topic_takes_nothing_from_the_present_one():
    ada = Reader("1")
    found = register(ada)
    former, present = Member(ada, "a"), Member(ada, "a")
    found.add(former)
    found.add(present)
    found.remove(former)
    assert found.member(ada, "a") is present
    assert found.holders("1", "a") == [present]


def test_only_who_has_a_credential_can_be_asked_about_again():
    known, stranger = Reader("1", "s1"), Reader("")
    assert list(register(known, stranger).known()) == [known]


def test_others_see_who_a_member_is():
    member = Member(Reader("1"), "a", info='{"seat":4}')
    assert member.client_info == ClientInfo("client of 1", "1", None, '{"seat":4}')


def test_data_is_said_as_it_is():
    reader = Reader("1")
    Member(reader, "a").hand(pushes(1, 2))
    assert reader.got == [(Style.PLAIN, [1, 2])]


def test_for_differences_the_first_is_said_whole():
    reader = Reader("1")
    member = Member(reader, "a", deltas=True)
    member.hand(pushes(1, 2, 3))
    member.hand(pushes(4))
    assert reader.got == [(Style.WHOLE, [1]), (Style.DELTA, [2, 3]), (Style.DELTA, [4])]
    alone = Member(Reader("1"), "a", deltas=True)
    alone.hand(pushes(1))
    assert alone.reader.got == [(Style.WHOLE, [1])]


def test_what_no_log_keeps_is_the_base_of_no_difference():
    reader = Reader("1")
    member = Member(reader, "a", deltas=True)
    member.hand(pushes(1))
    member.pass_on(pushes(0))
    member.hand(pushes(2))
    assert [style for style, _ in reader.got] == [Style.WHOLE, Style.DELTA, Style.WHOLE]


def test_two_of_the_same_words_are_two_members():
    reader = SimpleNamespace(person=nobody())
    assert Member(reader, "a") != Member(reader, "a")
