"""Whose commands a request brings, whatever bytes it has."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from realtime.protocol import client_pb2
from realtime.protocol.codec import emulation
from realtime.protocol.codec.base import Malformed
from realtime.protocol.codec.emulation import Posted


def test_json_brings_its_commands_as_a_text():
    body = b'{"session":"s","node":"n","data":"{\\"id\\":1}\\n{}","later":1}'
    assert emulation.in_text(body) == Posted("n", "s", '{"id":1}\n{}')


def test_protobuf_brings_them_as_bytes():
    body = client_pb2.EmulationRequest(node="n", session="s", data=b"\x00")
    assert emulation.in_binary(body.SerializeToString()) == Posted("n", "s", b"\x00")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"node":"n","session":"s"}',
        b'{"node":"n","session":"s","data":{}}', b'{"node":1,"session":"s","data":""}',
        b'{"node":"n","session":"s","data":null}', b'{"node":"\\ud800","session":"s","data":""}',
        b"[" * 60_000,
    ],
)  # fmt: skip
def test_json_of_another_shape_is_none(body):
    with pytest.raises(Malformed):
        emulation.in_text(body)


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05ab", b"\x0a\x01\xff", b"{}"])
def test_bytes_of_another_shape_are_none(body):
    with pytest.raises(Malformed):
        emulation.in_binary(body)


@given(some.binary())
def test_any_bytes_are_a_request_or_malformed(body):
    for read in (emulation.in_text, emulation.in_binary):
        try:
            assert isinstance(read(body), Posted)
        except Malformed:
            continue


def test_a_secret_is_not_shown():
    assert "hidden" not in repr(Posted("n", "hidden", "{}"))
