"""Any frame is commands or Malformed; whatever is said back is strict JSON, one object a line."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.protocol import codes, commands, messages
from realtime.protocol.codec import text as codec
from realtime.protocol.codec.base import Inappropriate, Malformed
from realtime.protocol.messages import Position, Publication
from tests.unit.protocol.codec.golden import COMMANDS, MESSAGES


def decode(frame, most=16):
    return codec.decode(frame, most)


def pub(offset=0, data='{"n":1}'):
    return Publication(offset, data, "5", "u", 7, 2)


# --- Commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "command"),
    [
        ('{"id":1,"connect":{}}', commands.Connect(1)),
        (
            '{"id":1,"connect":{"token":"t","data":{"a": 1},"name":"js","version":"5"}}',
            commands.Connect(1, "t", '{"a": 1}', "js", "5"),
        ),
        ('{"id":2,"subscribe":{"channel":"inbox:#1"}}', commands.Subscribe(2, "inbox:#1")),
        (
            # As centrifuge-js asks for position 0: it leaves out offset and epoch.
            '{"id":2,"subscribe":{"channel":"a","recover":true,"flag":1}}',
            commands.Subscribe(2, "a", since=Position("", 0)),
        ),
        (
            # As centrifuge-python asks, with get_state.
            (
                '{"id":2,"subscribe":{"channel":"a","recover":true,"epoch":"abcd","offset":9,'
                '"flag":3,"token":"t","data":[1],"positioned":true,"recoverable":true,'
                '"join_leave":true,"delta":"fossil","tf":{"key":"k"},"type":1}}'
            ),
            commands.Subscribe(
                id=2,
                topic="a",
                token="t",
                since=Position("abcd", 9),
                strict=True,
                data="[1]",
                positioned=True,
                recoverable=True,
                join_leave=True,
                delta="fossil",
                filter=commands.Node(key="k"),
                kind=1,
            ),
        ),
        # A position without `recover` asks for nothing.
        ('{"id":2,"subscribe":{"channel":"a","offset":9}}', commands.Subscribe(2, "a")),
        ('{"id":3,"unsubscribe":{"channel":"a"}}', commands.Unsubscribe(3, "a")),
        ('{"id":4,"publish":{"channel":"a","data":{}}}', commands.Publish(4, "a", "{}")),
        ('{"id":5,"presence":{"channel":"a"}}', commands.Presence(5, "a")),
        ('{"id":6,"presence_stats":{"channel":"a"}}', commands.PresenceStats(6, "a")),
        ('{"id":7,"history":{"channel":"a"}}', commands.History(7, "a")),
        (
            (
                '{"id":7,"history":{"channel":"a","limit":-1,"reverse":true,'
                '"since":{"offset":3,"epoch":"e"}}}'
            ),
            commands.History(7, "a", -1, Position("e", 3), True),
        ),
        ('{"id":8,"ping":{}}', commands.Ping(8)),
        ('{"send":{"data":"x"}}', commands.Send('"x"')),
        ('{"id":9,"send":{}}', commands.Send()),
        ('{"id":9,"send":{},"publish":{"channel":"a"}}', commands.Publish(9, "a")),
        ('{"send":{},"publish":{"channel":"a"}}', commands.Send()),
        ('{"id":10,"rpc":{"method":"m","data":null}}', commands.Rpc(10, "m", "null")),
        ('{"id":11,"refresh":{"token":"t"}}', commands.Refresh(11, "t")),
        ('{"id":12,"sub_refresh":{"channel":"a","token":"t"}}', commands.SubRefresh(12, "a", "t")),
        ("{}", commands.Pong()),
        # Any other command without an id counts as a pong.
        ('{"subscribe":{"channel":"a"}}', commands.Pong()),
        ('{"id":0,"connect":{}}', commands.Pong()),
        # The first request decides; null is absent; what is unknown is ignored.
        ('{"id":1,"rpc":{},"publish":{"channel":"a"}}', commands.Publish(1, "a")),
        ('{"id":1,"connect":null,"rpc":{}}', commands.Rpc(1)),
        ('{"id":1,"connect":{"flag":1,"headers":{"a":"b"}},"new":[{}]}', commands.Connect(1)),
    ],
)
def test_a_command_is_read(frame, command):
    assert decode(frame) == [command]
    assert decode(frame.encode() + b"\n") == [command]


def test_a_frame_holds_several_commands_in_their_order():
    frame = '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"é"}}\n{}\n'
    assert decode(frame, 3) == [
        commands.Connect(1),
        commands.Subscribe(2, "é"),
        commands.Pong(),
    ]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "\n",
        " ",
        "{}\n\n",
        "\n{}",
        "{}\n\n{}",
        "{}{}",
        "{} {}",
        "[]",
        "1",
        "null",
        '"{}"',
        "{",
        '{"id":1,\n"connect":{}}',
        '{"id":1}',
        '{"id":1,"dance":{}}',
        '{"id":1,"connect":null}',
        '{"id":1,"connect":[]}',
        '{"id":1,"connect":"x"}',
        '{"id":"1","connect":{}}',
        '{"id":1.5,"connect":{}}',
        '{"id":true,"connect":{}}',
        '{"id":null,"connect":{}}',
        '{"id":-1,"connect":{}}',
        '{"id":4294967296,"connect":{}}',
        '{"id":%s,"connect":{}}' % ("9" * 5000),
        '{"id":1e400,"connect":{}}',
        '{"id":1,"connect":{"token":1}}',
        '{"id":1,"connect":{"token":null}}',
        '{"id":1,"connect":{"data":NaN}}',
        '{"id":1,"connect":{"data":-Infinity}}',
        '{"id":1,"connect":{"data":yes}}',
        '{"id":1,"subscribe":{"channel":"\ud800"}}',
        '{"id":1,"subscribe":{"channel":["a"]}}',
        '{"id":1,"subscribe":{"channel":"a","recover":1}}',
        '{"id":1,"subscribe":{"channel":"a","offset":-1}}',
        '{"id":1,"subscribe":{"channel":"a","offset":9223372036854775808}}',
        '{"id":1,"subscribe":{"channel":"a","flag":9223372036854775808}}',
        '{"id":1,"subscribe":{"channel":"a","type":2147483648}}',
        '{"id":1,"subscribe":{"channel":"a","tf":"x"}}',
        '{"id":1,"history":{"channel":"a","limit":2147483648}}',
        '{"id":1,"history":{"channel":"a","since":{"offset":-1}}}',
        '{"x":NaN}',
        '{"x":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"id":1,"rpc":{"data":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}}",
        b"\xff",
        b'{"id":1,"rpc":{"data":"\xff"}}',
        b'{"x":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_frame_is_malformed_and_nothing_else(frame):
    with pytest.raises(Malformed):
        decode(frame)


def test_one_bad_line_spoils_the_frame():
    with pytest.raises(Malformed):
        decode('{"id":1,"connect":{}}\n{"id":2}')


def test_more_commands_than_allowed_are_malformed():
    assert len(decode("{}\n" * 5, 5)) == 5
    with pytest.raises(Malformed, match="more than 4"):
        decode("{}\n" * 5, 4)


WORDS = st.sampled_from(
    [
        "id",
        "connect",
        "subscribe",
        "unsubscribe",
        "publish",
        "presence",
        "presence_stats",
        "history",
        "ping",
        "send",
        "rpc",
        "refresh",
        "sub_refresh",
        "channel",
        "token",
        "data",
        "recover",
        "offset",
        "epoch",
        "flag",
        "tf",
        "type",
        "limit",
        "since",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(), inner),
    max_leaves=12,
)
OBJECTS = st.dictionaries(WORDS, VALUES | st.dictionaries(WORDS, VALUES))
FRAMES = (
    st.binary()
    | st.text(st.characters())
    | VALUES.map(json.dumps)
    | st.lists(OBJECTS.map(json.dumps), max_size=5).map("\n".join)
    | st.builds(
        lambda number, name, request: json.dumps({"id": number, name: request}),
        st.integers(0, 9),
        WORDS,
        st.dictionaries(WORDS, VALUES, max_size=3),
    )
)


@given(FRAMES)
@example('{"id":1,"rpc":{"data":"\ud800"}}')
def test_any_frame_gives_commands_or_malformed(frame):
    try:
        decoded = decode(frame)
    except Malformed:
        return
    assert 1 <= len(decoded) <= 16
    assert all(isinstance(command, commands.Command) for command in decoded)
    for command in decoded:
        data = getattr(command, "data", None)
        assert data is None or "\n" not in json.dumps(json.loads(data))
        assert not isinstance(command, commands.Request) or command.id > 0


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OFFSETS = st.integers(0, 2**63 - 1)
IDS = st.integers(1, 2**32 - 1)


@given(IDS, NAMES, st.none() | st.builds(Position, NAMES, OFFSETS), st.booleans(), st.booleans())
def test_a_subscribe_says_what_the_client_said(number, channel, since, strict, filtered):
    asked = {"channel": channel, "flag": 3 if strict else 1}
    if since:
        asked |= {"recover": True, "epoch": since.epoch, "offset": since.offset}
    if filtered:
        asked["tf"] = {}
    [command] = decode(json.dumps({"id": number, "subscribe": asked}))
    wants = commands.Node() if filtered else None
    assert command == commands.Subscribe(number, channel, since=since, strict=strict, filter=wants)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (r"\ud83d", r"\ufffd"),
        (r"\uDE00\ud83d", r"\ufffd\ufffd"),
        (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00"),
        (r"\\\ud83dx", r"\\\ufffdx"),
        (r"\\ud83d \ud83d\uDE00 \u00e9", r"\\ud83d \ud83d\uDE00 \u00e9"),
    ],
)
def test_half_of_a_character_is_no_fault(said, heard):
    [command] = decode(f'{{"id":1,"publish":{{"channel":"a","data":"{said}"}}}}')
    assert command.data == f'"{heard}"'


@pytest.mark.parametrize(("command", "frame", "_"), COMMANDS.values(), ids=COMMANDS)
def test_every_command_is_read_as_in_protobuf(command, frame, _):
    assert decode(frame) == [command]


@pytest.mark.parametrize(
    ("tf", "node"),
    [
        ({}, commands.Node()),
        (
            {"op": "not", "nodes": [{"key": "k", "cmp": "in", "vals": ["a", "b"]}]},
            commands.Node("not", nodes=(commands.Node(key="k", cmp="in", vals=("a", "b")),)),
        ),
    ],
)
def test_a_filter_is_read_as_a_tree(tf, node):
    [command] = decode(json.dumps({"id": 1, "subscribe": {"channel": "a", "tf": tf}}))
    assert command.filter == node


def test_a_connect_says_where_the_client_stands_in_topics_of_the_server():
    subs = {"#5": {"recover": True, "offset": 3, "epoch": "e"}, "b": {}}
    [command] = decode(json.dumps({"id": 1, "connect": {"subs": subs}}))
    assert command.subs == {
        "#5": commands.Subscribe(1, "#5", since=Position("e", 3)),
        "b": commands.Subscribe(1, "b"),
    }


# --- Replies and pushes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "frame"),
    [
        (
            messages.Reply(7, messages.Recorded(Position("abcd", 0))),
            '{"id":7,"history":{"publications":[],"epoch":"abcd","offset":0}}',
        ),
        (
            messages.Reply(1, messages.Connected("c1", "0.1.0", '{"now":5}')),
            (
                '{"id":1,"connect":{"client":"c1","version":"0.1.0","data":{"now":5},"ping":25,'
                '"pong":true}}'
            ),
        ),
        (
            messages.Reply(1, messages.Connected("c1", "0.1.0", ping_s=0, pong=False)),
            '{"id":1,"connect":{"client":"c1","version":"0.1.0"}}',
        ),
        (messages.Reply(2, messages.Subscribed()), '{"id":2,"subscribe":{}}'),
        (
            messages.Reply(2, messages.Subscribed(data='{"rows":[]}', was_recovering=True)),
            '{"id":2,"subscribe":{"data":{"rows":[]},"was_recovering":true}}',
        ),
        (
            messages.Reply(2, messages.Subscribed(Position("abcdefgh", 0))),
            '{"id":2,"subscribe":{"recoverable":true,"epoch":"abcdefgh","positioned":true}}',
        ),
        (
            messages.Reply(
                2, messages.Subscribed(Position("abcdefgh", 4), True, True, (pub(5), pub(6)))
            ),
            (
                '{"id":2,"subscribe":{"recoverable":true,"epoch":"abcdefgh","publications":['
                '{"data":{"n":1},"offset":5},{"data":{"n":1},"offset":6}],"recovered":true,'
                '"offset":4,"positioned":true,"was_recovering":true}}'
            ),
        ),
        (messages.Reply(3, messages.Unsubscribed()), '{"id":3,"unsubscribe":{}}'),
        (
            messages.Reply(4, codes.Error.PERMISSION_DENIED),
            '{"id":4,"error":{"code":103,"message":"permission denied"}}',
        ),
        (
            messages.Reply(4, codes.Error.INTERNAL),
            '{"id":4,"error":{"code":100,"message":"internal server error","temporary":true}}',
        ),
        (
            messages.PublicationPush("trades:BTC", pub(7)),
            '{"push":{"channel":"trades:BTC","pub":{"data":{"n":1},"offset":7}}}',
        ),
        (
            messages.PublicationPush('a"b\\ é', pub(0, "[1,\r\n 2]")),
            '{"push":{"channel":"a\\"b\\\\ é","pub":{"data":[1,   2]}}}',
        ),
        (
            messages.UnsubscribePush("a", codes.Unsubscribe.INSUFFICIENT_STATE),
            '{"push":{"channel":"a","unsubscribe":{"code":2500,"reason":"insufficient state"}}}',
        ),
        (
            messages.DisconnectPush(codes.Disconnect.STALE),
            '{"push":{"disconnect":{"code":3502,"reason":"stale"}}}',
        ),
        (messages.PingPush(), "{}"),
    ],
)
def test_a_message_is_written(message, frame):
    assert codec.encode(message) == frame
    json.loads(frame)


@pytest.mark.parametrize(("message", "frame", "_"), MESSAGES.values(), ids=MESSAGES)
def test_every_message_is_written_as_in_protobuf(message, frame, _):
    assert codec.encode(message) == frame
    json.loads(frame)


def test_to_who_reads_differences_data_is_a_text():
    whole = json.loads(codec.publication_push("a", pub(7), quoted=True))
    assert whole["push"]["pub"] == {"data": '{"n":1}', "offset": 7}
    delta = json.loads(codec.publication_push("a", pub(7), quoted=True, delta=b"1\n1:x;"))
    assert delta["push"]["pub"] == {"data": "1\n1:x;", "offset": 7, "delta": True}
    result = messages.Subscribed(
        Position("e", 6), recovered=True, publications=(pub(7),), delta=True
    )
    said = json.loads(codec.encode(messages.Reply(1, result)))["subscribe"]
    assert said["publications"] == [{"data": '{"n":1}', "offset": 7}]
    assert said["delta"] is True


def test_bytes_cannot_be_said_in_json():
    with pytest.raises(Inappropriate):
        codec.publication_push("a", Publication(0, "", None, "p", 0, 0, None, b"\xff"))


def test_several_messages_go_in_one_frame():
    ping = codec.encode(messages.PingPush())
    reply = codec.encode(messages.Reply(3, messages.Unsubscribed()))
    assert codec.batch([reply, ping]) == '{"id":3,"unsubscribe":{}}\n{}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(NAMES, OFFSETS, JSON, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_a_push_carries_its_data_unchanged_on_one_line(topic, offset, value, indent, ascii_only):
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    frame = codec.publication_push(topic, pub(offset, data))
    assert "\n" not in frame
    assert "\r" not in frame
    frame.encode()
    expected = {"data": value} | ({"offset": offset} if offset else {})
    assert json.loads(frame) == {"push": {"channel": topic, "pub": expected}}


def refuse_null(pairs):
    assert all(value is not None for _, value in pairs)
    return dict(pairs)


@given(
    IDS,
    st.builds(messages.Connected, NAMES, NAMES, st.none() | st.just("{}"), st.integers(0, 60))
    | st.builds(
        messages.Subscribed,
        st.none() | st.builds(Position, NAMES, OFFSETS),
        st.booleans(),
        st.booleans(),
        st.lists(st.builds(pub, OFFSETS), max_size=3).map(tuple),
        st.none() | st.just("{}"),
    )
    | st.sampled_from(codes.Error),
)
def test_a_reply_never_says_null_or_false_or_zero(number, result):
    frame = codec.encode(messages.Reply(number, result))
    [_, (_, said)] = json.loads(frame, object_pairs_hook=refuse_null).items()
    assert all(value not in (False, 0, []) for value in said.values())


# --- Rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "data"),
    [
        (
            ("i", "5", '{"title":"é"}', '{"unread":1}', 17),
            '{"op":"i","key":"5","body":{"title":"é"},"counts":{"unread":1},"at":17}',
        ),
        (("u", "5", '{"a" : 1}', None, 17), '{"op":"u","key":"5","body":{"a" : 1},"at":17}'),
        (("d", 'receipt:"1"', None, None, 17), '{"op":"d","key":"receipt:\\"1\\"","at":17}'),
        (("o", "5", None, '{"unread":1}', 1), '{"op":"o","key":"5","counts":{"unread":1},"at":1}'),
        (("p", "", '{"free": "form"}', None, 17), '{"free": "form"}'),
        (("p", "", '{\n"free": 1}', None, 17), '{ "free": 1}'),
        (("p", "", None, None, 17), "null"),
    ],
)
def test_a_row_becomes_the_same_data_whenever_it_is_read(row, data):
    assert codec.row_data(*row) == data
    json.loads(data)
