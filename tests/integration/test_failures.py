"""A page that fails says what answered; a database that is away is no fault of the page."""

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fail(monkeypatch):
    def with_(error):
        def view(*_, **__):
            raise error

        monkeypatch.setattr("django.template.response.TemplateResponse.render", view)
        return Client(raise_request_exception=False)

    return with_


def test_without_its_database_a_page_answers_503_and_tries_again(fail):
    client = fail(OperationalError("the connection is closed"))
    answer = client.get("/login/?next=/inbox/")
    assert answer.status_code == 503
    assert (answer["Retry-After"], answer["Refresh"], answer["Cache-Control"]) == (
        *("5", "5"),
        "no-store",
    )
    text = answer.content.decode()
    assert "The database does not answer" in text
    assert 'href="/login/?next=/inbox/"' in text
    assert "the connection is closed" not in text


def test_what_was_sent_is_not_sent_again_by_itself(fail):
    answer = fail(OperationalError("gone")).post("/login/", {"login": "ada", "password": "x"})
    assert answer.status_code == 503
    assert "Refresh" not in answer


def test_a_fault_of_the_page_is_500(fail):
    answer = fail(ValueError("a fault")).get("/login/")
    assert answer.status_code == 500
    assert "Something failed on the server" in answer.content.decode()


@pytest.mark.parametrize("debug", [False, True])
def test_a_wrong_address_gets_the_sites_own_page(settings, debug):
    settings.DEBUG = debug
    client = Client()
    client.force_login(User.objects.create_user("ada"))
    for path in ("/nothing/here/", "/market/NOPE/"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "There is nothing here" in answer.content.decode()
