"""What a believed token says, and each reason to refuse one."""

import json
from base64 import b64encode

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.engine import api, conf, keyring, tokens
from realtime.engine.tokens import ExpiredToken, InvalidToken, TopicOptions

SECRET = "a secret that is long enough for any test"
NOW = 1_700_000_000.0
NOTHING = TopicOptions(info=None, data=None, override={})


@pytest.fixture(autouse=True, scope="module")
def _secret():
    with conf.settings.override(TOKEN_SECRETS=SECRET, TOKEN_LEEWAY_S=5.0):
        yield


def signed(claims):
    return keyring.signed(claims if isinstance(claims, bytes) else json.dumps(claims).encode())


def connected(now=NOW, **claims):
    return tokens.connection(signed(claims), now)


def subscribed(now=NOW, **claims):
    return tokens.subscription(signed({"channel": "room:1", **claims}), now)


either = pytest.mark.parametrize("read", [connected, subscribed])


# --- Connections


def test_a_token_with_nothing_but_a_user_is_enough():
    token = connected(sub="42")
    assert token.user == "42"
    assert (token.expire_at, token.info, token.issued_at) == (None,) * 3
    assert (token.topics, token.subs, token.token_id) == ((), {}, "")


def test_a_token_without_a_user_is_nobody_s():
    assert connected().user == ""


def test_every_claim_of_a_connection_is_read():
    token = connected(
        sub="42",
        exp=NOW + 60,
        nbf=NOW,
        iat=NOW - 1,
        jti="abc",
        info={"name": "Ada"},
        channels=["room:1", "room:2", "room:1"],
        subs={"room:3": {"data": 1, "override": {"presence": {"value": True}}}, "room:4": {}},
        meta={"not": "used"},
        unknown={"x": None},
    )
    assert token.expire_at == NOW + 65
    assert token.info == '{"name":"Ada"}'
    assert token.topics == ("room:1", "room:2")
    assert token.subs == {"room:3": TopicOptions(None, "1", {"presence": True}), "room:4": NOTHING}
    assert (token.issued_at, token.token_id) == (NOW - 1, "abc")


def test_a_token_for_a_topic_does_not_connect():
    for channel in ("room:1", ""):
        with pytest.raises(InvalidToken, match="topic"):
            connected(sub="42", channel=channel)


# --- Subscriptions


def test_every_claim_of_a_subscription_is_read():
    switches = {
        "presence": True,
        "join_leave": False,
        "force_push_join_leave": True,
        "force_positioning": False,
        "force_recovery": True,
    }
    token = subscribed(
        sub="42",
        client="c-1",
        info={"colour": "red"},
        data=[1, 2],
        override={name: {"value": value} for name, value in switches.items()} | {"new": 1},
        exp=NOW + 60.5,
        iat=NOW,
        jti="abc",
    )
    assert (token.user, token.topic, token.client) == ("42", "room:1", "c-1")
    assert token.options == TopicOptions('{"colour":"red"}', "[1,2]", switches)
    assert (token.expire_at, token.issued_at, token.token_id) == (NOW + 65.5, NOW, "abc")


def test_a_token_with_nothing_but_a_topic_is_enough():
    token = subscribed()
    assert (token.user, token.client, token.options, token.expire_at) == ("", "", NOTHING, None)


def test_a_token_without_a_topic_does_not_subscribe():
    for claims in ({"sub": "42"}, {"sub": "42", "channel": ""}):
        with pytest.raises(InvalidToken, match="topic"):
            tokens.subscription(signed(claims), NOW)


# --- Time


@either
def test_a_token_is_good_until_its_expiry_and_the_leeway(read):
    assert read(exp=NOW - 4.9).expire_at == pytest.approx(NOW + 0.1)
    with pytest.raises(ExpiredToken):
        read(exp=NOW - 5)


@either
def test_a_token_is_good_from_its_beginning_less_the_leeway(read):
    read(nbf=NOW + 5)
    with pytest.raises(ExpiredToken, match="not valid yet"):
        read(nbf=NOW + 5.1)


@either
def test_a_token_from_a_clock_further_ahead_than_the_leeway_waits_for_its_time(read):
    assert read(iat=NOW + 5).issued_at == NOW + 5
    with pytest.raises(ExpiredToken, match="not valid yet"):
        read(iat=NOW + 5.1)


@either
def test_expire_at_says_when_the_connection_or_subscription_ends(read):
    assert read(exp=NOW + 1, expire_at=NOW + 100).expire_at == NOW + 105
    assert read(exp=NOW + 1, expire_at=0).expire_at is None
    assert read(expire_at=NOW - 100).expire_at == NOW - 95
    with pytest.raises(ExpiredToken):
        read(exp=NOW - 10, expire_at=NOW + 100)


@either
def test_the_clock_is_this_machine_s_unless_told(read):
    token = signed({"exp": 1000} | ({"channel": "a:b"} if read is subscribed else {}))
    with pytest.raises(ExpiredToken):
        (tokens.subscription if read is subscribed else tokens.connection)(token)


@either
def test_no_leeway_is_none(read):
    with conf.settings.override(TOKEN_LEEWAY_S=0.0):
        assert read(exp=NOW + 1).expire_at == NOW + 1
        with pytest.raises(ExpiredToken):
            read(exp=NOW)


# --- Issuer and audience


@either
def test_any_issuer_and_audience_will_do_where_none_is_demanded(read):
    read()
    read(iss="a", aud="b")
    read(aud=["b", "c"])


@either
def test_the_audience_must_be_among_those_of_the_token(read):
    with conf.settings.override(TOKEN_AUDIENCE="tocsin"):
        read(aud="tocsin")
        read(aud=["other", "tocsin"])
        for claims in ({}, {"aud": "toc"}, {"aud": "tocsin2"}, {"aud": []}, {"aud": ["Tocsin"]}):
            with pytest.raises(InvalidToken, match="audience"):
                read(**claims)


@either
def test_the_issuer_must_be_the_one(read):
    with conf.settings.override(TOKEN_ISSUER="https://id.example"):
        read(iss="https://id.example")
        for claims in ({}, {"iss": "https://id.example/"}, {"iss": "https"}):
            with pytest.raises(InvalidToken, match="issuer"):
                read(**claims)


@either
def test_who_is_wrong_and_late_is_wrong(read):
    with conf.settings.override(TOKEN_ISSUER="me"), pytest.raises(InvalidToken):
        read(exp=1)
    with pytest.raises(InvalidToken):
        read(exp=1, b64info="!")


# --- JSON in claims


@either
def test_info_comes_on_one_line_and_with_its_own_digits(read):
    text = b'{"info":{ "a" :\n1.10,\n"b": 123456789012345678901234567890}, "channel":"a:b"}'
    if read is connected:
        info = tokens.connection(signed(text.replace(b"channel", b"x"))).info
    else:
        info = tokens.subscription(signed(text)).options.info
    assert info == '{"a":1.10,"b":123456789012345678901234567890}'


def test_info_and_data_may_come_in_base64_which_wins():
    encoded = b64encode('{"ü": "\\n"}'.encode()).decode()
    assert connected(b64info=encoded, info=1).info == '{"ü":"\\n"}'
    options = subscribed(b64info=encoded, b64data=b64encode(b"[1, 2]").decode()).options
    assert (options.info, options.data) == ('{"ü":"\\n"}', "[1,2]")
    assert connected(subs={"a:b": {"b64data": encoded}}).subs["a:b"].data == '{"ü":"\\n"}'


@pytest.mark.parametrize("value", ["!", "YQ", "_w==", b64encode(b"\xff\xfe").decode(), "e30=\n"])
def test_base64_of_what_is_no_json_is_refused(value):
    for claims in ({"b64info": value}, {"subs": {"a:b": {"b64data": value}}}):
        with pytest.raises(InvalidToken, match="JSON"):
            connected(**claims)
    with pytest.raises(InvalidToken, match="JSON"):
        subscribed(b64data=value)


def test_an_info_of_null_is_none():
    assert connected(info=None).info is None


@pytest.mark.parametrize("text", [b'{"info":"\xff"}', b'{"info":"\\ud800"}', b'{"info":1e999}'])
def test_an_info_that_others_could_not_read_is_refused(text):
    with pytest.raises(InvalidToken):
        tokens.connection(signed(text))


@pytest.mark.parametrize("claim", [b"info", b"meta", b"unknown", b"subs"])
def test_claims_nested_without_end_are_refused(claim):
    for inner in (b"[" * 5000 + b"]" * 5000, b'{"a":' * 1500 + b"1" + b"}" * 1500, b"[" * 9000):
        with pytest.raises(InvalidToken):
            tokens.connection(signed(b'{"' + claim + b'":' + inner + b"}"))


# --- Refusals


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": 42},
        {"sub": "4\x002"},
        {"jti": "4\x002"},
        {"sub": None},
        {"exp": None},
        {"exp": "1700000000"},
        {"exp": True},
        {"exp": []},
        {"nbf": "now"},
        {"nbf": None},
        {"iat": {}},
        {"expire_at": None},
        {"expire_at": "0"},
        {"jti": 1},
        {"iss": ["a"]},
        {"aud": 1},
        {"aud": [1]},
        {"b64info": 1},
        {"override": {"presence": True}},
        {"override": {"presence": {}}},
        {"override": {"presence": {"value": 1}}},
        {"override": []},
    ],
    ids=str,
)
@either
def test_a_claim_of_the_wrong_type_is_refused(read, claims):
    with pytest.raises(InvalidToken):
        read(**claims)


@pytest.mark.parametrize(
    "claims",
    [
        {"channels": "room:1"},
        {"channels": [1]},
        {"channels": [None]},
        {"subs": ["room:1"]},
        {"subs": {"room:1": None}},
        {"subs": {"room:1": {"override": {"presence": {"value": "no"}}}}},
        {"channel": None},
    ],
    ids=str,
)
def test_topics_of_the_wrong_type_are_refused(claims):
    with pytest.raises(InvalidToken):
        connected(**claims)


def test_claims_that_are_no_object_are_refused():
    for payload in (b"", b"[]", b'"a"', b"null", b"{", b"{}{}", b"\xff", b"1e999"):
        with pytest.raises(InvalidToken):
            tokens.connection(signed(payload))


def test_a_refusal_repeats_nothing_of_the_token():
    for claims in ({"sub": ["planted"]}, {"subs": {"planted": 1}}, {"b64info": "planted"}):
        with pytest.raises(InvalidToken) as raised:
            connected(**claims)
        assert "planted" not in str(raised.value)


REFUSALS = (InvalidToken, ExpiredToken)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
NAMES = [
    *("sub", "exp", "nbf", "iat", "expire_at", "iss", "aud", "jti", "channel", "client"),
    *("channels", "subs", "meta", "info", "b64info", "data", "b64data", "override"),
]


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_whatever_the_text_it_is_refused_and_nothing_else_happens(text):
    for read in (tokens.connection, tokens.subscription):
        with pytest.raises(REFUSALS):
            read(text)


@given(st.dictionaries(st.sampled_from(NAMES), anything) | anything)
def test_whatever_the_claims_a_token_is_read_or_refused(claims):
    token = signed(claims)
    for read in (tokens.connection, tokens.subscription):
        try:
            believed = read(token, NOW)
        except REFUSALS:
            continue
        for text in (believed.info,) if read is tokens.connection else ():
            assert text is None or "\n" not in text


@given(st.binary())
@example(b"{}")  # nobody in particular: the one thing so short that may connect
def test_whatever_was_signed_is_read_or_refused(payload):
    for read in (tokens.connection, tokens.subscription):
        try:
            believed = read(signed(payload))
        except REFUSALS:
            continue
        assert read is tokens.connection
        assert believed.user == ""


# --- Issuing


def test_a_token_that_was_issued_connects_for_an_hour():
    token = tokens.connection(api.token("42", info={"a": 1}, channels=["room:1"]))
    assert (token.user, token.info) == ("42", '{"a":1}')
    assert token.topics == ("room:1",)
    assert token.expire_at - token.issued_at == pytest.approx(3605, abs=0.01)
    assert token.token_id != tokens.connection(api.token("42")).token_id


def test_a_token_is_not_younger_than_it_is(monkeypatch):
    """Else one that is revoked in the same millisecond with all of a person would live on."""
    monkeypatch.setattr(tokens.time, "time", lambda: 1_700_000_000.0009)
    assert tokens.connection(api.token("7")).issued_at == 1_700_000_000.0


def test_a_token_that_was_issued_for_a_topic_subscribes_to_it():
    token = tokens.subscription(
        api.token("42", topic="room:1", expires_in_s=60, client="c", data={"x": 1})
    )
    assert (token.user, token.topic, token.client) == ("42", "room:1", "c")
    assert token.options.data == '{"x":1}'
    assert token.expire_at - token.issued_at == pytest.approx(65, abs=0.01)


def test_a_token_may_live_for_ever_or_have_run_out():
    assert tokens.connection(api.token("42", expires_in_s=None)).expire_at is None
    with pytest.raises(ExpiredToken):
        tokens.connection(api.token("42", exp=NOW))


def test_the_life_is_a_setting():
    with conf.settings.override(TOKEN_LIFE_S=60.0):
        token = tokens.connection(api.token("42"))
    assert token.expire_at - token.issued_at == pytest.approx(65, abs=0.01)


def test_what_is_issued_names_the_audience_and_the_issuer_that_are_demanded():
    with conf.settings.override(TOKEN_AUDIENCE="a", TOKEN_ISSUER="i"):
        assert tokens.connection(api.token("42")).user == "42"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"expires_in_s": 0}, "cannot live for 0 s"),
        ({"expires_in_s": -1.5}, "None: for ever"),
        ({"expires_in_s": float("nan")}, "cannot live for nan s"),
        ({"expires_in_s": float("inf")}, "cannot live for inf s"),
        ({"topic": "a:b", "channels": ["a:c"]}, "one topic"),
        ({"info": float("nan")}, "JSON"),
        ({"exp": "soon"}, "would be refused"),
        ({"override": {"presence": True}, "topic": "a:b"}, r"\$\.override\.presence"),
        ({"b64info": "!"}, "must be JSON"),
        ({"info": "x" * 20_000}, "too long"),
        ({"channel": ""}, "would be refused"),
    ],
    ids=str,
)
def test_what_would_be_refused_is_not_issued(arguments, says):
    with pytest.raises(ValueError, match=says):
        api.token("42", **arguments)


def test_a_user_is_named_by_the_id_as_a_text():
    with pytest.raises(TypeError, match="not int"):
        api.token(42)


def test_who_the_token_is_for_cannot_be_said_twice():
    assert tokens.connection(api.token("42", sub="1")).user == "42"


def test_without_a_key_nothing_is_issued():
    with (
        conf.settings.override(TOKEN_SECRETS=""),
        pytest.raises(ImproperlyConfigured, match="TOCSIN_TOKEN_SECRETS"),
    ):
        api.token("42")
