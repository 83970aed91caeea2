"""Settings come from the environment once, by the type of their default."""

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from realtime.engine import conf


def test_a_setting_nobody_gave_has_its_default():
    assert conf.Settings({}).HEAD_POLL_S == 1.0


def test_the_environment_is_read_by_the_type_of_the_default():
    settings = conf.Settings(
        {
            "TOCSIN_HEAD_POLL_S": "0.25",
            "TOCSIN_MOVE_LIMIT": "50",
            "TOCSIN_TOLERANT_TRIGGERS": "yes",
        }
    )
    assert (settings.HEAD_POLL_S, settings.MOVE_LIMIT, settings.TOLERANT_TRIGGERS) == (
        0.25,
        50,
        True,
    )


def test_a_text_is_taken_as_it_is_but_for_the_blanks_around_it():
    settings = conf.Settings({"TOCSIN_TOKEN_AUDIENCE": " tocsin \n", "TOCSIN_TOKEN_ISSUER": "12"})
    assert (settings.TOKEN_AUDIENCE, settings.TOKEN_ISSUER) == ("tocsin", "12")
    assert settings.TOKEN_JWKS == ""


def test_the_settings_show_no_secret():
    settings = conf.Settings({"TOCSIN_TOKEN_SECRETS": "a-planted-secret"})
    assert "planted" not in f"{settings} {settings!r} {conf.SETTINGS}"


def test_a_number_that_is_none_is_refused_by_name():
    with pytest.raises(ImproperlyConfigured, match="TOCSIN_HEAD_POLL_S is 'soon'"):
        conf.Settings({"TOCSIN_HEAD_POLL_S": "soon"})


def test_a_switch_that_is_neither_on_nor_off_is_refused():
    with pytest.raises(ImproperlyConfigured, match="TOCSIN_TOLERANT_TRIGGERS"):
        conf.Settings({"TOCSIN_TOLERANT_TRIGGERS": "perhaps"})


def test_an_override_ends_with_its_block():
    settings = conf.Settings({})
    with settings.override(HOLD_S=0.1):
        assert settings.HOLD_S == 0.1
    assert settings.HOLD_S == 1.0


def test_a_setting_that_does_not_exist_is_an_error():
    with pytest.raises(AttributeError, match="TOCSIN_NOTHING"):
        _ = conf.settings.NOTHING
    with pytest.raises(AttributeError, match="NOTHING"), conf.settings.override(NOTHING=1):
        pass


REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def test_settings_are_documented():
    of_the_engine = REFERENCE.read_text().partition("## Topics and triggers")[2]
    headings = re.findall(r"^### (\S+)$", of_the_engine, re.MULTILINE)
    assert sorted(headings) == sorted(f"TOCSIN_{setting.name}" for setting in conf.SETTINGS)


@pytest.mark.parametrize("setting", conf.SETTINGS, ids=lambda setting: setting.name)
def test_the_default_is_documented_as_it_is(setting):
    default = setting.default
    value = str(default).lower() if isinstance(default, bool) else str(default)
    shown = "none." if value == "" else f"`{value}`"
    section = REFERENCE.read_text().partition(f"### TOCSIN_{setting.name}\n")[2].partition("###")[0]
    assert f"{setting.help} Default: {shown}" in section
    assert setting.secret == ("\nSecret. " in section)
