"""What programs ask of the server API, as it is read."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from realtime.engine import requests
from realtime.engine.exceptions import BadRequest


def b64(data):
    return base64.b64encode(data).decode()


def test_a_request_is_read_with_what_it_leaves_out():
    found = requests.read(
        "publish", b'{"channel": "a", "data": {"b": [1,  2]}, "new": 1, "tags": null}'
    )
    assert (found.channel, bytes(found.data), found.tags) == ("a", b'{"b": [1,  2]}', None)
    assert requests.read("info", b"") == requests.Info()


@pytest.mark.parametrize("method", sorted(requests.METHODS))
@given(st.binary() | st.text().map(str.encode))
def test_whatever_comes_is_read_or_refused(method, body):
    with contextlib.suppress(BadRequest):
        requests.read(method, body)


@pytest.mark.parametrize(
    ("raw", "b64data", "expected"),
    [
        (b'{"a": 1.50}', None, ('{"a": 1.50}', None)),
        (b"null", None, ("null", None)),
        (b"", None, (None, None)),
        (b"", "", (None, None)),
        (b"1", b64(b"2"), ("2", None)),
        (b"1", b64(b"\xff"), (None, b"\xff")),
    ],
)
def test_a_payload_is_json_or_bytes(raw, b64data, expected):
    assert requests.payload(Raw(raw), b64data, "data") == expected


@pytest.mark.parametrize(
    ("raw", "b64data"), [(b'"\xff"', None), (b"[" * 9999, None), (b"1", "%"), (b"1", "é")]
)
def test_a_payload_that_nobody_could_read_is_refused(raw, b64data):
    with pytest.raises(BadRequest, match="data"):
        requests.payload(Raw(raw), b64data, "data")


def test_where_json_is_asked_for_bytes_are_refused():
    assert requests.json_of(Raw(), b64(b"[1]"), "info") == "[1]"
    with pytest.raises(BadRequest, match="b64info"):
        requests.json_of(Raw(), b64(b"\xff"), "info")
