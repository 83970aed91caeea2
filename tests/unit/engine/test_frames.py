"""What is said to many becomes bytes once for each form, and only in the forms that are wanted."""

import json

import pytest

from realtime.engine.frames import Form, Pushes, Saying, Slot, Style
from realtime.protocol.codec import binary, text
from realtime.protocol.codec.base import Inappropriate
from realtime.protocol.messages import ClientInfo, JoinPush, Publication
from tests import frames

PLAIN, WHOLE, DELTA = (Form(text, style) for style in Style)
DATA = {n: json.dumps({"number": n, "text": "the same again and again " * 4}) for n in range(4)}


def slot(offset, before=None, **words):
    return Slot("t:1", Publication(offset, DATA[offset], None, "p", offset, 0, **words), before)


def said(frame):
    return [reply["push"]["pub"] for reply in frames.replies(frame)]


def test_everybody_of_one_form_gets_the_same_bytes():
    one = slot(1)
    for codec in (text, binary):
        assert one.frame(Form(codec)) is one.frame(Form(codec))
    pushes = Pushes([slot(1), slot(2)])
    assert pushes.frame(PLAIN) is pushes.frame(PLAIN)
    saying = Saying(JoinPush("t:1", ClientInfo("c", "5")))
    assert saying.frame(PLAIN) is saying.frame(PLAIN) is saying.frame(DELTA)
    assert saying.frame(Form(binary)) is not saying.frame(PLAIN)


def test_several_go_in_one_frame_and_one_goes_as_it_is():
    both = Pushes([slot(1), slot(2)])
    assert len(both) == 2
    assert [pub["offset"] for pub in said(both.frame(PLAIN))] == [1, 2]
    assert [pub["offset"] for pub in said(both.frame(Form(binary)))] == [1, 2]
    one = slot(1)
    assert Pushes([one]).frame(PLAIN) is one.frame(PLAIN)
    assert len(Saying(JoinPush("t:1", ClientInfo("c", "5")))) == 1


@pytest.mark.parametrize("codec", [text, binary])
def test_a_difference_and_the_one_before_give_the_data(codec):
    undelta = frames.Undelta()
    [first] = said(slot(1).frame(Form(codec, Style.WHOLE)))
    [second] = said(slot(2, DATA[1]).frame(Form(codec, Style.DELTA)))
    assert undelta.data(first).decode() == DATA[1]
    assert second["delta"] is True
    assert undelta.data(second).decode() == DATA[2]


def test_without_one_before_it_a_difference_is_the_whole():
    assert slot(1).frame(DELTA) == slot(1).frame(WHOLE)
    assert "delta" not in said(slot(1).frame(DELTA))[0]


def test_a_difference_longer_than_the_data_is_the_whole():
    short = Slot("t:1", Publication(2, "2", None, "p", 2, 0), "1")
    assert short.frame(DELTA) == short.frame(WHOLE)
    assert short.frame(DELTA) == short.frame(DELTA)


def test_bytes_can_be_said_in_protobuf_alone():
    blob = Slot("t:1", Publication(0, "", None, "p", 0, 0, None, b"\xff"))
    assert said(blob.frame(Form(binary))) == [{"data": b"\xff"}]
    with pytest.raises(Inappropriate):
        blob.frame(PLAIN)


def test_tags_are_read_once_and_may_be_absent():
    tagged = slot(1, about='{"tags":{"lang":"de"}}')
    assert tagged.tags == {"lang": "de"}
    assert tagged.tags is tagged.tags
    assert slot(1).tags == {}
    assert slot(1, about='{"info":{"user":"5","client":"c"}}').tags == {}


def test_a_slot_is_about_as_large_as_its_frame():
    one = slot(3)
    assert one.offset == 3
    assert len(DATA[3]) < one.size < len(one.frame(PLAIN)) + 64
