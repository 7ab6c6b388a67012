"""Forged, confused and malformed session tokens, over the wire in header and cookie."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.attacks.attack_kit import Target, browser, expired_token, token
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
    "exp past": expired_token,
    "nbf in the future": lambda: token(nbf=int(time.time()) + 60),
    "iat in the future": lambda: token(iat=int(time.time()) + 60),
    "sub twice": lambda: payload_with('"sub": "user_2"'),
    "NaN": lambda: payload_with('"x": NaN'),
    "Infinity": lambda: payload_with('"x": -Infinity'),
    "lone surrogate": lambda: payload_with('"x": "\\ud800"'),
    "deeply nested": lambda: payload_with('"x": ' + "[" * 2500 + "]" * 2500),
    "digits without end": lambda: payload_with('"x": ' + "9" * 5000),
    "payload that is a list": lambda: raw_payload("[]"),
    "payload that is not UTF-8": lambda: sign(as_json(HEADER), b'{"sub": "\xff"}'),
    "payload with a byte order mark": lambda: raw_payload("\ufeff" + json.dumps(good_claims())),
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

    assert (by_header.status, by_cookie.status) == (401, 401)
    assert target.arrived(before) == []
    for answer in (by_header, by_cookie):
        assert answer.header("cache-control") == "no-store"
        assert len(forged) < 20 or forged.encode()[:200] not in answer.raw
        assert b"Traceback" not in answer.raw


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
