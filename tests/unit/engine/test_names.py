"""Names: one canonical form, in which no value can pass for anything but itself."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.engine import names
from realtime.engine.names import Template


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_comes_back_and_holds_no_separator(value):
    quoted = names.quote(value)
    assert names.is_canonical(quoted)
    assert not set(quoted) & set(":#,/ ")
    assert quoted.isascii()
    assert Template("t:{a}:#{b}").match(f"t:{quoted}:#5") == {"a": quoted, "b": "5"}


def test_other_spellings_of_a_value_are_not_canonical():
    for part in ("%41", "%c3%a9", "%FF", "%", "a b", "é"):
        assert not names.is_canonical(part)


def test_the_namespace_is_before_the_first_colon():
    assert names.namespace_of("candles:BTC:1s") == "candles"
    assert names.namespace_of("news") == ""
    assert Template("candles:{market}:{interval}").namespace == "candles"
    assert Template("news").namespace == ""
    assert Template("{what}:x").namespace is None


def test_templates_whose_names_can_be_the_same_clash():
    assert Template("a:{x}").clashes(Template("a:{y}"))
    assert Template("a:{x}").clashes(Template("a:0"))
    assert not Template("a:{x}").clashes(Template("a:{x}:{y}"))
    assert not Template("a:#{x}").clashes(Template("a:{x}"))


def test_a_column_named_twice_must_agree():
    assert Template("a:{x}:{x}").match("a:1:1") == {"x": "1"}
    assert Template("a:{x}:{x}").match("a:1:2") is None
    assert Template("a:{x}:#{y}").fill({"x": "b:c", "y": "5"}) == "a:b%3Ac:#5"
