"""Tokens that were revoked: which ones a row ends."""

import time

import pytest
from django.db import connection

from realtime.engine import blocklist, conf
from realtime.engine.members import Credential

pytestmark = pytest.mark.django_db
NOW = time.time()
LEEWAY_S = conf.settings.TOKEN_LEEWAY_S


def token(user="7", token_id="a", issued_at=NOW - 60):
    return Credential(token_user=user, token_id=token_id, issued_at=issued_at)


def test_one_token_of_a_person():
    blocklist.revoke("7", "a")
    good = {token(token_id="b"), token(user="8"), token(token_id="")}
    assert blocklist.refused({token(), *good}) == {token()}


def test_all_tokens_that_a_person_was_given_until_then():
    blocklist.revoke("7")
    later, others = token(issued_at=time.time() + LEEWAY_S + 1), token(user="8")
    undated = token(token_id="", issued_at=None)
    assert blocklist.refused({token(), undated, later, others}) == {token(), undated}


def test_one_that_was_signed_by_a_clock_that_runs_ahead_is_among_them():
    ahead = token(issued_at=time.time() + LEEWAY_S - 1)
    blocklist.revoke("7")
    assert blocklist.refused({ahead}) == {ahead}


def test_a_row_that_goes_lets_the_token_live_again():
    blocklist.revoke("7", "a").delete()
    assert blocklist.refused({token()}) == set()


def test_nobody_is_asked_about_no_token(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert blocklist.refused([]) == set()
    with django_assert_num_queries(1, connection=connection):
        blocklist.refused([token(user=str(n)) for n in range(20)])
