"""Any bytes are commands or Malformed; what is said back the SDK's own decoder reads."""

import json

import pytest
from centrifuge.protocol import client_pb2 as sdk
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.protocol import commands, messages
from realtime.protocol.codec import binary as codec
from realtime.protocol.codec import text
from realtime.protocol.codec.base import Malformed
from realtime.protocol.messages import Position, Publication
from tests import frames
from tests.unit.protocol.codec.golden import COMMANDS, MESSAGES, PUB


def decode(frame, most=16):
    return codec.decode(frame, most)


def varint(number):
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


def framed(message):
    said = message if isinstance(message, bytes) else message.SerializeToString()
    return varint(len(said)) + said


def request(number=1, **words):
    return framed(sdk.Command(id=number, **words))


# --- Commands


@pytest.mark.parametrize(("command", "_", "frame"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_is_read(command, _, frame):
    [found] = decode(frame)
    if isinstance(command, commands.Publish | commands.Rpc):
        # what they carry may be no JSON
        assert found.data == command.data.encode()
    else:
        assert found == command


def test_what_the_sdk_frames_is_what_the_table_says():
    for name in ("history in full", "unsubscribe", "refresh", "pong"):
        _, line, frame = COMMANDS[name]
        assert frames.command(bytes, json.loads(line)) == frame


def test_a_frame_holds_several_commands_in_their_order():
    frame = request(1, connect={}) + framed(b"") + request(2, subscribe={"channel": "é"})
    assert decode(frame, 3) == [
        commands.Connect(1),
        commands.Pong(),
        commands.Subscribe(2, "é"),
    ]
    with pytest.raises(Malformed, match="more than 2"):
        decode(frame, 2)


def test_what_has_no_id_is_a_pong_and_the_first_request_decides():
    assert decode(request(0, subscribe={"channel": "a"})) == [commands.Pong()]
    both = request(1, rpc={"method": "m"}, publish={"channel": "a"})
    assert decode(both) == [commands.Publish(1, "a")]
    assert decode(request(1, send={}, publish={"channel": "a"})) == [commands.Publish(1, "a")]
    assert decode(request(0, send={}, publish={"channel": "a"})) == [commands.Send()]


def test_what_this_server_does_not_know_is_ignored():
    known = sdk.Command(id=1, connect={"flag": 1, "headers": {"a": "b"}}).SerializeToString()
    unknown = b"\xfa\x7f\x03abc"  # field 2047, three bytes
    assert decode(framed(known + unknown)) == [commands.Connect(1)]


def test_bytes_that_are_no_json_can_be_published_and_are_no_message():
    assert decode(request(1, publish={"channel": "a", "data": b"\xff\0"})) == [
        commands.Publish(1, "a", b"\xff\0")
    ]
    assert decode(request(1, rpc={"method": "m", "data": b"\xff"})) == [
        commands.Rpc(1, "m", b"\xff")
    ]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        "text",
        "",
        b"\x80",
        b"\x02\x08",
        b"\xff" * 10,
        b"\xff" * 100,
        b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        varint(2**63) + b"\x08",
        framed(b"\x08"),
        framed(b"\x22\xff"),
        framed(sdk.Command(id=1)),
        request(1, connect={"data": b"\xff"}),
        request(1, connect={"data": b"{"}),
        request(1, subscribe={"channel": "a", "data": b"NaN"}),
        framed(sdk.Command(send={"data": b"\xff"})),
        framed(b"\x08\x01\x2a\x03\x0a\x01\xff"),
        request(1, subscribe={"channel": "a", "recover": True, "offset": 2**63}),
        request(1, history={"channel": "a", "since": {"offset": 2**64 - 1}}),
        request(1, connect={}) + b"\x05",
        request(1, connect={"data": b"[" * 100_000}),
    ],
)
def test_what_is_no_frame_is_malformed_and_nothing_else(frame):
    with pytest.raises(Malformed):
        decode(frame)


def test_a_filter_of_any_depth_is_a_filter_or_malformed():
    node = b""
    for _ in range(200):
        node = b"\x32" + framed(node)
    with pytest.raises(Malformed):
        decode(framed(b"\x08\x01\x2a" + framed(b"\x6a" + framed(node))))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OFFSETS = st.integers(0, 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
).map(json.dumps)
FRAMES = (
    st.binary()
    | st.lists(st.binary(max_size=30).map(framed), max_size=5).map(b"".join)
    | st.builds(
        lambda field, body: framed(b"\x08\x01" + varint(field << 3 | 2) + framed(body)),
        st.integers(4, 15),
        st.binary(max_size=20),
    )
)


@given(FRAMES)
@example(b"\x00")
def test_any_bytes_are_commands_or_malformed(frame):
    try:
        decoded = decode(frame)
    except Malformed:
        return
    assert 1 <= len(decoded) <= 16
    assert all(isinstance(command, commands.Command) for command in decoded)
    for command in decoded:
        assert not isinstance(command, commands.Request) or command.id > 0


@given(st.sampled_from(list(COMMANDS.values())), st.data())
def test_any_piece_of_a_frame_is_commands_or_malformed(row, data):
    frame = row[2]
    cut = data.draw(st.integers(0, len(frame) - 1))
    with pytest.raises(Malformed):
        decode(frame[:cut])


@given(st.integers(1, 2**32 - 1), TEXTS, st.none() | st.builds(Position, TEXTS, OFFSETS))
def test_a_subscribe_says_what_the_client_said(number, channel, since):
    asked = {"channel": channel}
    if since:
        asked |= {"recover": True, "epoch": since.epoch, "offset": since.offset}
    assert decode(request(number, subscribe=asked)) == [
        commands.Subscribe(number, channel, since=since)
    ]


# --- Replies and pushes


@pytest.mark.parametrize(("message", "line", "frame"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_is_written_and_read_by_the_sdk_as_in_json(message, line, frame):
    said = codec.encode(message)
    assert said == frame
    assert [frames.readable(reply) for reply in frames.replies(said)] == [json.loads(line)]


def test_several_messages_go_in_one_frame():
    both = [frame for _, _, frame in MESSAGES.values()]
    lines = [json.loads(line) for _, line, _ in MESSAGES.values()]
    assert [frames.readable(reply) for reply in frames.replies(codec.batch(both))] == lines


def test_a_difference_is_said_as_bytes():
    [reply] = frames.replies(codec.publication_push("a", PUB, quoted=True, delta=b"1\n1:x;"))
    pub = reply["push"]["pub"]
    assert (pub["data"], pub["delta"], pub["offset"]) == (b"1\n1:x;", True, 5)


def test_whole_data_is_said_as_it_is_also_to_who_reads_differences():
    assert codec.publication_push("a", PUB, quoted=True) == codec.publication_push("a", PUB)


def test_bytes_are_said_as_they_are():
    blob = Publication(0, "", None, "p", 0, 0, None, b"\xff\0")
    [reply] = frames.replies(codec.publication_push("a", blob))
    assert reply["push"]["pub"] == {"data": b"\xff\0"}


TAGS = st.dictionaries(TEXTS, TEXTS, max_size=3)


@given(TEXTS, OFFSETS, JSON, TAGS, st.none() | st.tuples(TEXTS, TEXTS))
def test_a_push_is_the_same_in_both_forms(topic, offset, data, tags, who):
    parts = {"tags": tags} if tags else {}
    if who:
        parts["info"] = {"user": who[0], "client": who[1]}
    about = json.dumps(parts) if parts else None
    publication = Publication(offset, data, None, "p", 1, 0, about)
    push = messages.PublicationPush(topic, publication)
    [in_json] = frames.replies(text.encode(push))
    [in_bytes] = frames.replies(codec.encode(push))
    assert in_bytes["push"]["pub"].pop("data").decode() == data
    # Protobuf says nothing of what is empty
    told = in_bytes["push"]["pub"]
    assert told.get("offset", 0) == in_json["push"]["pub"].get("offset", 0)
    assert told.get("tags", {}) == in_json["push"]["pub"].get("tags", {})
    info = in_json["push"]["pub"].get("info", {})
    assert told.get("info", {}) == {name: said for name, said in info.items() if said}
