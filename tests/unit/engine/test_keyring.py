"""A key believes what it signed, by the algorithms of its kind; keys change without a restart."""

import json
import os
import time
import warnings
from base64 import urlsafe_b64encode
from functools import cache

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from structlog.testing import capture_logs

from realtime.engine import conf, keyring
from realtime.engine.exceptions import InvalidToken, Unavailable

NEW, OLD, STRANGE = ("the new one " * 4).strip(), ("the old one " * 4).strip(), "a stranger's" * 4
PAYLOAD = b'{"sub":"42"}'


def secrets(*given):
    return conf.settings.override(TOKEN_SECRETS=",".join(given))


def hmac(secret, algorithm="HS256", payload=PAYLOAD):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        return jwt.PyJWS().encode(payload, secret, algorithm)


@cache
def rsa_key(number=0, bits=2048):
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(curve=ec.SECP256R1):
    return ec.generate_private_key(curve())


def jwk(private, kid="", **members):
    of = RSAAlgorithm if isinstance(private, rsa.RSAPrivateKey) else ECAlgorithm
    return {**of.to_jwk(private.public_key(), as_dict=True), "kid": kid, **members}


def public(private, algorithm, kid=None, payload=PAYLOAD):
    return jwt.PyJWS().encode(payload, private, algorithm, {"kid": kid} if kid else None)


@pytest.fixture
def jwks(tmp_path):
    """Writes the keys into the file that the setting names."""
    path = tmp_path / "jwks.json"

    def write(*keys, text=None):
        beside = tmp_path / "new"
        beside.write_text(text if text is not None else json.dumps({"keys": keys}))
        beside.rename(path)

    with conf.settings.override(TOKEN_JWKS=str(path)):
        write.path = path
        yield write


def refused(token):
    with pytest.raises(InvalidToken) as raised:
        keyring.verified(token)
    return str(raised.value)


# --- Secrets


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_what_a_secret_signed_is_believed(algorithm):
    with secrets(NEW):
        assert keyring.verified(hmac(NEW, algorithm)) == PAYLOAD
        assert "no key" in refused(hmac(STRANGE, algorithm))


def test_the_first_secret_signs_and_all_verify():
    with secrets(OLD):
        earlier = keyring.signed(PAYLOAD)
    with secrets(NEW, OLD):
        assert keyring.verified(earlier) == PAYLOAD
        later = keyring.signed(PAYLOAD)
    with secrets(f" {NEW} ", ""):
        assert keyring.verified(later) == PAYLOAD
        refused(earlier)


def test_a_short_secret_serves_in_silence():
    with secrets("secret"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert keyring.verified(hmac("secret")) == PAYLOAD
        assert keyring.verified(keyring.signed(PAYLOAD)) == PAYLOAD


def test_without_a_secret_nobody_can_sign(settings):
    assert keyring.secrets() == []
    refused(hmac(settings.SECRET_KEY))
    refused(hmac(b"\0"))


def test_under_development_a_secret_is_made_from_the_key_of_the_site(settings):
    settings.DEBUG = True
    [made] = keyring.secrets()
    assert keyring.verified(keyring.signed(PAYLOAD)) == PAYLOAD
    assert len(made) == 32
    refused(hmac(settings.SECRET_KEY))
    settings.SECRET_KEY += "!"
    assert keyring.secrets() != [made]


def test_a_secret_that_was_given_is_the_only_one_under_development(settings):
    settings.DEBUG = True
    with secrets(NEW):
        assert keyring.secrets() == [NEW.encode()]


# --- Public keys


def test_an_rsa_and_an_ec_key_are_believed(jwks):
    jwks(jwk(rsa_key(), "a"), jwk(ec_key(), "b"))
    assert keyring.verified(public(rsa_key(), "RS256", "a")) == PAYLOAD
    assert keyring.verified(public(ec_key(), "ES256", "b")) == PAYLOAD


def test_the_kid_chooses_and_without_one_every_fitting_key_is_tried(jwks):
    jwks(jwk(ec_key(), "e"), jwk(rsa_key(), "a"), jwk(rsa_key(1), "b"))
    assert keyring.verified(public(rsa_key(1), "RS256")) == PAYLOAD
    assert keyring.verified(public(rsa_key(1), "RS256", "b")) == PAYLOAD
    refused(public(rsa_key(1), "RS256", "a"))
    refused(public(rsa_key(1), "RS256", "unknown"))
    refused(public(rsa_key(2), "RS256"))


def test_a_key_serves_the_algorithm_of_its_kind_alone(jwks):
    jwks(jwk(rsa_key(), "a"), jwk(ec_key(), "b"))
    for algorithm in ("RS384", "RS512", "PS256"):
        assert "algorithm" in refused(public(rsa_key(), algorithm))
    refused(public(ec_key(), "ES256", "a"))


def test_none_is_no_algorithm(jwks):
    jwks(jwk(rsa_key()))
    with secrets(NEW):
        refused(jwt.PyJWS().encode(PAYLOAD, "", "none"))
        for spelt in ("none", "None", "", "hs256", "HS1"):
            refused(forged({"alg": spelt}))
        refused(forged({}))
        refused(forged({"alg": None}))


@pytest.mark.parametrize("shape", ["pem", "der", "jwk"])
def test_a_public_key_is_no_secret(jwks, shape):
    jwks(jwk(rsa_key(), "a"))
    key = rsa_key().public_key()
    secret = {
        "pem": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(jwk(rsa_key(), "a")).encode(),
    }[shape]
    signing, _, _ = forged({"alg": "HS256", "kid": "a"}).rpartition(".")
    signature = jwt.get_algorithm_by_name("HS256").sign(signing.encode(), secret)
    with secrets(NEW):
        refused(f"{signing}.{segment(signature)}")


def test_a_secret_in_the_file_is_no_key(jwks):
    jwks(jwk(rsa_key()), {"kty": "oct", "k": segment(STRANGE.encode()), "alg": "HS256"})
    refused(hmac(STRANGE))


def test_keys_for_something_else_are_passed_over():
    others = [
        jwk(rsa_key(), use="enc"),
        jwk(rsa_key(), alg="RS512"),
        jwk(ec_key(ec.SECP384R1)),
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "new"},
    ]
    [key] = keyring.parse(json.dumps({"keys": [*others, jwk(rsa_key(), "a")]}).encode())
    assert (key.kid, key.algorithm) == ("a", "RS256")
    with pytest.raises(ValueError, match="no public key"):
        keyring.parse(json.dumps({"keys": others}).encode())


def test_of_a_private_key_the_public_half_is_taken():
    private = RSAAlgorithm.to_jwk(rsa_key(), as_dict=True)
    [key] = keyring.parse(json.dumps({"keys": [private]}).encode())
    assert isinstance(key.key, rsa.RSAPublicKey)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (lambda: jwk(rsa_key(bits=1024), "short"), '"short" has 1024 bits'),
        (lambda: jwk(rsa_key(), "odd", n="!"), '"odd" cannot be read'),
        (lambda: jwk(ec_key(), "off", x="AAAA"), '"off" cannot be read'),
        (lambda: jwk(rsa_key(), kid=7), "str"),
    ],
)
def test_a_key_that_cannot_be_trusted_spoils_its_file(key, says):
    with pytest.raises(ValueError, match=says):
        keyring.parse(json.dumps({"keys": [key()]}).encode())


@given(st.binary() | st.recursive(st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
def test_a_file_of_anything_is_refused_in_words(text):
    with pytest.raises(ValueError, match=r"."):
        keyring.parse(text)


def test_a_file_that_is_nested_without_end_is_refused():
    with pytest.raises(ValueError, match="nested"):
        keyring.parse(b'{"keys":[{"kty":"RSA","other":' + b"[" * 100_000)


def test_a_file_without_end_is_refused(jwks):
    jwks(text=" " * (keyring.LARGEST_FILE_BYTES + 1))
    with pytest.raises(ValueError, match="bytes"):
        keyring.read(str(jwks.path))


# --- Rotation of the file


def test_a_new_file_is_noticed_without_a_restart(jwks):
    jwks(jwk(rsa_key(), "a"))
    earlier, later = public(rsa_key(), "RS256", "a"), public(rsa_key(1), "RS256", "b")
    assert keyring.verified(earlier) == PAYLOAD
    refused(later)
    jwks(jwk(rsa_key(), "a"), jwk(rsa_key(1), "b"))
    assert keyring.verified(earlier) == keyring.verified(later) == PAYLOAD
    jwks(jwk(rsa_key(1), "b"))
    refused(earlier)
    assert keyring.verified(later) == PAYLOAD


def test_a_file_written_in_place_is_noticed_by_its_time(jwks):
    jwks(jwk(rsa_key(), "a"))
    keyring.verified(public(rsa_key(), "RS256"))
    jwks.path.write_text(json.dumps({"keys": [jwk(rsa_key(1), "a")]}))
    os.utime(jwks.path, (time.time() + 60,) * 2)
    assert keyring.verified(public(rsa_key(1), "RS256")) == PAYLOAD


@pytest.mark.parametrize("fault", ["{", "gone"])
def test_while_the_file_is_broken_the_last_keys_hold_and_it_is_said_once(jwks, fault):
    jwks(jwk(rsa_key(), "a"))
    token = public(rsa_key(), "RS256", "a")
    with capture_logs() as lines:
        assert keyring.verified(token) == PAYLOAD
        if fault == "gone":
            jwks.path.unlink()
        else:
            jwks(text=fault)
        assert [keyring.verified(token) for _ in range(3)] == [PAYLOAD] * 3
        jwks(jwk(rsa_key(1), "b"))
        refused(token)
    assert [line["event"] for line in lines] == ["jwks.read", "jwks.refused", "jwks.read"]
    assert lines[0]["keys"] == ["a"]


def test_a_file_that_never_could_be_read_says_nothing_about_a_token(jwks):
    token = public(rsa_key(), "RS256")
    with secrets(NEW):
        with pytest.raises(Unavailable):
            keyring.verified(token)
        assert keyring.verified(hmac(NEW)) == PAYLOAD
        refused(forged({"alg": "none"}))
    jwks(jwk(rsa_key()))
    assert keyring.verified(token) == PAYLOAD


def test_without_a_file_public_keys_are_unknown():
    refused(public(rsa_key(), "RS256"))


# --- Anything at all


def segment(value):
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def forged(header, payload=PAYLOAD, signature=b"x"):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return ".".join(map(segment, (text, payload, signature)))


@given(st.text())
def test_any_text_is_refused(text):
    with secrets(NEW):
        refused(text)


@given(st.lists(st.binary(), min_size=1, max_size=4))
def test_any_bytes_in_the_form_of_a_token_are_refused(parts):
    with secrets(NEW):
        refused(".".join(map(segment, parts)))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5c"]),
        st.sampled_from(["HS256", "RS256", "none", "b64", False]) | json_values,
    ),
    st.binary(),
    st.binary(),
)
def test_any_header_is_refused_without_a_signature(header, payload, signature):
    with secrets(NEW):
        refused(forged(header, payload, signature))


def test_a_header_that_must_be_understood_is_refused():
    with secrets(NEW):
        for header in ({"crit": ["exp"], "exp": 1}, {"b64": False, "crit": ["b64"]}):
            refused(jwt.PyJWS().encode(PAYLOAD, NEW, "HS256", header))


def test_a_header_nested_without_end_is_refused():
    bomb = b'{"alg":"HS256","x":' + b"[" * 9000
    with secrets(NEW):
        assert "header" in refused(forged(bomb))


def test_a_changed_token_is_refused():
    with secrets(NEW):
        token = keyring.signed(PAYLOAD)
        for place in range(len(token)):
            other = "A" if token[place] != "A" else "B"
            refused(token[:place] + other + token[place + 1 :])
        for wrong in (
            token + "=",
            token + "\n",
            f" {token}",
            f"{token}.x",
            token.rpartition(".")[0],
        ):
            refused(wrong)


def test_a_huge_token_is_refused_unread(monkeypatch):
    monkeypatch.setattr(keyring, "SHAPE", None)  # whoever looks into it fails
    with secrets(NEW):
        assert "long" in refused(hmac(NEW, payload=b" " * keyring.LONGEST))
        refused("x" * 10_000_000)
