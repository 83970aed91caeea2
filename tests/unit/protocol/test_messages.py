"""Messages are values: they compare by what they say and nobody changes one."""

import dataclasses
import typing

import pytest

from realtime.protocol import commands, effects, messages

SAID = [*typing.get_args(commands.Command), *typing.get_args(messages.Push), messages.Reply]
DONE = typing.get_args(effects.Effect)


@pytest.mark.parametrize("kind", [*SAID, *DONE])
def test_a_message_is_frozen_and_has_slots(kind):
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


def test_a_message_cannot_be_changed():
    position = messages.Position("abcdefgh", 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        position.offset = 6
    assert position == messages.Position("abcdefgh", 5)


def test_whatever_names_a_topic_is_known_to_name_one():
    named = {kind for kind in SAID if kind in typing.get_args(commands.Request)}
    named = {k for k in named if "topic" in {field.name for field in dataclasses.fields(k)}}
    assert named == set(typing.get_args(commands.OnTopic))


def test_an_application_ends_a_connection_in_its_own_words():
    assert messages.Dismissal(3000, "a") == messages.Dismissal(3000, "a")
    assert messages.Dismissal(4999, "a" * 32).text == "a" * 32


@pytest.mark.parametrize(
    ("number", "text"), [(2999, "a"), (5000, "a"), (4000, ""), (4000, "a" * 33), (4000, "é")]
)
def test_words_that_no_client_could_read_are_refused(number, text):
    with pytest.raises(ValueError, match="code"):
        messages.Dismissal(number, text)
