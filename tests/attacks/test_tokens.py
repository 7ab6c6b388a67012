"""Forged, confused and malformed session tokens, over the wire in header and cookie."""

import base64
import hashlib
import hmac
import json
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.attacks.attack_kit import Target, browser, expired_token, token
from tests.core.forging import FORGERIES, SPELLINGS, bleichenbacher, garbage_in_parameters, good
from tests.core.minting import M2M, TEMPLATE, b64, claims_of, private_key, sign

HEADER = {"alg": "RS256", "kid": "key_1", "typ": "JWT"}


def good_claims(**changes: object) -> dict[str, object]:
    second = int(time.time())
    return claims_of(**{"iat": second - 5, "nbf": second - 15, "exp": second + 300, **changes})


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def unsigned(algorithm: str) -> str:
    return f"{b64(as_json({**HEADER, 'alg': algorithm}))}.{b64(as_json(good_claims()))}."


def hmac_with(key: bytes) -> str:
    signing_input = f"{b64(as_json({**HEADER, 'alg': 'HS256'}))}.{b64(as_json(good_claims()))}"
    return f"{signing_input}.{b64(hmac.new(key, signing_input.encode(), hashlib.sha256).digest())}"


def public_pem() -> bytes:
    return private_key("key_1").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def raw_payload(text: str) -> str:
    return sign(as_json(HEADER), text.encode("utf-8", "surrogatepass"))


def payload_with(member: str) -> str:
    """A good payload with one more member, spelled by hand."""
    return raw_payload(json.dumps(good_claims())[:-1] + f", {member}}}")


def exp_spelled(text: str) -> str:
    """A good payload with ``exp`` spelled by hand."""
    return raw_payload(json.dumps(good_claims(exp=...))[:-1] + f', "exp": {text}}}')


def raw_header(text: str) -> str:
    return sign(text.encode(), as_json(good_claims()))


def respelled(change: Callable[[str], str]) -> str:
    """A good token whose signature is the same bytes in another spelling."""
    head, _, signature = token().rpartition(".")
    return f"{head}.{change(signature)}"


def other_tail(signature: str) -> str:
    """The same bytes with the two spare bits of the last character set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]


FORGED: dict[str, Callable[[], str]] = {
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg nOnE": lambda: unsigned("nOnE"),
    "alg RS256 without a signature": lambda: unsigned("RS256"),
    "HS256 keyed with the PEM": lambda: hmac_with(public_pem()),
    "HS256 keyed with the stripped PEM": lambda: hmac_with(public_pem().strip()),
    "HS256 keyed with nothing": lambda: hmac_with(b""),
    "another's key under our kid": lambda: sign(as_json(HEADER), as_json(good_claims()), key="mallory"),
    "kid that is a path": lambda: token(header={"kid": "../../../../dev/null"}, key="mallory"),
    "kid that is SQL": lambda: token(header={"kid": "' OR 1=1 --"}, key="mallory"),
    "kid that is an object": lambda: token(header={"kid": {"a": 1}}),
    "kid that is null": lambda: token(header={"kid": None}),
    "kid missing": lambda: token(header={"kid": ...}),
    "kid that is huge": lambda: token(header={"kid": "k" * 6000}, key="mallory"),
    "crit": lambda: token(header={"crit": ["b64"], "b64": False}),
    "crit empty": lambda: token(header={"crit": []}),
    "typ of OAuth": lambda: token(header={"typ": "at+jwt"}),
    "cat of a template": lambda: token(header={"cat": TEMPLATE}),
    "cat of a machine": lambda: token(header={"cat": M2M}),
    "cat that is a list": lambda: token(header={"cat": []}),
    "sub of a machine": lambda: token(sub="mch_1"),
    "sub missing": lambda: token(sub=...),
    "sub that is a number": lambda: token(sub=1),
    "azp of another site": lambda: token(azp="https://evil.example"),
    "azp missing": lambda: token(azp=...),
    "azp with a path": lambda: token(azp="https://app.example.test/"),
    "iss missing": lambda: token(iss=...),
    "iss with a tail": lambda: token(iss="https://clerk.example.test.evil"),
    "iss that is a prefix": lambda: token(iss="https://clerk.example"),
    "iss that is a list": lambda: token(iss=["https://clerk.example.test"]),
    "iss without scheme": lambda: token(iss="clerk.example.test"),
    "exp missing": lambda: token(exp=...),
    "exp that is text": lambda: token(exp=str(int(time.time()) + 300)),
    "exp with a fraction": lambda: token(exp=time.time() + 300.5),
    "exp negative": lambda: token(exp=-1),
    "exp true": lambda: token(exp=True),
    "exp beyond the year 9999": lambda: token(exp=10**15),
    "exp without end": lambda: payload_with('"x": 1e400'),
    "exp null": lambda: token(exp=None),
    "exp that is a list": lambda: token(exp=[int(time.time()) + 300]),
    "exp that is whole but spelled with a fraction": lambda: token(exp=float(int(time.time()) + 300)),
    "exp with an exponent": lambda: exp_spelled("2e9"),
    "exp of minus zero": lambda: exp_spelled("-0"),
    "exp without end, by its exponent": lambda: exp_spelled("1e999"),
    "exp NaN": lambda: exp_spelled("NaN"),
    "exp of 4000 digits": lambda: exp_spelled("9" * 4000),
    "exp with a leading zero": lambda: exp_spelled("02000000000"),
    "exp in hexadecimal": lambda: exp_spelled("0x7fffffff"),
    "exp twice": lambda: payload_with('"exp": 4102444800'),
    "exp of the end of time": lambda: token(exp=253402300800),
    "exp past": expired_token,
    "nbf in the future": lambda: token(nbf=int(time.time()) + 60),
    "iat in the future": lambda: token(iat=int(time.time()) + 60),
    "sub twice": lambda: payload_with('"sub": "user_2"'),
    "sub twice, once in disguise": lambda: payload_with('"\\u0073ub": "user_2"'),
    "a member twice inside": lambda: payload_with('"o": {"id": "org_1", "id": "org_2"}'),
    "alg twice": lambda: raw_header('{"alg": "none", "alg": "RS256", "kid": "key_1"}'),
    "kid twice": lambda: raw_header('{"alg": "RS256", "kid": "mallory", "kid": "key_1"}'),
    "a header with NaN": lambda: raw_header('{"alg": "RS256", "kid": "key_1", "x": NaN}'),
    "a header with a lone surrogate": lambda: raw_header('{"alg": "RS256", "kid": "key_1", "x": "\\udc00"}'),
    "a header that nests deeply": lambda: raw_header(
        '{"alg": "RS256", "kid": "key_1", "x": ' + "[" * 2000 + "]" * 2000 + "}"
    ),
    "nested 100,000 deep": lambda: payload_with('"x": ' + "[" * 50_000 + "]" * 50_000)[:120_000],
    "objects nested deeply": lambda: payload_with('"x": ' + '{"a":' * 900 + "1" + "}" * 900),
    "a comment": lambda: raw_payload(json.dumps(good_claims()) + "// good"),
    "two documents": lambda: raw_payload(json.dumps(good_claims()) * 2),
    "UTF-16": lambda: sign(as_json(HEADER), json.dumps(good_claims()).encode("utf-16")),
    "a bomb": lambda: sign(as_json({**HEADER, "zip": "DEF"}), zlib.compress(b" " * 2_000_000)),
    "NaN": lambda: payload_with('"x": NaN'),
    "Infinity": lambda: payload_with('"x": -Infinity'),
    "lone surrogate": lambda: payload_with('"x": "\\ud800"'),
    "deeply nested": lambda: payload_with('"x": ' + "[" * 2500 + "]" * 2500),
    "digits without end": lambda: payload_with('"x": ' + "9" * 5000),
    "payload that is a list": lambda: raw_payload("[]"),
    "payload that is not UTF-8": lambda: sign(as_json(HEADER), b'{"sub": "\xff"}'),
    "payload with a byte order mark": lambda: raw_payload("\ufeff" + json.dumps(good_claims())),
    "a dev instance's": lambda: token(iss="https://clerk.example.accounts.dev"),
    "a satellite's": lambda: token(iss="https://clerk.satellite.test"),
    "a key id of 100 KiB": lambda: token("mallory", header={"kid": "k" * 100_000}),
    "five parts": lambda: token() + "..",
    "two parts": lambda: token().rpartition(".")[0],
    "padded": lambda: respelled(lambda text: text + "=="),
    "spare bits": lambda: respelled(other_tail),
    "line end inside": lambda: respelled(lambda text: f"{text[:9]}%0A{text[9:]}"),
    "the other alphabet": lambda: token().replace("-", "+").replace("_", "/") + "+",
    "longer than 8 KiB": lambda: token(junk="x" * 8192),
    "nested token": lambda: f"{b64(token().encode())}.{b64(b'{}')}.x",
    "jku of ours": lambda: token(key="mallory", header={"kid": "mallory", "jku": "http://127.0.0.1:9/jwks"}),
    "empty": lambda: "",
    "dots": lambda: "..",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_opens_nothing_by_header_or_by_cookie(target: Target, forge: Callable[[], str]) -> None:
    forged, before = forge(), target.count
    by_header = target.get("/", ("Authorization", f"Bearer {forged}"))
    by_cookie = target.get("/", cookies=browser(forged, refresh=""))

    too_large = {431} if len(forged) > 8192 else set()
    assert {by_header.status, by_cookie.status} <= {401} | too_large
    assert target.arrived(before) == []
    for answer in (by_header, by_cookie):
        assert answer.header("cache-control") == "no-store" or answer.status == 431
        assert len(forged) < 20 or forged.encode()[:200] not in answer.raw
        assert b"Traceback" not in answer.raw


@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "payload", "signature"])
def test_no_second_spelling_of_a_token_opens_anything(target: Target, part: int) -> None:
    """Two spellings of one token would be two tokens to a cache or a deny list."""
    for name, change in SPELLINGS.items():
        parts = token().split(".")
        parts[part] = change(parts[part])
        spelled = ".".join(parts)
        escaped = quote(spelled, safe="")
        assert target.get("/", cookies=browser(escaped)).status == 401, name
        if spelled == spelled.strip() and not set(spelled) & set("\r\n\0"):
            line = spelled.encode().decode("latin-1")
            assert target.get("/", ("Authorization", f"Bearer {line}")).status in {400, 401}, name


UNSUITABLE = ("for-encryption", "for-wrapping", "small", "says-hs256", "leaked", "twin", "other-twin", "elliptic")


@pytest.mark.parametrize("key", UNSUITABLE)
def test_a_key_that_is_published_but_unsuitable_signs_nobody_in(target: Target, key: str) -> None:
    kid = "twin" if key == "other-twin" else key
    reply = target.get("/", bearer=token(key, header={"kid": kid}))
    assert (reply.status, b"jwk-kid-mismatch" in reply.body) == (401, True)


def test_no_forged_signature_passes_the_gate(target: Target) -> None:
    for key in ("key_1", "cubic"):
        message = token(key).rpartition(".")[0]
        assert target.get("/", bearer=f"{message}.{b64(good(message.encode(), key))}").status == 200
        before = target.count
        for name, forge in FORGERIES.items():
            forged = f"{message}.{b64(forge(message.encode(), key))}"
            assert target.get("/", bearer=forged).status == 401, name
        assert target.arrived(before) == []
    for forge in (bleichenbacher, garbage_in_parameters):
        assert target.get("/", cookies=browser(f"{message}.{b64(forge(message.encode(), 'cubic'))}")).status == 401


def test_keys_named_in_a_token_are_never_fetched(target: Target) -> None:
    public = private_key("mallory").public_key().public_numbers()
    jwk = {"kty": "RSA", "n": b64(public.n.to_bytes(256, "big")), "e": "AQAB", "kid": "mallory"}
    calls = len(target.authority.calls)
    address = f"{target.authority.url}/evil"
    for extra in ({"jku": address}, {"x5u": address}, {"jwk": jwk}, {"x5c": [base64.b64encode(b"x").decode()]}):
        assert target.get("/", bearer=token("mallory", header={"kid": "key_1", **extra})).status == 401
    assert not [call for call in target.authority.calls[calls:] if "evil" in call]


def test_unknown_key_ids_do_not_flood_the_authority_or_slow_good_tokens(target: Target) -> None:
    assert target.get("/", bearer=token()).status == 200
    calls = len(target.authority.calls)
    forged = [token("mallory", header={"kid": f"ins_{number}"}) for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda text: target.get("/", bearer=text).status, forged)) == {401}
    assert target.get("/", bearer=token()).status == 200
    assert len([call for call in target.authority.calls[calls:] if "jwks" in call]) <= 2


def test_of_two_authorization_headers_none_is_believed(target: Target) -> None:
    good = ("Authorization", f"Bearer {token()}")
    for other in ("Basic YTpi", "Bearer x", good[1]):
        for headers in ([good, ("Authorization", other)], [("Authorization", other), good]):
            assert target.get("/", *headers).status == 401


def test_a_session_that_is_not_complete_is_nobody(target: Target) -> None:
    answer = target.get("/maybe", bearer=token(sts="pending"))
    assert answer.status == 200
    assert target.upstream.requests[-1].values("x-session-user-id") == []
    assert target.get("/", bearer=token(sts="pending")).status == 401
