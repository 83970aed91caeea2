"""RFC 6455, frame by frame: the cases of Autobahn|Testsuite, of which `make autobahn` runs all."""

import select

import pytest

from realtime.protocol.codec import binary
from realtime.protocol.codes import Disconnect
from realtime.protocol.messages import DisconnectPush
from tests import peers, processes
from tests.peers import BINARY, CLOSE, CONT, PING, PONG, TEXT, answered, body, close, frame, opened
from tests.processes import eventually, manage, running, status

pytestmark = pytest.mark.either

SIZES = [0, 1, 125, 126, 127, 128, 65_535, 65_536]
REFUSED = (TEXT, b'{"push":{"disconnect":{"code":3501,"reason":"bad request"}}}')
GREEK = "κόσμε \N{GRINNING FACE} \uffff".encode()
DAMAGED = "κόσμε".encode() + b"\xed\xa0\x80" + b"edited"  # half of a pair, as in UTF-16


@pytest.fixture(scope="module")
def server():
    port = processes.free_port()
    words = manage("serve", "--workers", "1", "--port", str(port))
    with running(*words, DJANGO_SETTINGS_MODULE="tests.conformance.echo_settings") as program:
        program.until("server.started")
        eventually(lambda: status(f"http://127.0.0.1:{port}/healthz") == 200)
        yield f"ws://127.0.0.1:{port}"
        assert "Traceback" not in program.said


@pytest.fixture
def echo(server):
    return f"{server}/echo"


@pytest.fixture
def endpoint(server):
    return f"{server}/connection/websocket"


def parts(opcode, *pieces):
    """One message in so many fragments."""
    last = len(pieces) - 1
    return [frame(CONT if n else opcode, p, fin=n == last) for n, p in enumerate(pieces)]


# --- What is right


@pytest.mark.parametrize("chop", [0, 1, 997])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_of_any_size_comes_back(echo, opcode, size, chop):
    data = b"*" * size if opcode == TEXT else (bytes(range(256)) * 256)[:size]
    with opened(echo) as peer:
        peer.say(frame(opcode, data), chop=chop)
        assert peer.hear() == (opcode, data)
        peer.say(close(1000))
        assert peer.rest() == [(CLOSE, 1000)]


@pytest.mark.parametrize("data", [b"", b"Hello", bytes(range(131, 256)), b"\x00\xff\xfe\xfd"])
@pytest.mark.parametrize("chop", [0, 1])
def test_a_ping_is_answered_with_its_own_data(echo, data, chop):
    with opened(echo) as peer:
        peer.say(frame(PING, data) * 10, chop=chop)
        assert [peer.hear() for _ in range(10)] == [(PONG, data)] * 10


def test_a_pong_that_nobody_asked_for_is_passed_over(echo):
    with opened(echo) as peer:
        peer.say(frame(PONG) + frame(PONG, b"unasked") + frame(PING, b"asked"))
        assert peer.hear() == (PONG, b"asked")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_fragments_are_one_message_and_a_ping_between_them_does_not_wait(echo, opcode):
    first, second, third = parts(opcode, b"one", b"", b"two")
    with opened(echo) as peer:
        peer.say(first + frame(PING, b"between") + second + frame(PONG))
        assert peer.hear() == (PONG, b"between")
        peer.say(third + b"".join(parts(opcode, b"", b"", b"")))
        assert [peer.hear(), peer.hear()] == [(opcode, b"onetwo"), (opcode, b"")]


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_characters_may_be_cut_anywhere_by_fragments(echo, step):
    pieces = [GREEK[start : start + step] for start in range(0, len(GREEK), step)]
    with opened(echo) as peer:
        peer.say(b"".join(parts(TEXT, *pieces)))
        assert peer.hear() == (TEXT, GREEK)


# --- What is wrong

FRAMES = {
    **{f"reserved bits {rsv} in a text": frame(TEXT, b"{}", rsv=rsv) for rsv in range(1, 8)},
    "a reserved bit in a ping": frame(PING, rsv=4),
    "a reserved bit in a close": frame(CLOSE, rsv=1),
    **{f"opcode {opcode}": frame(opcode, b"{}") for opcode in (3, 4, 5, 6, 7, *range(11, 16))},
    "no mask": frame(TEXT, b"{}", mask=b""),
    "a ping of 126": frame(PING, b"a" * 126),
    "a ping larger than memory": b"\x89\xff" + b"\x0f" * 8 + peers.MASK + b"a" * 100_000,
    "a ping in fragments": frame(PING, fin=False),
    "a pong in fragments": frame(PONG, fin=False),
    "a close in fragments": frame(CLOSE, fin=False),
    "the end of nothing": frame(CONT, b"{}"),
    "a part of nothing": frame(CONT, b"{}", fin=False),
    "a text within a text": frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"),
    "a part of a text within a text": frame(TEXT, b"{", fin=False) + frame(TEXT, b"}", fin=False),
    "bytes within a text": frame(TEXT, b"{", fin=False) + frame(BINARY, b"}"),
    "a short length in 16 bits": b"\x81" + body(b"{}", form="H"),
    "a short length in 64 bits": b"\x81" + body(b"{}", form="Q"),
    "a negative length": b"\x82\xff" + b"\xff" * 8 + peers.MASK,
    "a close of one octet": frame(CLOSE, b"\x03"),
    "a close with too long a reason": close(1000, b"a" * 124),
    **{
        f"close code {code}": close(code)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    },
}
TEXTS = {
    "half of a pair": DAMAGED,
    "a start alone": b"{\xc3",
    "a cut character": GREEK[:-1],
    "a byte that is none": b"\xfe",
    "a middle alone": b"\x80",
    "longer than needed": b"\xc0\xaf",
    "beyond the last": b"\xf4\x90\x80\x80",
    "five octets": b"\xf8\x88\x80\x80\x80",
}
UNTOLD = {
    **{f"{name}, in fragments": b"".join(parts(TEXT, b"{", *(bytes([o]) for o in data)))
       for name, data in TEXTS.items()},
    "seen before the message ends": frame(TEXT, DAMAGED, fin=False),
    # the rest of it never comes
    "seen before the frame ends": frame(TEXT, DAMAGED + b"a" * 100)[:-100],
    "in the reason of a close": close(1000, DAMAGED),
}  # fmt: skip
WRONG = {
    **{name: (octets, 1002) for name, octets in FRAMES.items()},
    **{name: (frame(TEXT, data), 1007) for name, data in TEXTS.items()},
    **{name: (octets, 1007) for name, octets in UNTOLD.items()},
    "too large": (frame(TEXT, b"a" * 65_537), 3501),
    "too large in fragments": (b"".join(parts(BINARY, b"a" * 40_000, b"a" * 40_000)), 3501),
    "larger than memory": (b"\x81\xff" + b"\x0f" * 8 + peers.MASK, 3501),
}


@pytest.mark.parametrize(("sent", "code"), WRONG.values(), ids=WRONG)
def test_what_is_no_websocket_ends_with_its_code_and_nothing_else(echo, sent, code):
    assert answered(echo, sent + frame(PING) + frame(TEXT, b"more")) == [(CLOSE, code)]


@pytest.mark.parametrize(("sent", "code"), WRONG.values(), ids=WRONG)
def test_a_client_of_the_protocol_is_told_in_its_words_first(endpoint, sent, code):
    assert answered(endpoint, sent) == [REFUSED, (CLOSE, code)]


def test_who_asked_for_protobuf_is_told_in_protobuf(endpoint):
    refused = binary.encode(DisconnectPush(Disconnect.BAD_REQUEST))
    heard = answered(f"{endpoint}?format=protobuf", FRAMES["no mask"])
    assert heard == [(BINARY, refused), (CLOSE, 1002)]


@pytest.mark.parametrize(("query", "opcode"), [("", TEXT), ("?format=protobuf", BINARY)])
def test_a_message_of_nothing_reaches_the_application(endpoint, query, opcode):
    heard = answered(f"{endpoint}{query}", frame(opcode))
    assert [kind for kind, _ in heard] == [opcode, CLOSE]
    assert heard[-1] == (CLOSE, 3501)


# --- The end


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
)
@pytest.mark.parametrize("reason", [b"", "tschüß".encode(), b"a" * 123])
def test_a_close_is_answered_with_its_own_code(echo, code, reason):
    assert answered(echo, close(code, reason)) == [(CLOSE, code)]


def test_a_close_without_a_code_is_answered_without_one(echo):
    assert answered(echo, frame(CLOSE)) == [(CLOSE, None)]


@pytest.mark.parametrize("later", [frame(PING), frame(TEXT, b"late"), close(1001), b"\xff" * 9])
def test_behind_a_close_nothing_is_heard_and_nothing_said(echo, later):
    assert answered(echo, frame(TEXT, b"in part", fin=False) + close(1000) + later) == [
        (CLOSE, 1000)
    ]


CONNECT = frame(TEXT, b'{"id":1,"connect":{}}')


@pytest.mark.parametrize(
    ("last", "heard"),
    [(close(1000), [(CLOSE, 1000)]), (frame(TEXT, rsv=1), [REFUSED, (CLOSE, 1002)])],
    ids=["a close", "an error"],
)
def test_an_answer_that_comes_behind_the_close_frame_does_not_cut_it_off(endpoint, last, heard):
    # of several connections, since the answer may still be in time
    for found in (answered(endpoint, CONNECT + last) for _ in range(10)):
        *answers, end = found
        assert end == heard[-1]
        assert [a for a in answers if b'"id":1' not in a[1]] == heard[:-1]


def test_who_reads_nothing_and_leaves_holds_no_connection(echo):
    large = frame(BINARY, b"a" * 65_000)
    with opened(echo, window=4096) as peer:
        peer.say(large * 200 + close(1000))
        gone = select.poll()
        gone.register(peer.socket, select.POLLHUP)
        assert gone.poll(peers.DEADLINE_S * 1000)
