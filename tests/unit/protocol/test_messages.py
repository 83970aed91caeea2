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
