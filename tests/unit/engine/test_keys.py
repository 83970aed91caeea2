"""What a key of the server API may do."""

import pytest

from realtime.engine.keys import Key


def key(*methods, prefixes=()):
    return Key(1, frozenset(methods), prefixes)


def test_a_key_does_what_it_was_made_for_and_nothing_else():
    assert key("publish").allows("publish", "chat:a")
    assert not key("publish").allows("history", "chat:a")
    assert not key().allows("info")


@pytest.mark.parametrize(
    ("topic", "covered"), [("chat:a", True), ("news:b", True), ("chat", False), ("inbox:#1", False)]
)
def test_prefixes_limit_the_topics(topic, covered):
    assert key("publish", prefixes=("chat:", "news:")).allows("publish", topic) is covered


def test_what_is_about_no_topic_asks_for_no_prefix():
    assert key("disconnect", prefixes=("chat:",)).allows("disconnect")
