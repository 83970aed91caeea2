"""Identifiers and literals are quoted whatever they hold."""

from realtime.engine import sql
from realtime.engine.capture import label
from realtime.engine.columns import literal, quote_name


def test_a_name_cannot_end_its_quotes():
    assert quote_name('a"; DROP') == '"a""; DROP"'
    assert quote_name('"schema"."table"') == '"schema"."table"'


def test_a_literal_cannot_end_its_quotes():
    assert literal("it's") == "'it''s'"


def test_a_part_of_a_statement_is_never_looked_into():
    assert sql.fill("{{a}} {{b}}", a="{{b}}", b="1") == "{{b}} 1"


def test_a_label_is_short_readable_and_its_own():
    assert label("inbox", "it's; $$") == label("inbox", "it's; $$")
    assert label("inbox", "it's; $$") != label("inbox", "it's; $")
    assert len(label("x" * 500)) <= 40
    assert label("Inbox", "É").startswith("inbox")
