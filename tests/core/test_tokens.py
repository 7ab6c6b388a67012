"""Session tokens: shape, class, signature, claims."""

import base64
import hashlib
import hmac
import json
import re
import string

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.reasons import Reason
from gateway.core.token_class import CATEGORY_IGNORE, CATEGORY_SESSION
from gateway.core.tokens import (
    MAX_BYTES,
    MAX_HEADERS,
    Expectations,
    TokenError,
    check_claims,
    check_signature,
    check_times,
    may_be_from,
    parse,
)
from tests.core.minting import APP, ISSUER, M2M, NOW, TEMPLATE, b64, claims_of, known_keys, mint, private_key, sign

HEADER = b'{"alg":"RS256","kid":"key_1","typ":"JWT"}'
PAYLOAD = b'{"sub":"user_1","exp":1800000055}'
GOOD = sign(HEADER, PAYLOAD)
H, P, S = GOOD.split(".")


def joined(parts: list[bytes]) -> str:
    return ".".join(map(b64, parts))


def invalid(token: str) -> TokenError:
    with pytest.raises(TokenError) as caught:
        parse(token)
    assert caught.value.reason is Reason.TOKEN_INVALID
    return caught.value


def test_a_token_is_parsed():
    token = parse(GOOD)
    assert (token.header["alg"], token.kid, token.payload) == ("RS256", "key_1", json.loads(PAYLOAD))
    assert token.signing_input == f"{H}.{P}".encode()
    assert token.is_session


def test_neither_a_token_nor_its_error_prints_the_token():
    token = parse(GOOD)
    assert S[:20] not in repr(token)
    assert repr(token.signature) not in repr(token)
    assert repr(token.signing_input) not in repr(token)
    assert "secret" not in str(invalid("secret.secret!.secret"))


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="nothing"),
        pytest.param("abc", id="one part"),
        pytest.param(f"{H}.{P}", id="two parts"),
        pytest.param(f"{GOOD}.", id="four parts"),
        pytest.param(f"{H}.{P}.{S}.{S}.{S}", id="five parts: JWE"),
        pytest.param(f"{H}.{P}.", id="an empty signature"),
        pytest.param(f".{P}.{S}", id="an empty header"),
        pytest.param(f"{H}..{S}", id="an empty payload: detached content"),
        pytest.param(f"{H}.{P}.{S}=", id="padding on the signature"),
        pytest.param(f"{H}=.{P}.{S}", id="padding on the header"),
        pytest.param(f" {GOOD}", id="a blank in front"),
        pytest.param(f"{GOOD}\n", id="a line feed at the end"),
        pytest.param(f"{H}\n.{P}.{S}", id="a line feed inside"),
        pytest.param(f"{H}.{P}.{S[:10]} {S[10:]}", id="a blank inside"),
        pytest.param(f"{H}.{P}.A", id="a length that base64 cannot have"),
        pytest.param(f"{H}.{P}.++//", id="the standard alphabet"),
        pytest.param(f"{H}.{P}.é", id="not ASCII"),
        pytest.param(f"{H}.{P}.\ud800", id="no Unicode"),
        pytest.param(f"{H}.{P}.%41", id="percent-encoded"),
        pytest.param("\x00.\x00.\x00", id="null bytes"),
    ],
)
def test_a_token_of_another_shape_is_invalid(token: str):
    invalid(token)


def test_a_second_spelling_of_the_same_bytes_is_invalid():
    """RSA-2048 signatures have 256 bytes, so their last character has four spare bits."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    decoded = base64.urlsafe_b64decode(S + "==")
    twins = [
        letter for letter in alphabet if letter != S[-1] and base64.urlsafe_b64decode(f"{S[:-1]}{letter}==") == decoded
    ]
    assert len(twins) == 15
    for letter in twins:
        assert "canonical" in invalid(f"{GOOD[:-1]}{letter}").message


def is_canonical(part: str) -> bool:
    """Say it from the other end: of all spellings of some bytes, the one that an encoder without padding writes."""
    try:
        data = base64.b64decode(part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return False
    return bool(data) and b64(data) == part


@given(st.text("AQgwBZaz09-_+/=. \n\0é", max_size=10) | st.text(max_size=6) | st.binary(max_size=10).map(b64))
@example("AB").via("spare bits")
@example("QQ==").via("padding")
@example("QQ=").via("half of a padding")
@example("+/+/").via("the standard alphabet")
def test_a_part_is_taken_in_its_one_spelling_alone(part: str):
    if "." in part or not is_canonical(part):
        invalid(f"{H}.{P}.{part}")
    else:
        assert b64(parse(f"{H}.{P}.{part}").signature) == part


def test_blanks_around_an_object_change_nothing():
    """RFC 8259 section 2 knows four of them; what else looks like one is no JSON."""
    blanks = b" \t\r\n"
    assert parse(sign(blanks + HEADER + blanks, blanks + PAYLOAD + blanks)).payload == json.loads(PAYLOAD)
    for other in ("\v", "\f", "\0", "\x1f", "\x85", "\xa0", "\u2028", "\ufeff"):
        invalid(sign(HEADER, other.encode() + PAYLOAD))
        invalid(sign(HEADER, PAYLOAD + other.encode()))
        invalid(sign(other.encode() + HEADER, PAYLOAD))


def test_tokens_that_share_a_header_cannot_change_it():
    first, second = parse(GOOD), parse(f"{H}.{b64(b'{}')}.{S}")
    with pytest.raises(TypeError):
        first.header["alg"] = "none"  # type: ignore[index]
    assert second.header == json.loads(HEADER)


def test_a_header_is_read_alike_however_many_came_between():
    odd = sign(b'{"alg":"RS256","crit":["x"]}', PAYLOAD)
    for _ in range(2):
        assert "extensions" in invalid(odd).message
        assert parse(GOOD).header == json.loads(HEADER)
        for number in range(MAX_HEADERS + 1):
            assert parse(f"{b64(json.dumps({'kid': str(number)}).encode())}.{P}.{S}").kid == str(number)


def padded(size: int) -> str:
    """A token of about this size; the signature is junk, which the parser does not mind."""
    filler = "x" * (size * 3 // 4)
    return f"{H}.{b64(json.dumps({'x': filler}).encode())}.AAAA"


def test_more_than_eight_kibibytes_are_refused_before_anything_is_decoded():
    assert "8192" in invalid("!" * (MAX_BYTES + 1)).message
    assert "three parts" in invalid("!" * MAX_BYTES).message
    assert "8192" in invalid(padded(9000)).message
    assert parse(padded(7900)).payload["x"].startswith("xxx")


NESTED = 4000


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"text"', id="a text"),
        pytest.param(b"1", id="a number"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"{} {}", id="two objects"),
        pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
        pytest.param(b'{"a":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param(b'{"a":"\xc0\xaf"}', id="an overlong character"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"sub":"alice","sub":"mallory"}', id="a duplicate member"),
        pytest.param(b'{"o":{"id":"a","id":"b"}}', id="a duplicate member inside"),
        pytest.param(b'{"sub":"a","\\u0073ub":"b"}', id="a duplicate member in disguise"),
        pytest.param(b'{"exp":NaN}', id="NaN"),
        pytest.param(b'{"exp":Infinity}', id="infinity"),
        pytest.param(b'{"exp":-Infinity}', id="minus infinity"),
        pytest.param(b'{"exp":1e400}', id="a number beyond all"),
        pytest.param(b'{"exp":-1e400}', id="a number below all"),
        pytest.param(b'{"exp":' + b"1" * 4400 + b"}", id="a number of 4400 digits"),
        pytest.param(b'{"sub":"\\ud800"}', id="a lone surrogate"),
        pytest.param(b'{"\\udc00":1}', id="a lone surrogate in a name"),
        pytest.param(b'{"a":["\\udfff\\ud800"]}', id="surrogates in the wrong order"),
        pytest.param(b'{"a":"\n"}', id="a control character"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b'{"a":1,}', id="a trailing comma"),
        pytest.param(b"[" * NESTED, id="deep lists, open"),
        pytest.param(b'{"a":' + b"[" * 2500 + b"]" * 2500 + b"}", id="deep lists"),
        pytest.param(b'{"a":' * 1000 + b"1" + b"}" * 1000, id="deep objects"),
        pytest.param(b'{"a":"\\u0041","b":' + b"[" * 2500 + b"]" * 2500 + b"}", id="deep lists and an escape"),
    ],
)
@pytest.mark.parametrize("part", ["header", "payload"])
def test_what_is_no_strict_json_object_is_invalid(payload: bytes, part: str):
    parts = (b64(payload), P) if part == "header" else (H, b64(payload))
    invalid(".".join((*parts, S)))


def test_a_pair_of_surrogates_is_a_character():
    assert parse(sign(HEADER, b'{"sub":"\\ud83d\\ude00 \\u00e9"}')).payload == {"sub": "😀 é"}


@pytest.mark.parametrize("crit", [[], ["x"], ["b64"], None, "exp"])
def test_critical_extensions_are_not_understood(crit: object):
    header = {"alg": "RS256", "crit": crit, "b64": False, "x": 1}
    assert "extensions" in invalid(sign(json.dumps(header).encode(), PAYLOAD)).message


@given(st.text() | st.text("eyJhbGci.-_=") | st.lists(st.binary(), min_size=3, max_size=3).map(joined))
def test_any_text_is_a_token_or_invalid(text: str):
    try:
        token = parse(text)
    except TokenError:
        invalid(text)
        return
    assert isinstance(token.payload, dict)
    assert isinstance(token.is_session, bool)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["alg", "kid", "typ", "cat", "sub", "exp", "nbf", "iat", "iss", "azp", "v", "x"])
OBJECT = st.dictionaries(MEMBERS, JSON, max_size=6)


@given(OBJECT, OBJECT)
def test_whatever_a_token_holds_every_check_passes_or_says_why(header: dict[str, object], payload: dict[str, object]):
    token = parse(joined([json.dumps(header).encode(), json.dumps(payload).encode(), b"signature"]))
    assert token.header == header
    assert isinstance(token.kid, str)
    assert isinstance(token.is_session, bool)
    with pytest.raises(TokenError):
        check_signature(token, known_keys()["key_1"])
    try:
        check_claims(token.payload, Expectations(frozenset(), frozenset(), 5.0), NOW)
    except TokenError:
        return
    assert isinstance(payload["sub"], str)
    assert payload["exp"] > NOW - 5


@given(st.integers(0, len(GOOD) - 1), st.sampled_from(string.ascii_letters + string.digits + "-_"))
def test_a_token_with_any_character_changed_is_refused(index: int, letter: str):
    changed = GOOD[:index] + letter + GOOD[index + 1 :]
    if changed == GOOD:
        return
    with pytest.raises(TokenError):
        check_signature(parse(changed), known_keys()["key_1"])


@pytest.mark.parametrize(
    ("header", "changes", "is_session"),
    [
        ({}, {}, True),
        ({"cat": ...}, {}, True),
        ({"cat": CATEGORY_SESSION}, {}, True),
        ({"cat": CATEGORY_IGNORE}, {}, True),
        ({"cat": TEMPLATE}, {}, False),
        ({"cat": M2M}, {}, False),
        ({"cat": "cl_unknown"}, {}, False),
        ({"cat": CATEGORY_SESSION.lower()}, {}, False),
        ({"cat": ""}, {}, False),
        ({"cat": None}, {}, False),
        ({"cat": []}, {}, False),
        ({"cat": [CATEGORY_SESSION]}, {}, False),
        ({"typ": "at+jwt"}, {}, False),
        ({"typ": "AT+JWT"}, {}, False),
        ({"typ": "application/at+jwt"}, {}, False),
        ({"typ": ["at+jwt"]}, {}, True),
        ({}, {"sub": "mch_1"}, False),
        ({}, {"sub": "mch"}, True),
        ({}, {"sub": ...}, True),
        ({}, {"sub": 7}, True),
    ],
)
def test_the_class_of_a_token(header: dict[str, object], changes: dict[str, object], is_session: bool):
    assert parse(mint(header=header, **changes)).is_session is is_session


@pytest.mark.parametrize("kid", [..., None, 7, ["key_1"], {"key_1": 1}, True])
def test_a_key_id_that_is_no_text_is_none(kid: object):
    assert parse(mint(header={"kid": kid})).kid == ""


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1 --", "__proto__", "x" * 4000, "\x00", "é"])
def test_any_text_may_be_a_key_id(kid: str):
    assert parse(mint(header={"kid": kid})).kid == kid


def checked(token: str, key: str = "key_1") -> Reason | None:
    try:
        check_signature(parse(token), known_keys()[key])
    except TokenError as error:
        return error.reason
    return None


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_three_algorithms_are_good_with_a_key_that_names_none(algorithm: str):
    assert checked(mint("key_any", algorithm=algorithm), "key_any") is None


@pytest.mark.parametrize("algorithm", ["RS384", "RS512"])
def test_the_algorithm_has_to_be_that_of_the_key(algorithm: str):
    assert checked(mint(algorithm=algorithm)) is Reason.TOKEN_VERIFICATION_FAILED


@pytest.mark.parametrize(
    "algorithm",
    [
        "none",
        "None",
        "nOnE",
        "",
        "HS256",
        "HS512",
        "ES256",
        "PS256",
        "EdDSA",
        "rs256",
        "RS256 ",
        None,
        256,
        ["RS256"],
        ...,
    ],
)
def test_another_algorithm_is_refused_by_name(algorithm: object):
    assert checked(mint(header={"alg": algorithm})) is Reason.TOKEN_INVALID_ALGORITHM


@pytest.mark.parametrize("kind", ["at+jwt", "jwt", "JOSE", "", None, ["JWT"]])
def test_another_type_is_invalid_even_with_a_bad_algorithm(kind: object):
    assert checked(mint(header={"typ": kind, "alg": "none"})) is Reason.TOKEN_INVALID


def test_the_type_may_be_absent():
    assert checked(mint(header={"typ": ...})) is None


def test_the_signature_of_another_key_is_refused():
    assert checked(mint("key_2", header={"kid": "key_1"})) is Reason.TOKEN_INVALID_SIGNATURE


def test_the_public_key_is_no_shared_secret():
    pem = private_key("key_1").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signing_input = joined([b'{"alg":"HS256","kid":"key_1"}', json.dumps(claims_of()).encode()])
    signature = hmac.new(pem, signing_input.encode(), hashlib.sha256).digest()
    assert checked(f"{signing_input}.{b64(signature)}") is Reason.TOKEN_INVALID_ALGORITHM


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "zip", "b64"])
def test_keys_and_hints_inside_the_token_change_nothing(name: str):
    token = mint("key_2", header={"kid": "key_1", name: "https://evil.test/keys"})
    assert checked(token) is Reason.TOKEN_INVALID_SIGNATURE
    assert checked(mint(header={name: "https://evil.test/keys"})) is None


EXPECTED = Expectations(frozenset({ISSUER}), frozenset({APP}), 5.0)


def refused(expected: Expectations = EXPECTED, now_s: float = NOW, **changes: object) -> Reason | None:
    try:
        check_claims(claims_of(**changes), expected, now_s)
    except TokenError as error:
        return error.reason
    return None


FAILED = Reason.TOKEN_VERIFICATION_FAILED
AZP = Reason.TOKEN_INVALID_AUTHORIZED_PARTIES
SECOND = int(NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"sub": ""}, None),
        ({"sub": ...}, FAILED),
        ({"sub": None}, FAILED),
        ({"sub": 7}, FAILED),
        ({"azp": ...}, AZP),
        ({"azp": ""}, AZP),
        ({"azp": None}, AZP),
        ({"azp": [APP]}, AZP),
        ({"azp": f"{APP}/"}, AZP),
        ({"azp": f"{APP}.evil.test"}, AZP),
        ({"azp": APP.upper()}, AZP),
        ({"azp": APP[:-1]}, AZP),
        ({"iss": ...}, Reason.TOKEN_INVALID_ISSUER),
        ({"iss": None}, Reason.TOKEN_INVALID_ISSUER),
        ({"iss": ISSUER[:-1]}, Reason.TOKEN_INVALID_ISSUER),
        ({"iss": f"{ISSUER}.evil"}, Reason.TOKEN_INVALID_ISSUER),
        ({"iss": [ISSUER]}, Reason.TOKEN_INVALID_ISSUER),
        ({"exp": ...}, FAILED),
        ({"exp": None}, FAILED),
        ({"exp": str(SECOND + 55)}, FAILED),
        ({"exp": SECOND + 55.5}, FAILED),
        ({"exp": True}, FAILED),
        ({"exp": -1}, FAILED),
        ({"exp": 253402300800}, FAILED),
        ({"exp": 253402300799}, None),
        ({"exp": [1]}, FAILED),
        ({"nbf": ...}, None),
        ({"nbf": None}, FAILED),
        ({"nbf": "0"}, FAILED),
        ({"nbf": False}, FAILED),
        ({"nbf": -1}, FAILED),
        ({"iat": ...}, None),
        ({"iat": None}, FAILED),
        ({"iat": "0"}, FAILED),
        ({"iat": 1e300}, FAILED),
        ({"exp": SECOND - 60}, Reason.TOKEN_EXPIRED),
        ({"nbf": SECOND + 60}, Reason.TOKEN_NOT_ACTIVE_YET),
        ({"iat": SECOND + 60}, Reason.TOKEN_IAT_IN_THE_FUTURE),
    ],
)
def test_claims(changes: dict[str, object], reason: Reason | None):
    assert refused(**changes) is reason


def test_the_first_claim_that_fails_decides():
    """The order of request-authentication section 4 item 7."""
    wrong = {"sub": None, "azp": "x", "iss": "x", "exp": SECOND - 60, "nbf": SECOND + 60, "iat": SECOND + 60}
    found = []
    for name in list(wrong):
        found.append(refused(**wrong))
        del wrong[name]
    assert found == [
        FAILED,
        AZP,
        Reason.TOKEN_INVALID_ISSUER,
        Reason.TOKEN_EXPIRED,
        Reason.TOKEN_NOT_ACTIVE_YET,
        Reason.TOKEN_IAT_IN_THE_FUTURE,
    ]


def test_no_authorized_parties_and_no_issuers_check_neither():
    free = Expectations(frozenset(), frozenset(), 5.0)
    assert refused(free, azp="https://anything.test", iss="anything") is None
    assert refused(free, azp=..., iss=...) is None


@pytest.mark.parametrize(
    ("claim", "at_s", "reason"),
    [
        ("exp", 999.999, None),
        ("exp", 1000.0, Reason.TOKEN_EXPIRED),
        ("nbf", 1000.0, None),
        ("nbf", 999.999, Reason.TOKEN_NOT_ACTIVE_YET),
        ("iat", 1000.0, None),
        ("iat", 999.999, Reason.TOKEN_IAT_IN_THE_FUTURE),
    ],
)
@pytest.mark.parametrize("skew_s", [0.0, 5.0, -3.0])
def test_times_are_exact_at_the_skew(claim: str, at_s: float, reason: Reason | None, skew_s: float):
    """``exp <= now - skew`` has expired; ``nbf > now + skew`` and ``iat > now + skew`` are too early."""
    times = {"exp": 5000.0, "nbf": 0.0, "iat": 0.0, claim: 1000.0}
    now_s = at_s + skew_s if claim == "exp" else at_s - skew_s
    try:
        check_times(times["exp"], times["nbf"], times["iat"], now_s, skew_s)
        found = None
    except TokenError as error:
        found = error.reason
    assert found is reason


def test_messages_tell_seconds_and_never_a_claim():
    with pytest.raises(TokenError, match="60 s ago") as caught:
        check_claims(claims_of(exp=SECOND - 60), EXPECTED, float(SECOND))
    assert not re.search("user_1|sess_1", str(caught.value))


@pytest.mark.parametrize(
    ("token", "is_ours"),
    [
        (mint(), True),
        (mint(iss="https://clerk.elsewhere.test"), False),
        (mint(iss=["a"]), True),
        ("", True),
        ("a.b.c", True),
        ("ak_opaque", False),
        ("a.b.c.d.e", False),
    ],
    ids=["ours", "another issuer's", "an issuer of another type", "empty", "not to be read", "opaque", "five parts"],
)
def test_what_may_be_a_session_token_of_ours(token: str, is_ours: bool):
    assert may_be_from(token, frozenset({ISSUER})) is is_ours


@pytest.mark.parametrize(("depth", "is_good"), [(31, True), (32, False), (100, False)])
def test_nesting_is_bounded_on_every_python(depth: int, is_good: bool):
    payload = b'{"sub":"user_1","exp":1800000055,"wide":' + b"[" * depth + b"1" + b"]" * depth + b"}"
    wide = payload[:-1] + b',"many":[' + b"[]," * 40 + b"[]]}"
    for text in (payload, wide):
        token = sign(HEADER, text)
        if is_good:
            assert parse(token).payload["sub"] == "user_1"
        else:
            assert invalid(token).reason == Reason.TOKEN_INVALID
