"""Keys of the server API: made once, kept as a hash, gone when revoked; admin and command."""

import datetime as dt
import hashlib
import io
import re

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.utils import timezone

from realtime.engine import keys
from realtime.engine.models import ApiKey

pytestmark = pytest.mark.django_db
ADD = "/admin/engine/apikey/add/"
LIST = "/admin/engine/apikey/"


@pytest.fixture
def boss(client):
    person = User.objects.create_superuser("admin")
    client.force_login(person)
    return person


def test_a_key_is_found_by_its_text_alone():
    row, text = keys.make("shop", ["publish"], ["chat:"])
    assert keys.find(text) == keys.Key(row.pk, frozenset({"publish"}), ("chat:",))
    for wrong in ("", text[:-1], text.upper(), row.digest, "é\x00", "\ud800"):
        assert keys.find(wrong) is None


def test_only_a_hash_and_the_first_letters_are_kept():
    row, text = keys.make("shop", ["publish"])
    [kept] = ApiKey.objects.values_list()
    assert len(text) >= 43
    assert text not in str(kept)
    assert row.digest == hashlib.sha256(text.encode()).hexdigest()
    assert len(row.start) <= 10


def test_no_two_keys_are_the_same():
    assert len({keys.make("shop", ["publish"])[1] for _ in range(20)}) == 20


def test_a_revoked_key_opens_nothing():
    row, text = keys.make("shop", ["publish"])
    assert keys.revoke(ApiKey.objects.filter(pk=row.pk)) == 1
    assert keys.find(text) is None
    assert keys.revoke(ApiKey.objects.filter(pk=row.pk)) == 0


def test_its_use_is_noted_at_most_once_a_minute(django_assert_num_queries):
    row, text = keys.make("shop", ["publish"])
    with django_assert_num_queries(2):
        keys.find(text)
    with django_assert_num_queries(1):
        keys.find(text)
    ApiKey.objects.update(last_used_at=timezone.now() - dt.timedelta(seconds=61))
    keys.find(text)
    row.refresh_from_db()
    assert timezone.now() - row.last_used_at < dt.timedelta(seconds=30)


# --- The admin


def made(client, **fields):
    return client.post(ADD, {"name": "shop", "methods": ["publish"], "topics": "", **fields})


def test_an_administrator_sees_a_new_key_once(client, boss):
    answer = made(client, methods=["publish", "history"], topics="chat:\n news:")
    [text] = re.findall(r"tocsin_[\w-]{43}", answer.content.decode())
    key = keys.find(text)
    assert key.methods == {"publish", "history"}
    assert key.prefixes == ("chat:", "news:")
    assert "no-store" in answer["Cache-Control"]
    page = client.get(f"{LIST}{key.id}/change/").content.decode()
    assert text not in page
    assert text not in client.get(LIST).content.decode()
    assert ApiKey.objects.get().created_by == boss


@pytest.mark.parametrize("wrong", [{"name": ""}, {"methods": []}, {"methods": ["everything"]}])
def test_a_key_for_nothing_is_not_made(client, boss, wrong):
    assert made(client, **wrong).status_code == 200
    assert not ApiKey.objects.exists()


def test_an_administrator_revokes_a_key(client, boss):
    row, text = keys.make("shop", ["publish"])
    client.post(LIST, {"action": "revoke", "_selected_action": [row.pk]})
    assert keys.find(text) is None
    assert "Revoked" in client.get(LIST).content.decode()


def test_a_key_is_neither_changed_nor_deleted(client, boss):
    row, _ = keys.make("shop", ["publish"])
    client.post(f"{LIST}{row.pk}/change/", {"name": "other", "methods": ["info"]})
    client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"})
    kept = ApiKey.objects.get(pk=row.pk)
    assert (kept.name, kept.methods) == ("shop", ["publish"])


def test_staff_without_the_permission_make_none(client):
    person = User.objects.create_user("operator", is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client.force_login(person)
    row, text = keys.make("shop", ["publish"])
    assert made(client).status_code == 403
    client.post(LIST, {"action": "revoke", "_selected_action": [row.pk]})
    assert keys.find(text) is not None


# --- The command


def apikey(*arguments):
    said = io.StringIO()
    call_command("apikey", *arguments, stdout=said)
    return said.getvalue().strip()


def test_the_command_prints_a_key_and_revokes_it():
    text = apikey("shop", "--method", "publish", "--method", "info", "--topics", "chat:")
    assert keys.find(text).methods == {"publish", "info"}
    assert keys.find(text).prefixes == ("chat:",)
    assert apikey("shop", "--revoke") == "revoked: 1"
    assert keys.find(text) is None
    with pytest.raises(CommandError, match="no good key"):
        apikey("shop", "--revoke")


def test_a_key_of_ones_own_is_for_development(settings):
    settings.DEBUG = True
    assert apikey("suite", "--key", "test-api-key") == "test-api-key"
    assert keys.find("test-api-key").methods == set(keys.METHODS)
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG"):
        apikey("suite", "--key", "test-api-key")
