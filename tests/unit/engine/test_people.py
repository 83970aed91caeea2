"""Who a user id means, whatever a token or a session has written there."""

import pytest
from django.contrib.auth.models import User

from realtime.engine import people
from realtime.engine.conf import settings
from realtime.engine.people import Stranger

NO_ROW = str(2**40)


def test_without_an_id_it_is_the_anonymous_one():
    found = people.load_user("")
    assert (found.is_authenticated, found.is_anonymous) == (False, True)


@pytest.mark.django_db
@pytest.mark.parametrize("user_id", [NO_ROW, "no number", "1.5", "\u0661x", "9" * 5000])
def test_an_id_of_no_row_is_nobody(user_id):
    assert people.load_user(user_id) is None


@pytest.mark.django_db
def test_a_person_is_as_the_row_is_now():
    ada = User.objects.create(username="ada")
    assert people.load_user(str(ada.pk)) == ada
    User.objects.filter(pk=ada.pk).update(username="countess")
    assert people.load_user(str(ada.pk)).username == "countess"
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert people.load_user(str(ada.pk)) is None


@pytest.mark.django_db
@pytest.mark.parametrize("user_id", ["07654321", " 7654321", "+7654321", "\u0667654321"])
@pytest.mark.parametrize("strangers", [False, True])
def test_another_way_to_write_somebodys_number_is_nobodys_id(user_id, strangers):
    ada = User.objects.create(pk=7654321, username="ada")
    assert User.objects.get(pk=user_id) == ada
    with settings.override(TOKEN_STRANGERS=strangers):
        assert people.load_user(user_id) is None


@pytest.mark.django_db
@pytest.mark.parametrize("user_id", [NO_ROW, "9" * 5000, "device-7"])
def test_where_strangers_are_let_in_an_id_of_no_row_is_one_of_them(user_id):
    with settings.override(TOKEN_STRANGERS=True):
        found = people.load_user(user_id)
    assert isinstance(found, Stranger)
    assert (found.pk, found.id) == (user_id, user_id)
    assert (found.is_authenticated, found.is_anonymous, found.is_active) == (True, False, True)


@pytest.mark.django_db
def test_a_person_who_was_shut_out_does_not_come_back_as_a_stranger():
    ada = User.objects.create(username="ada", is_active=False)
    with settings.override(TOKEN_STRANGERS=True):
        assert people.load_user(str(ada.pk)) is None


@pytest.mark.django_db
def test_a_person_who_was_deleted_does_not_come_back_as_a_stranger():
    ada = User.objects.create(username="ada")
    user_id = str(ada.pk)
    ada.delete()
    with settings.override(TOKEN_STRANGERS=True):
        assert people.load_user(user_id) is None


def test_a_stranger_may_do_nothing_that_needs_a_permission():
    stranger = Stranger("device-7")
    assert not stranger.is_staff
    assert not stranger.is_superuser
    assert not stranger.groups.exists()
