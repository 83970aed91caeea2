"""With TOCSIN_ADMIN_MFA staff see nothing of theirs before the session has a second factor."""

import re
import time
from urllib.parse import unquote

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, reverse

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.either]
PASSWORD = "a-good-password"
SET_UP = "/accounts/2fa/totp/activate/?staff=1"
GIVE = "/accounts/2fa/reauthenticate/?next="


@pytest.fixture(autouse=True)
def _demanded(settings):
    settings.TOCSIN_ADMIN_MFA = settings.DEBUG = True
    cache.clear()  # the counts of the attempts of other tests


@pytest.fixture(autouse=True)
def clock():
    """A code is good for the half minute that it was made in."""
    with time_machine.travel("2026-11-27T12:00:00Z", tick=False) as clock:
        yield clock


@pytest.fixture
def boss():
    return User.objects.create_superuser("admin", password=PASSWORD)


def signed_in(name="admin"):
    client = Client()
    answer = client.post("/login/", {"login": name, "password": PASSWORD})
    assert answer.status_code == 302
    return client


def code_of(secret):
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def set_up(client):
    """Through the pages; the secret."""
    asked = client.get(SET_UP).url
    page = client.post(asked, {"password": PASSWORD}, follow=True)
    secret = page.context["form"].secret
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)})
    assert answer.url == "/accounts/2fa/recovery-codes/"
    return secret


def with_factor(name="admin"):
    client = signed_in(name)
    secret = set_up(client)
    assert client.post(f"{GIVE}/admin/", {"code": code_of(secret)}).url == "/admin/"
    return client


def staff_addresses():
    """Every address of the admin that takes no id, and one of each that does; the proof page's."""
    patterns = [p for p in admin.site.get_urls() if isinstance(p, URLPattern)]
    names = [f"admin:{p.name}" for p in patterns if p.name and "<" not in str(p.pattern)]
    lists = [
        f"admin:{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry
    ]
    found = {reverse(name) for name in names}
    found |= {reverse(f"{name}_changelist") for name in lists}
    found |= {reverse(f"{name}_change", args=[1]) for name in lists}
    found |= {"/admin/auth/user/1/password/", "/admin/nothing/", "/admin/engine/relay/"}
    return sorted(found | {"/proof/", "/proof/committed?trades=0&candles=0"})


def test_with_a_password_alone_staff_see_nothing_of_theirs(boss):
    client = signed_in()
    addresses = staff_addresses()
    assert len(addresses) > 30
    assert {address: client.get(address).headers.get("Location") for address in addresses} == (
        dict.fromkeys(addresses, SET_UP)
    )
    for address in ("/proof/ada/token", "/admin/auth/user/add/", "/admin/logout/"):
        assert client.post(address, {"username": "eve"}).status_code == 403
    assert User.objects.count() == 1
    assert client.get("/").status_code == 200, "what is everybody's stays open"


def test_who_has_set_one_up_gives_it_and_sees_all(boss):
    client = signed_in()
    secret = set_up(client)
    codes = client.get("/accounts/2fa/recovery-codes/").context["unused_codes"]
    assert len(codes) == 10
    assert client.get("/admin/auth/user/").url == f"{GIVE}/admin/auth/user/"
    wrong = client.post(f"{GIVE}/admin/auth/user/", {"code": "000000"})
    assert "Incorrect code" in wrong.content.decode()
    answer = client.post(f"{GIVE}/admin/auth/user/", {"code": code_of(secret)})
    assert answer.url == "/admin/auth/user/"
    for address in ("/admin/", "/admin/auth/user/", "/admin/engine/relay/", "/proof/"):
        assert client.get(address).status_code == 200


def test_who_has_one_is_asked_at_the_sign_in(boss, clock):
    secret = set_up(signed_in())
    clock.shift(30)
    client = signed_in()
    assert client.get("/admin/").url.startswith("/admin/login/"), "nobody is signed in yet"
    assert client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)}).status_code == 302
    assert client.get("/admin/").status_code == 200


def test_a_code_opens_once(boss, clock):
    secret = set_up(signed_in())
    clock.shift(30)
    code = {"code": code_of(secret)}
    assert signed_in().post("/accounts/2fa/authenticate/", code).status_code == 302
    seen = signed_in().post("/accounts/2fa/authenticate/", code)
    assert "Incorrect code" in seen.content.decode()


def test_a_recovery_code_stands_in_once(boss, clock):
    first = signed_in()
    set_up(first)
    code = {"code": first.get("/accounts/2fa/recovery-codes/").context["unused_codes"][0]}
    client = signed_in()
    client.post("/accounts/2fa/authenticate/", code)
    assert client.get("/admin/").status_code == 200
    again = signed_in().post("/accounts/2fa/authenticate/", code)
    assert "Incorrect code" in again.content.decode()


def test_codes_cannot_be_tried_without_end(boss):
    client = signed_in()
    set_up(client)
    for number in range(5):
        client.post(f"{GIVE}/admin/", {"code": f"{number:06}"})
    said = client.post(f"{GIVE}/admin/", {"code": "000005"}).content.decode()
    assert "Too many failed login attempts" in said


def test_having_one_is_not_enough_it_must_be_given_in_this_session(boss):
    other = signed_in()
    set_up(signed_in())
    assert other.get("/admin/").url == f"{GIVE}/admin/"


def test_a_factor_that_was_removed_opens_nothing_any_more(boss):
    client = with_factor()
    assert client.get("/admin/").status_code == 200
    Authenticator.objects.all().delete()
    assert client.get("/admin/").url == SET_UP


def test_one_persons_factor_does_not_count_for_the_next_in_the_browser(boss):
    User.objects.create_superuser("second", password=PASSWORD)
    client = with_factor()
    client.post("/logout/")
    client.post("/login/", {"login": "second", "password": PASSWORD})
    assert client.get("/admin/").url == SET_UP


def test_a_factor_is_set_up_only_by_who_gives_the_password_once_more(boss):
    client = signed_in()
    asked = client.get(SET_UP).url
    assert asked.startswith("/accounts/reauthenticate/?next=")
    assert "Incorrect password" in client.post(asked, {"password": "wrong"}).content.decode()
    assert client.get(SET_UP).url == asked
    assert client.post(asked, {"password": PASSWORD}).url == SET_UP
    assert client.get(SET_UP).status_code == 200


def test_people_who_are_no_staff_are_turned_away_as_before():
    User.objects.create_user("ada", password=PASSWORD)
    client = signed_in("ada")
    assert client.get("/admin/", follow=True).status_code == 403
    assert client.get("/proof/").status_code == 403
    last, _ = Client().get("/admin/", follow=True).redirect_chain[-1]
    assert unquote(last) == "/login/?next=/admin/"


def test_where_the_site_does_not_ask_a_password_is_enough(boss, settings):
    settings.TOCSIN_ADMIN_MFA = False
    client = signed_in()
    assert client.get("/admin/").status_code == 200
    assert client.get("/proof/").status_code == 200


def test_the_admin_shows_who_has_a_factor_and_never_its_secret(boss):
    client = with_factor()
    rows = Authenticator.objects.all()
    secrets = [row.data.get("secret") or row.data["seed"] for row in rows]
    assert len(secrets) == 2
    for row in rows:
        page = client.get(f"/admin/mfa/authenticator/{row.pk}/change/")
        assert page.status_code == 200
        text = page.content.decode()
        assert [secret for secret in secrets if secret in text] == []
    assert client.post("/admin/mfa/authenticator/add/", {}).status_code == 403


def test_the_pages_can_be_left_and_the_factor_removed(boss):
    client = with_factor()
    assert "Show the recovery codes" in client.get("/accounts/2fa/").content.decode()
    before = client.get("/accounts/2fa/recovery-codes/").context["unused_codes"]
    client.post("/accounts/2fa/recovery-codes/generate/")
    after = client.get("/accounts/2fa/recovery-codes/").context["unused_codes"]
    assert not set(before) & set(after)
    text = client.get("/accounts/2fa/recovery-codes/download/").content.decode()
    assert set(re.findall(r"\d{8}", text)) == set(after)
    client.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.exists()
    assert "Set up an app" in client.get("/accounts/2fa/").content.decode()
