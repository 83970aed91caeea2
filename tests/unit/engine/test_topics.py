"""What a name means, and who may subscribe."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.sessions.models import Session

from realtime.engine import people, topics
from realtime.engine.exceptions import BadTopic, UnknownTopic


class Mail(topics.Topic):
    namespace = "mail"
    model = User
    name = "mail:#{id}"
    fields = ("id", "username")
    history = topics.History()

    def allows(self, user, *, id):  # noqa: A002
        return user.pk == id


class People(topics.Topic):
    namespace = "people"
    model = User
    name = ("people:{username}", "people:all")
    fields = ("id",)
    history = topics.Latest()
    anonymous = True

    def allows(self, user, *, username):
        if username == "trouble":
            raise RuntimeError("a mistake of the application")
        return True


class Chat(topics.Topic):
    namespace = "chat"
    name = "chat:{room}:#{a},{b}"

    def allows(self, user, **params):
        return True


class Plain(topics.Topic):
    namespace = ""
    name = "{anything}"


class Several(topics.Topic):
    namespace = "several"
    models = (User, Group)
    name = "several:{id}"
    fields = {User: ("username",), Group: ("name",)}
    operations = {Group: ("insert",)}


@pytest.fixture(autouse=True)
def declarations(monkeypatch):
    monkeypatch.setattr(topics, "_declared", [Mail(), People(), Chat(), Plain(), Several()])


def test_a_name_gives_its_columns_in_their_python_types():
    assert topics.match("mail:#42").params == {"id": 42}


def test_the_topic_of_the_revocations_is_nobodys(monkeypatch):
    class Greedy(topics.Topic):
        namespace = ""
        name = "!control"

    monkeypatch.setattr(topics, "_declared", [Greedy()])
    with pytest.raises(BadTopic):
        topics.match("!control")


def test_a_column_of_another_template_is_none():
    assert topics.match("people:all").params == {"username": None}
    assert topics.match("people:ada").params == {"username": "ada"}


def test_encoded_values_come_back_decoded():
    assert topics.match("people:a%3Ab%23%C3%A9").params == {"username": "a:b#é"}


def test_a_topic_without_a_model_has_texts():
    assert topics.match("chat:a:#1,2").params == {"room": "a", "a": "1", "b": "2"}


def test_a_name_without_a_colon_is_of_the_default_namespace():
    assert isinstance(topics.match("news").declaration, Plain)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "x" * 256,
            "people:é",
            "people:%c3%a9",
            "people:%41",
            "people:%FF",
            "people:a b",
            "people:a%00",
        ),
        *("mail:#042", "mail:#ada", "mail:#+4", "mail:#", "people:%"),
    ],
)
def test_a_name_that_is_not_canonical_is_refused(name):
    with pytest.raises(BadTopic):
        topics.match(name)


@pytest.mark.parametrize("name", ["nothing:1", "mail:42", "people:a:b", "chat:#1,2"])
def test_a_name_of_no_declared_form_is_unknown(name):
    with pytest.raises(UnknownTopic):
        topics.match(name)


def test_a_topic_is_limited_to_the_people_after_the_last_mark():
    assert topics.limited_to("chat:a:#1,2") == {"1", "2"}
    assert topics.limited_to("people:all") is None


def test_a_limited_topic_is_for_its_people_only():
    assert topics.authorise_now(User(id=1), topics.match("chat:a:#1,2"))
    assert not topics.authorise_now(User(id=3), topics.match("chat:a:#1,2"))
    assert not topics.authorise_now(AnonymousUser(), topics.match("chat:a:#1,2"))


def test_nobody_may_subscribe_unless_allows_says_so():
    assert not topics.authorise_now(User(id=1), topics.match("news"))


def test_a_visitor_needs_an_anonymous_namespace():
    assert topics.authorise_now(AnonymousUser(), topics.match("people:all"))
    assert not topics.authorise_now(AnonymousUser(), topics.match("mail:#1"))


def test_an_allows_that_fails_has_said_no():
    assert not topics.authorise_now(User(id=1), topics.match("people:trouble"))


def test_rows_come_from_the_log_from_the_model_or_from_an_own_snapshot():
    class Own(topics.Topic):
        def snapshot(self, user, **params):
            return User.objects.none()

    assert topics.has_rows(Mail())
    assert topics.has_rows(People())
    assert topics.has_rows(Own())
    assert not topics.has_rows(Chat())
    assert not topics.has_rows(Several())


def test_only_the_first_model_has_plain_keys():
    several = Several()
    assert topics.key_prefix(several, User) == ""
    assert topics.key_prefix(several, Group) == "group:"
    assert topics.fields_of(several, Group) == ("name",)
    assert topics.fields_of(several, Session) == ()
    assert topics.operations_of(several, Group) == ("insert",)
    assert topics.operations_of(several, User) == topics.OPERATIONS


@pytest.mark.django_db
def test_rows_are_keys_and_canonical_bodies():
    user = User.objects.create(username="ada")
    group = Group.objects.create(name="staff")
    found = topics.rows(Several(), [User.objects.all(), Group.objects.all()])
    assert found == [
        {"key": str(user.pk), "body": {"username": "ada"}},
        {"key": f"group:{group.pk}", "body": {"name": "staff"}},
    ]


@pytest.mark.django_db
def test_the_default_snapshot_is_newest_first_and_only_what_the_name_says():
    ada, grace = (User.objects.create(username=name) for name in ("ada", "grace"))
    assert [r["key"] for r in topics.rows(Mail(), Mail().snapshot(ada, id=ada.pk))] == [str(ada.pk)]
    everybody = topics.rows(People(), People().snapshot(ada, username=None))
    assert [row["key"] for row in everybody] == [str(grace.pk), str(ada.pk)]


@pytest.mark.django_db
def test_a_person_is_loaded_anew_and_must_be_active():
    ada = User.objects.create(username="ada")
    assert people.load_user(str(ada.pk)) == ada
    assert not people.load_user("").is_authenticated
    assert people.load_user("no number") is None
    User.objects.update(is_active=False)
    assert people.load_user(str(ada.pk)) is None


@pytest.fixture
def ada(transactional_db):
    return User.objects.create(username="ada")


@pytest.mark.django_db(transaction=True)
async def test_an_answer_says_what_it_covers(ada):
    answer = await topics.authorise(str(ada.pk), f"mail:#{ada.pk}")
    assert answer.allowed
    assert answer.covers >= 0
    assert not (await topics.authorise("", f"mail:#{ada.pk}")).allowed


def test_a_rule_is_asked_only_about_those_whom_the_name_does_not_exclude():
    """Whatever the rule says: of reading and of publishing alike."""

    def yes(user, **params):
        return True

    def says(user, name):
        return topics.permits(yes, user, topics.match(name))

    assert says(User(pk=42), "mail:#42")
    assert not says(User(pk=5), "mail:#42")
    assert not says(AnonymousUser(), "mail:#42")
    assert not says(AnonymousUser(), "several:1")
    assert says(AnonymousUser(), "people:all")
    assert says(people.Stranger("a,b"), "chat:x:#5,a%2Cb")
    assert not says(people.Stranger("5,6"), "chat:x:#5,6")
