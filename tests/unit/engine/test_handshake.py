"""What a request says about who asks, from which page, in which form."""

import pytest

from realtime.engine.handshake import Handshake
from realtime.protocol.codec import binary, text

HOST = (b"host", b"tocsin.example")
ORIGIN = (b"origin", b"https://tocsin.example")


@pytest.fixture(autouse=True)
def _site(settings):
    settings.ALLOWED_HOSTS = ["tocsin.example"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://friend.example"]
    settings.SECURE_PROXY_SSL_HEADER = None


def asked(*headers, scheme="https", **scope):
    return Handshake({"headers": [*headers], "scheme": scheme, **scope})


@pytest.mark.parametrize(
    ("offered", "spoken"),
    [
        ([], None),
        (["centrifuge-json"], "centrifuge-json"),
        (["centrifuge-json", "centrifuge-protobuf"], "centrifuge-protobuf"),
        (["", "chat", "centrifuge-json"], "centrifuge-json"),
        (["chat"], None),
    ],
)
def test_what_is_spoken_is_one_of_those_offered(offered, spoken):
    assert asked(subprotocols=offered).subprotocol == spoken


@pytest.mark.parametrize(
    ("query", "offered", "codec"),
    [
        (b"", [], text),
        (b"format=protobuf", [], binary),
        (b"cf_protocol=protobuf", [], binary),
        (b"format=json&cf_protocol=protobuf", [], binary),
        (b"format=proto", [], text),
        (b"format=protobuf", ["centrifuge-json"], text),
        (b"", ["centrifuge-protobuf"], binary),
        (b"\xff=%ff", [], text),
    ],
)
def test_the_subprotocol_says_the_form_and_else_the_query(query, offered, codec):
    assert asked(query_string=query, subprotocols=offered).codec is codec


def test_without_a_query_it_is_text():
    assert asked().codec is text


@pytest.mark.parametrize(
    ("client", "address"), [(("192.0.2.1", 5), "192.0.2.1"), (None, ""), ((), "")]
)
def test_the_address_is_that_of_the_client_where_it_is_known(client, address):
    assert asked(client=client).address == address


@pytest.mark.parametrize(
    ("scheme", "header", "values", "found"),
    [
        ("wss", None, [], "https"),
        ("https", None, [], "https"),
        ("ws", None, [], "http"),
        ("http", None, [b"https"], "http"),
        ("ws", ("HTTP_X_FORWARDED_PROTO", "https"), [b"https"], "https"),
        ("ws", ("HTTP_X_FORWARDED_PROTO", "https"), [b"http"], "http"),
        ("ws", ("HTTP_X_FORWARDED_PROTO", "https"), [b"https", b"http"], "http"),
    ],
)
def test_the_scheme_is_that_of_the_page_also_behind_a_proxy(
    settings, scheme, header, values, found
):
    settings.SECURE_PROXY_SSL_HEADER = header
    headers = [(b"X-Forwarded-Proto", value) for value in values]
    assert asked(*headers, scheme=scheme).scheme == found


@pytest.mark.parametrize(
    ("headers", "acceptable"),
    [
        ([HOST], True),
        ([HOST, ORIGIN], True),
        ([HOST, (b"origin", b"https://friend.example")], True),
        ([HOST, (b"origin", b"https://evil.example")], False),
        ([HOST, (b"origin", b"http://tocsin.example")], False),
        ([HOST, (b"origin", b"null")], False),
        ([HOST, ORIGIN, (b"origin", b"https://evil.example")], False),
        ([(b"host", b"evil.example")], False),
        ([HOST, HOST], False),
        ([], False),
    ],
)
def test_only_a_page_of_the_site_or_a_friend_and_a_program_may_ask(headers, acceptable):
    assert asked(*headers).acceptable is acceptable


def test_who_offers_nothing_that_is_spoken_here_is_refused():
    assert not asked(HOST, subprotocols=["chat"]).acceptable
    assert asked(HOST, subprotocols=["chat", "centrifuge-json"]).acceptable


OWN = (b"Sec-Fetch-Site", b"same-origin")


@pytest.mark.parametrize(
    ("kind", "headers", "key"),
    [
        ("websocket", [ORIGIN], "abc"),
        ("http", [ORIGIN], "abc"),
        ("http", [OWN], "abc"),
        ("websocket", [OWN], ""),
        ("http", [(b"sec-fetch-site", b"cross-site")], ""),
        ("http", [(b"sec-fetch-site", b"none")], ""),
        ("http", [OWN, (b"sec-fetch-site", b"cross-site")], ""),
        ("http", [], ""),
    ],
)
def test_a_cookie_counts_where_a_page_has_asked(settings, kind, headers, key):
    cookie = (b"cookie", f"{settings.SESSION_COOKIE_NAME}=abc".encode())
    assert asked(cookie, *headers, type=kind).session_key == key


@pytest.mark.parametrize(
    ("cookies", "key"),
    [
        ([], ""),
        ([b"other=1"], ""),
        ([b"other=1; {name}=abc"], "abc"),
        ([b"other=1", b"{name}=abc"], "abc"),
        ([b"{name}=\xff"], ""),
        ([b'{name}="a\\001b"'], ""),
    ],
)
def test_the_key_is_found_among_all_cookies_and_is_plain_text(settings, cookies, key):
    name = settings.SESSION_COOKIE_NAME.encode()
    headers = [(b"cookie", cookie.replace(b"{name}", name)) for cookie in cookies]
    assert asked(ORIGIN, *headers).session_key == key
