"""Which pages may open a socket with the visitor's cookie."""

import pytest

from realtime.engine import origins


@pytest.mark.parametrize(
    ("origin", "scheme", "host", "fine"),
    [
        ("http://localhost:8000", "http", "localhost:8000", True),
        ("http://LOCALHOST:8000", "http", "localhost:8000", True),
        ("https://tocsin.test", "https", "tocsin.test", True),
        ("https://tocsin.test:443", "https", "tocsin.test", True),
        ("http://[::1]:8000", "http", "[::1]:8000", True),
        ("http://tocsin.test", "https", "tocsin.test", False),
        ("https://tocsin.test:8443", "https", "tocsin.test", False),
        ("http://localhost", "http", "localhost:8000", False),
        ("http://evil.test", "http", "localhost:8000", False),
        ("http://localhost:8000.evil.test", "http", "localhost:8000", False),
        ("http://localhost:8000@evil.test", "http", "localhost:8000", False),
        ("http://user@localhost:8000", "http", "localhost:8000", False),
        ("http://localhost:8000/path", "http", "localhost:8000", False),
        ("http://localhost:8000, http://evil.test", "http", "localhost:8000", False),
        ("http://localhost:99999", "http", "localhost:8000", False),
        ("http://löcalhost:8000", "http", "löcalhost:8000", False),
        ("file://", "http", "localhost:8000", False),
        ("null", "http", "localhost:8000", False),
        ("", "http", "localhost:8000", False),
    ],
)
def test_scheme_host_and_port_must_be_those_of_the_request(origin, scheme, host, fine):
    assert origins.allowed([origin], scheme=scheme, host=host, trusted=[]) is fine


def test_several_origins_are_none():
    both = ["http://localhost", "http://localhost"]
    assert not origins.allowed(both, scheme="http", host="localhost", trusted=[])


@pytest.mark.parametrize(
    ("trusted", "fine"),
    [
        ("https://pages.test", True),
        ("https://*.test", True),
        ("http://pages.test", False),
        ("https://pages.test:8443", False),
        ("https://*.pages.test", False),
        ("https://*.ages.test", False),
    ],
)
def test_trusted_origins_may_be_elsewhere(trusted, fine):
    found = origins.allowed(
        ["https://pages.test"], scheme="https", host="live.test", trusted=[trusted]
    )
    assert found is fine


def test_the_host_must_be_one_of_the_site():
    assert origins.known_host("localhost:8000", ["localhost"])
    assert not origins.known_host("evil.test", ["localhost"])
    assert not origins.known_host("a b", ["*"])
