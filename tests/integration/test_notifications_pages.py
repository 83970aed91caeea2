"""The pages of notifications as served: complete without scripts, closed to others."""

import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client

from realtime.notifications import actions
from realtime.notifications.models import Notification, Receipt

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _plain_http(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", "ada@example.org", "a-good-password")


@pytest.fixture
def client(ada):
    client = Client()
    client.force_login(ada, "django.contrib.auth.backends.ModelBackend")
    return client


def told(user, title="Told", **fields):
    return Notification.objects.create(recipient=user, title=title, **fields)


def text(response):
    assert response.status_code == 200
    return response.content.decode()


def data(page, name):
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', page)
    return json.loads(found[1])


@pytest.mark.parametrize("path", ["/", "/inbox/"])
def test_a_stranger_is_sent_to_the_sign_in(path):
    response = Client().get(path)
    assert (response.status_code, response["Location"]) == (302, f"/login/?next={path}")
    assert Client().post("/inbox/read/", {"key": "1"})["Location"].startswith("/login/")


def test_the_sign_in_opens_the_overview_and_the_sign_out_closes_it(ada):
    client = Client()
    assert "Sign in to Tocsin" in text(client.get("/login/"))
    wrong = text(client.post("/login/", {"login": "ada", "password": "wrong"}))
    assert 'role="alert"' in wrong
    response = client.post("/login/", {"login": "ada", "password": "a-good-password"})
    assert response["Location"] == "/"
    assert "Commit to this screen" in text(client.get("/"))
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_the_inbox_is_complete_as_served_and_says_where_it_stands(client, ada):
    told(ada, "An <b>unread</b> one", kind="alert")
    told(ada, "A read one", read_at="2026-01-02T03:04:05Z")
    actions.announce("To everybody")
    page = text(client.get("/inbox/"))
    assert "An &lt;b&gt;unread&lt;/b&gt; one" in page
    assert "A read one" in page
    assert "To everybody" in page
    frame = data(page, "frame")
    assert frame["inbox"]["topic"] == f"inbox:#{ada.pk}"
    assert frame["inbox"]["counts"] == {"unread": 1, "unseen": 0}
    assert frame["inbox"]["epoch"]
    assert len(data(page, "inbox-rows")) == 2
    assert '<span data-count="unread" data-zero="0">2</span>' in page


def test_opening_the_inbox_marks_seen_and_not_read_and_a_look_does_neither(client, ada):
    row = told(ada)
    client.get("/inbox/", headers={"Sec-Purpose": "prefetch"})
    assert [client.head(path).status_code for path in ("/", "/inbox/")] == [200, 200]
    row.refresh_from_db()
    assert row.seen_at is None
    assert 'aria-label="Notifications, 1 new"' in text(client.get("/"))
    client.get("/inbox/")
    row.refresh_from_db()
    assert (row.seen_at is not None, row.read_at) == (True, None)
    assert 'aria-label="Notifications"' in text(client.get("/"))


def test_each_view_shows_its_own(client, ada):
    told(ada, "Is unread")
    told(ada, "Is read", read_at="2026-01-02T03:04:05Z")
    told(ada, "Is archived", archived_at="2026-01-02T03:04:05Z")

    def shown(view):
        page = text(client.get("/inbox/", {"view": view}))
        return re.findall(r'row-title">(Is \w+)<', page)

    assert shown("all") == ["Is read", "Is unread"]
    assert shown("unread") == ["Is unread"]
    assert shown("archived") == ["Is archived"]
    assert shown("nonsense") == shown("all")


def test_a_button_works_without_scripts_and_leads_back(client, ada):
    row = told(ada)
    back = {"key": row.pk, "next": "/inbox/?view=unread"}
    assert client.post("/inbox/read/", back)["Location"] == "/inbox/?view=unread"
    row.refresh_from_db()
    assert row.read_at
    for url in ("https://evil.example/", "//evil.example", ""):
        assert client.post("/inbox/unread/", {"key": row.pk, "next": url})["Location"] == "/inbox/"


def test_a_script_gets_the_ids_that_changed(client, ada):
    row = told(ada)
    response = client.post(
        "/inbox/archive/", {"key": row.pk}, headers={"Accept": "application/json"}
    )
    assert response.json() == {"ids": [row.pk]}


def test_another_persons_row_stays_as_it_was(client):
    grace = get_user_model().objects.create_user("grace")
    row = told(grace, "Hers")
    for verb in ("read", "archive", "seen", "read-all"):
        client.post(f"/inbox/{verb}/", {"key": row.pk})
    row.refresh_from_db()
    assert (row.seen_at, row.read_at, row.archived_at) == (None, None, None)
    assert "Hers" not in text(client.get("/inbox/", {"open": row.pk}))


@pytest.mark.parametrize("key", ["x", "-1", "9" * 40, "1 OR 1=1", "announcement:", "²", ""])
def test_a_key_that_is_none_changes_nothing(client, ada, key):
    row = told(ada)
    assert client.post("/inbox/read/", {"key": key}).status_code == 302
    row.refresh_from_db()
    assert row.read_at is None


def test_all_read_takes_what_the_page_named(client, ada):
    shown = told(ada, "Shown")
    announcement = actions.announce("Shown, too")
    told(ada, "Arrived meanwhile")
    actions.announce("This one, too")
    client.post(
        "/inbox/read-all/", {"known": "", "key": str(shown.pk), "number": announcement.number}
    )
    unread = re.findall(r'row unread.*?row-title">(.*?)<', text(client.get("/inbox/")), re.DOTALL)
    assert sorted(unread) == ["Arrived meanwhile", "This one, too"]


def test_all_unread_takes_what_is_not_archived_and_the_persons_own(client, ada):
    read, archived = told(ada, "Read"), told(ada, "Archived")
    hers = told(get_user_model().objects.create_user("grace"), "Hers")
    for row in (read, archived, hers):
        actions.mark_read(row.recipient, [row.pk])
    actions.archive(ada, [archived.pk])
    client.post("/inbox/unread-all/")
    for row, unread in ((read, True), (archived, False), (hers, False)):
        row.refresh_from_db()
        assert (row.read_at is None) == unread


def test_an_announcement_is_read_by_its_key(client, ada):
    announcement = actions.announce("News", url="https://example.org/")
    assert "News" in text(client.get("/"))
    client.post("/inbox/read/", {"key": f"announcement:{announcement.pk}"})
    assert Receipt.objects.filter(recipient=ada, announcement=announcement).exists()
    assert "data-banner hidden" in text(client.get("/"))


def test_an_empty_inbox_offers_a_test(client):
    page = text(client.get("/inbox/"))
    assert re.search(r'data-empty="first"\s*>', page)
    client.post("/inbox/test/")
    assert "This is a test" in text(client.get("/inbox/"))


def test_a_link_that_sql_wrote_is_not_followed(client, ada):
    row = told(ada, url="javascript:alert(1)")
    page = text(client.get("/inbox/", {"open": row.pk}))
    assert 'href="javascript' not in page


def test_no_page_holds_an_inline_script_style_or_handler(client, ada):
    told(ada)
    for path in ("/", "/inbox/", "/login/"):
        response = client.get(path) if path != "/login/" else Client().get(path)
        page = text(response)
        scripts = re.findall(r"<script(?![^>]*(?:src=|application/json|importmap))[^>]*>", page)
        assert (scripts, re.findall(r"\sstyle=|\son\w+=", page)) == ([], [])
        assert "unsafe" not in response["Content-Security-Policy"]


POLICY = {
    "default-src": {"'self'"},
    "style-src": {"'self'"},
    "connect-src": {"'self'"},
    "img-src": {"'self'", "data:"},
    "object-src": {"'none'"},
    "base-uri": {"'none'"},
    "form-action": {"'self'"},
    "frame-ancestors": {"'none'"},
}


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/inbox/", "/market/", "/login/", "/logout/", "/nothing/", "/admin/", "/healthz"),
        *("/accounts/2fa/", "/accounts/password/change/", "/accounts/email/", "/api/nothing"),
    ],
)
def test_every_answer_has_the_strict_policy_and_only_the_admin_evaluates(client, ada, path):
    ada.is_staff = ada.is_superuser = True
    ada.save()
    answer = client.get(path, follow=True)
    said = [words.split() for words in answer["Content-Security-Policy"].split(";")]
    policy = {name: set(values) for name, *values in said}
    scripts = policy.pop("script-src")
    if path == "/admin/":
        assert "'unsafe-eval'" in scripts
        assert policy.pop("style-src") == {"'self'", "'unsafe-inline'"}
        scripts.remove("'unsafe-eval'")
    assert {word for word in scripts if not word.startswith("'nonce-")} == {"'self'"}
    assert policy == {name: POLICY[name] for name in policy}
    assert len(policy) >= len(POLICY) - 1
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_private_pages_are_not_kept_by_the_browser(client):
    assert "no-store" in client.get("/inbox/")["Cache-Control"]


def test_a_password_is_changed_and_another_device_is_signed_out(client, ada):
    other = Client()
    other.force_login(ada, "django.contrib.auth.backends.ModelBackend")
    fields = {"oldpassword": "a-good-password", "password1": "an-even-better-one"}
    assert "Change password" in text(client.get("/accounts/password/change/"))
    client.post("/accounts/password/change/", {**fields, "password2": "an-even-better-one"})
    ada.refresh_from_db()
    assert ada.check_password("an-even-better-one")
    assert client.get("/").status_code == 200
    assert other.get("/").status_code == 302


def test_a_forgotten_password_is_set_anew_by_mail(ada):
    client = Client()
    assert "Reset your password" in text(client.get("/accounts/password/reset/"))
    sent = client.post("/accounts/password/reset/", {"email": "ada@example.org"}, follow=True)
    assert "Look into your mail" in text(sent)
    link = re.search(r"https?://[^/]+(/\S+)", mail.outbox[0].body)[1]
    form = client.get(link, follow=True)
    assert "Choose a new password" in text(form)
    new = {"password1": "an-even-better-one", "password2": "an-even-better-one"}
    done = client.post(form.request["PATH_INFO"], new, follow=True)
    assert "Password changed" in text(done)
    ada.refresh_from_db()
    assert ada.check_password("an-even-better-one")
    assert "This link no longer works" in text(client.get(link, follow=True))


def test_pages_for_what_is_not_there_say_so(client):
    assert "There is nothing here" in client.get("/nowhere/").content.decode()
    checked = Client(enforce_csrf_checks=True).post("/login/", {})
    assert (checked.status_code, "out of date" in checked.content.decode()) == (403, True)
