"""What is tried against the sign-in: guessing, asking who is there, a session made beforehand."""

import re
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache
from django.test import Client

from project.cache import Cache
from tests.processes import eventually, free_port, manage, running, status
from tests.realtime import environment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.either]
PASSWORD = "a-good-password"
TOO_MANY = "Too many failed login attempts"


@pytest.fixture(autouse=True)
def _nobody_has_tried():
    cache.clear()


@pytest.fixture
def ada():
    return User.objects.create_user("ada", "ada@example.org", PASSWORD)


def attempt(password, name="ada", client=None, **headers):
    form = {"login": name, "password": password}
    return (client or Client()).post("/login/", form, **headers)


def said(answer):
    return answer.content.decode()


def test_five_wrong_passwords_close_the_door_for_a_while_whoever_knocks(ada):
    with time_machine.travel("2026-11-27T12:00:00Z", tick=False) as clock:
        for number in range(5):
            assert "not correct" in said(
                attempt(f"wrong {number}", REMOTE_ADDR=f"192.0.2.{number}")
            )
        assert TOO_MANY in said(attempt(PASSWORD, REMOTE_ADDR="192.0.2.9"))
        assert "not correct" in said(attempt("wrong", "grace")), "others are not shut out"
        clock.shift(301)
        assert attempt(PASSWORD).status_code == 302


def test_another_host_or_port_is_no_other_door(ada, settings):
    settings.ALLOWED_HOSTS = [".example.org"]
    for number in range(5):
        attempt("wrong", HTTP_HOST=f"h{number}.example.org:{number + 1}")
    assert TOO_MANY in said(attempt(PASSWORD, HTTP_HOST="tocsin.example.org:9"))


def test_one_address_tries_ten_names_a_minute_and_no_more(ada):
    for number in range(10):
        assert "not correct" in said(attempt("wrong", f"name {number}"))
    assert TOO_MANY in said(attempt(PASSWORD))
    assert attempt(PASSWORD, REMOTE_ADDR="192.0.2.1").status_code == 302


def test_without_redis_a_process_counts_by_itself_and_forgets_in_time(ada, monkeypatch):
    alone = Cache("unix:///nowhere/redis.sock?db=0", {})
    alone.clear()
    monkeypatch.setattr("allauth.core.internal.ratelimit.cache", alone)
    with time_machine.travel("2026-11-27T12:00:00Z", tick=False) as clock:
        for number in range(5):
            assert "not correct" in said(attempt(f"wrong {number}"))
        assert TOO_MANY in said(attempt(PASSWORD))
        clock.shift(301)
        assert attempt(PASSWORD).status_code == 302


def knock(port, password):
    """As a browser: the form with its token, then what was typed into it."""
    url = f"http://127.0.0.1:{port}/login/"
    with urlopen(url, timeout=20) as form:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.read().decode())[1]
        cookie = form.headers["Set-Cookie"].partition(";")[0]
    fields = {"csrfmiddlewaretoken": token, "login": "ada", "password": password}
    asked = Request(url, urlencode(fields).encode(), {"Cookie": cookie})
    with urlopen(asked, timeout=20) as answer:
        return answer.read().decode()


def test_attempts_at_two_processes_are_counted_together(ada):
    ports = free_port(), free_port()
    commands = [manage("serve", "--workers", "1", "--port", str(port)) for port in ports]
    with running(*commands[0], **environment()), running(*commands[1], **environment()):
        for port in ports:
            eventually(lambda port=port: status(f"http://127.0.0.1:{port}/healthz") == 200)
        for number in range(5):
            assert "not correct" in knock(ports[number % 2], f"wrong {number}")
        assert TOO_MANY in knock(ports[0], PASSWORD)
        assert TOO_MANY in knock(ports[1], PASSWORD)


def test_nobody_learns_who_is_there(ada):
    def bare(answer):
        text = re.sub(r'(value|nonce)="[^"]*"', "", said(answer))
        return answer.status_code, text

    assert bare(attempt("wrong")) == bare(attempt("wrong", "nobody"))
    asked = [
        Client().post("/accounts/password/reset/", {"email": email}, follow=True)
        for email in ("ada@example.org", "nobody@example.org")
    ]
    assert bare(asked[0]) == bare(asked[1])
    assert [m.to for m in mail.outbox if "/reset/key/" in m.body] == [["ada@example.org"]]


def test_who_is_switched_off_is_told_so_only_with_the_password(ada):
    ada.is_active = False
    ada.save()
    assert "not correct" in said(attempt("wrong"))


def test_a_session_prepared_beforehand_is_not_the_one_that_signs_in(ada):
    client = Client()
    client.session.save()  # the attacker's, whose key the visitor was given
    given = client.cookies["sessionid"].value
    assert attempt(PASSWORD, client=client).status_code == 302
    assert client.cookies["sessionid"].value != given
    thief = Client()
    thief.cookies["sessionid"] = given
    assert thief.get("/").status_code == 302


def test_no_script_reads_the_cookie_of_a_session_and_no_other_site_sends_it(ada):
    cookie = attempt(PASSWORD).cookies["sessionid"]
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"


def test_a_sign_out_leaves_no_session(ada):
    client = Client()
    attempt(PASSWORD, client=client)
    kept = client.cookies["sessionid"].value
    client.post("/logout/")
    thief = Client()
    thief.cookies["sessionid"] = kept
    assert thief.get("/").status_code == 302


def test_nobody_is_signed_in_or_out_by_another_site(ada):
    client = Client(enforce_csrf_checks=True)
    assert attempt(PASSWORD, client=client).status_code == 403
    client.force_login(ada, "django.contrib.auth.backends.ModelBackend")
    assert client.post("/logout/").status_code == 403
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/login/", "/accounts/signup/", "/", "/admin/"])
def test_a_host_that_is_not_ours_is_refused(settings, path):
    settings.ALLOWED_HOSTS = ["tocsin.example"]
    assert Client().get(path, HTTP_HOST="evil.example").status_code == 400
    forwarded = {"HTTP_X_FORWARDED_HOST": "evil.example"}
    answer = Client().get(path, HTTP_HOST="tocsin.example", **forwarded)
    assert "evil.example" not in said(answer) + answer.get("Location", "")


def test_after_signing_in_nobody_is_sent_to_another_site(ada):
    for elsewhere in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        form = {"login": "ada", "password": PASSWORD, "next": elsewhere}
        assert Client().post("/login/", form).url == "/"


def test_there_is_no_sign_up():
    form = {"username": "eve", "password1": "a-long-enough-1", "password2": "a-long-enough-1"}
    answer = Client().post("/accounts/signup/", form)
    assert "There is no sign-up here" in said(answer)
    assert not User.objects.exists()
