"""`manage.py token`, and the code that docs/howto/tokens.md shows."""

import io
import json
import re
import runpy
import time
from pathlib import Path

import jwt
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from realtime.engine import blocklist, conf, tokens
from realtime.engine.exceptions import InvalidToken
from realtime.engine.members import Credential

pytestmark = pytest.mark.django_db
PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "tokens.md").read_text()


@pytest.fixture(autouse=True)
def _secret():
    with conf.settings.override(TOKEN_SECRETS="a secret that is long enough for any test"):
        yield


@pytest.fixture
def ada():
    return User.objects.create_user("ada")


def token(*arguments):
    said = io.StringIO()
    call_command("token", *arguments, stdout=said)
    [line] = said.getvalue().splitlines()
    return line


def test_a_person_is_named_by_id_or_by_user_name(ada):
    for name in ("ada", str(ada.pk)):
        believed = tokens.connection(token(name))
        assert believed.user == str(ada.pk)
        assert believed.expire_at - believed.issued_at == pytest.approx(3605, abs=0.01)


def test_every_option_is_in_the_token(ada):
    believed = tokens.connection(
        token(
            "ada", "--expires", "60", "--info", '{"a": 1}', "--channel", "a:b", "--channel", "a:c"
        )
    )
    assert (believed.info, believed.topics) == ('{"a":1}', ("a:b", "a:c"))
    assert believed.expire_at - believed.issued_at == pytest.approx(65, abs=0.01)
    assert tokens.connection(token("ada", "--expires", "never")).expire_at is None
    assert tokens.subscription(token("ada", "--topic", "a:b")).topic == "a:b"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["grace"], 'no user has the id or the name "grace"'),
        (["99999999999999999999999"], "no user"),
        ([""], "no user"),
        (["ada", "--info", "{"], "--info is no JSON"),
        (["ada", "--info", "NaN"], "JSON"),
        (["ada", "--expires", "soon"], "say seconds, or never"),
        (["ada", "--expires", "0"], "cannot live for 0.0 s"),
        (["ada", "--expires", "nan"], "cannot live"),
        (["ada", "--topic", "a:b", "--channel", "a:c"], "one topic"),
    ],
    ids=str,
)
def test_a_mistake_is_told(ada, arguments, says):
    with pytest.raises(CommandError, match=re.escape(says)):
        token(*arguments)


def test_who_could_be_two_people_is_asked_for(ada):
    other = User.objects.create_user(str(ada.pk))
    with pytest.raises(CommandError, match=f"say ada or {other.pk}"):
        token(str(ada.pk))
    assert tokens.connection(token("ada")).user == str(ada.pk)


def test_a_person_who_was_deactivated_gets_none(ada):
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match="ada is deactivated"):
        token("ada")


def test_without_a_key_it_says_which_is_missing(ada):
    with conf.settings.override(TOKEN_SECRETS=""), pytest.raises(CommandError, match="SECRETS"):
        token("ada")


def test_under_development_it_needs_no_key(ada, settings):
    settings.DEBUG = True
    with conf.settings.override(TOKEN_SECRETS=""):
        assert tokens.connection(token("ada")).user == str(ada.pk)


# --- The page


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_view_of_the_page_answers_with_a_token_of_whoever_asks(ada, rf):
    [code] = [block for block in blocks("python") if "def connection_token" in block]
    names = {}
    exec(code, names)
    request = rf.post("/live/token/")
    request.user = ada
    answer = json.loads(names["connection_token"](request).content)
    assert tokens.connection(answer["token"]).user == str(ada.pk)


def test_the_key_pair_of_the_page_signs_what_is_believed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [make] = [block for block in blocks("python") if "jwks.json" in block]
    [sign] = [block for block in blocks("python") if "signing-key.pem" in block and block != make]
    (tmp_path / "make.py").write_text(make)
    (tmp_path / "sign.py").write_text(sign)
    runpy.run_path("make.py")
    signed = runpy.run_path("sign.py")["token"]
    assert (tmp_path / "signing-key.pem").stat().st_mode & 0o077 == 0
    with conf.settings.override(TOKEN_JWKS=str(tmp_path / "jwks.json")):
        assert tokens.connection(signed).user == "42"
        with pytest.raises(InvalidToken):
            tokens.connection(jwt.encode({"sub": "42"}, "x" * 32))


# --- Revoking


def refused(user, **claims):
    return blocklist.refused([Credential(token_user=str(user), **claims)])


def test_every_token_of_a_person_is_revoked_by_name_or_id(ada):
    assert token("ada", "--revoke") == f"revoked: every token of {ada.pk}; what speaks by it is cut"
    assert refused(ada.pk, issued_at=time.time() - 1)
    assert not refused(ada.pk, issued_at=time.time() + 60)


def test_one_token_is_revoked_by_its_id(ada):
    assert token(str(ada.pk), "--revoke", "abc") == "revoked: abc; what speaks by it is cut"
    assert refused(ada.pk, token_id="abc")
    assert not refused(ada.pk, token_id="xyz", issued_at=1)


def test_the_tokens_of_who_was_shut_out_can_be_revoked(ada):
    User.objects.update(is_active=False)
    assert token("ada", "--revoke").startswith("revoked")


def test_a_strangers_tokens_are_revoked_where_strangers_are_let_in():
    with pytest.raises(CommandError, match="no user has the id or the name"):
        token("device-7", "--revoke")
    with conf.settings.override(TOKEN_STRANGERS=True):
        token("device-7", "--revoke")
    assert refused("device-7")


@pytest.mark.parametrize("strangers", [False, True])
def test_of_two_people_it_is_asked_whose_tokens_are_meant(ada, strangers):
    User.objects.create_user(str(ada.pk))
    with (
        conf.settings.override(TOKEN_STRANGERS=strangers),
        pytest.raises(CommandError, match="is the id of ada and the name of"),
    ):
        token(str(ada.pk), "--revoke")
    assert not refused(ada.pk)
