"""Keys, tokens, requests and a scripted driver for tests of the core. Keys are made once for each process."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from jwt.algorithms import RSAAlgorithm

from gateway.core.case import Rules
from gateway.core.claims import SessionClaims, session_claims
from gateway.core.cookies import CookieNames
from gateway.core.decision import decide
from gateway.core.instance import InstanceKind, PublishableKey
from gateway.core.keys import VerificationKey, key_set
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.token_class import CATEGORY_SESSION, SESSION_ONLY, Accepts
from gateway.core.tokens import Expectations, parse
from gateway.core.trace import NO_TRACE, Trace
from gateway.core.verdict import Need, NeedKey, NeedMachine, NeedPayload, NeedRefresh, Verdict

NOW = 1_800_000_000.5
HOST = "clerk.example.test"
ISSUER = f"https://{HOST}"
APP = "https://app.example.test"
KEYS = {kind: PublishableKey.encode(kind, HOST) for kind in InstanceKind}
PRODUCTION, DEVELOPMENT = InstanceKind.PRODUCTION, InstanceKind.DEVELOPMENT
NAMES = CookieNames.of(KEYS[PRODUCTION].cookie_suffix)
DEV_NAMES = CookieNames.of(KEYS[DEVELOPMENT].cookie_suffix)
UAT = str(int(NOW) - 1000)
NEW_STATE, STATE = "n" * 43, "s" * 43
TEMPLATE, M2M = "cl_B7d4PD222AAA", "cl_B7d4PD333AAA"

_HASHES = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384(), "RS512": hashes.SHA512()}


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """One key pair for each name; the one named small has 1024 bits, the one named cubic the exponent 3."""
    exponent = 3 if name == "cubic" else 65537
    return rsa.generate_private_key(public_exponent=exponent, key_size=1024 if name == "small" else 2048)


def jwk(name: str, **changes: object) -> dict[str, object]:
    """The published half of a key; ``...`` leaves a member out."""
    public = RSAAlgorithm.to_jwk(private_key(name).public_key(), as_dict=True)
    entry = {"kid": name, "use": "sig", "kty": "RSA", "alg": "RS256", "n": public["n"], "e": public["e"], **changes}
    return {member: value for member, value in entry.items() if value is not ...}


@cache
def known_keys() -> dict[str, VerificationKey]:
    """The key set of our instance."""
    return key_set({"keys": [jwk("key_1"), jwk("key_any", alg=...)]})


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header: bytes, payload: bytes, *, key: str = "key_1", algorithm: str = "RS256") -> str:
    """Sign the exact bytes given, however odd they are."""
    signing_input = f"{b64(header)}.{b64(payload)}"
    signature = private_key(key).sign(signing_input.encode(), padding.PKCS1v15(), _HASHES[algorithm])
    return f"{signing_input}.{b64(signature)}"


def claims_of(**changes: object) -> dict[str, object]:
    """The claims of a session token that is good at NOW; ``...`` leaves one out."""
    second = int(NOW)
    claims: dict[str, object] = {
        "iss": ISSUER,
        "sub": "user_1",
        "sid": "sess_1",
        "azp": APP,
        "iat": second - 5,
        "nbf": second - 15,
        "exp": second + 55,
        "v": 2,
        "sts": "active",
    }
    return {name: value for name, value in (claims | changes).items() if value is not ...}


@cache
def _signed(header: str, payload: str, key: str, algorithm: str) -> str:
    return sign(header.encode(), payload.encode(), key=key, algorithm=algorithm)


def mint(
    key: str = "key_1", *, header: Mapping[str, object] | None = None, algorithm: str = "RS256", **changes: object
) -> str:
    """A session token that is good at NOW, changed in claims (``...`` leaves one out) and header (the same)."""
    full = {"alg": algorithm, "kid": key, "typ": "JWT", "cat": CATEGORY_SESSION, **(header or {})}
    full = {name: value for name, value in full.items() if value is not ...}
    return _signed(json.dumps(full), json.dumps(claims_of(**changes)), key, algorithm)


def expired(**changes: object) -> str:
    """A token that expired a minute ago."""
    second = int(NOW)
    return mint(**{"iat": second - 120, "nbf": second - 130, "exp": second - 60, **changes})


def m2m_jwt(key: str = "key_1", *, header: Mapping[str, object] | None = None, **changes: object) -> str:
    """An M2M token of the kind that is verified without a call."""
    claims = {"sub": "mch_1", "jti": "mt_1", "sid": ..., "azp": ..., "v": ..., "sts": ..., "scopes": "mch_2 mch_3"}
    return mint(key, header={"cat": M2M, **(header or {})}, **(claims | changes))


def oauth_jwt(key: str = "key_1", *, header: Mapping[str, object] | None = None, **changes: object) -> str:
    """An OAuth access token of the kind that is verified without a call."""
    claims = {"jti": "oat_1", "client_id": "client_1", "scope": "read write"}
    claims |= {"sid": ..., "azp": ..., "v": ..., "sts": ...}
    return mint(key, header={"typ": "at+jwt", "cat": ..., **(header or {})}, **(claims | changes))


def handshake_token(directives: object, **header: object) -> str:
    """What the authority brings in ``__clerk_handshake``."""
    full = {"alg": "RS256", "kid": "key_1", "typ": "JWT", "cat": CATEGORY_SESSION, **header}
    return _signed(json.dumps(full), json.dumps({"handshake": directives}), "key_1", "RS256")


def directives(token: str, names: CookieNames = NAMES) -> tuple[str, ...]:
    """The cookies that a refresh or a handshake brings."""
    return (
        f"{names.client_uat}={UAT}; Path=/; Max-Age=31536000; SameSite=Lax",
        f"{names.session}={token}; Path=/; Max-Age=600; SameSite=Lax",
    )


def rules(kind: InstanceKind = PRODUCTION, **changes: object) -> Rules:
    """The rules of our instance."""
    settings: dict[str, object] = {
        "kind": kind,
        "frontend_api": HOST,
        "names": CookieNames.of(KEYS[kind].cookie_suffix),
        "handshake_base": ISSUER,
        "expected": Expectations(frozenset({ISSUER}), frozenset(), 5.0),
        "refresh_methods": None,
        "has_refresh": True,
        "has_api": True,
        "new_state": lambda: NEW_STATE,
    }
    return Rules(**(settings | changes))


PAGE = {"sec-fetch-dest": "document", "accept": "text/html,*/*"}
FETCH = {"sec-fetch-dest": "empty", "accept": "*/*"}


def request(
    cookies: Mapping[str, str | tuple[str, ...]] | None = None,
    *,
    query: str = "",
    method: str = "GET",
    headers: Mapping[str, str] = PAGE,
    bearer: str | None = None,
) -> RequestFacts:
    """A browser's request; pages by default."""
    several = {name: (value,) if isinstance(value, str) else value for name, value in (cookies or {}).items() if value}
    url = PublicUrl("https", "app.example.test", "/page", query)
    return RequestFacts(method, url, bearer=bearer, cookies=several, headers=headers, client="192.0.2.7")


def returned(
    cookies: Mapping[str, str | tuple[str, ...]] | None = None, *, query: str = "", **more: object
) -> RequestFacts:
    """A browser's request that comes back from the handshake that it was sent to."""
    back = "&".join(filter(None, [query, f"__gateway_state=1.{STATE}"]))
    return request({"__Host-gateway_state": STATE, **(cookies or {})}, query=back, **more)


def signed_in(token: str, names: CookieNames = NAMES, **more: str) -> dict[str, str]:
    """The suffixed cookies of a browser with a session; ``more`` adds by field name of CookieNames."""
    found = {names.session: token, names.client_uat: UAT}
    return found | {getattr(names, name): value for name, value in more.items()}


class Remembered:
    """Tokens whose signature was checked before."""

    def __init__(self, *tokens: str) -> None:
        self._claims = {token: session_claims(parse(token).payload) for token in tokens}

    def get(self, token: str, now_s: float) -> SessionClaims | None:
        return self._claims.get(token)

    def has_ended(self, session_id: str, issued_at_s: float) -> bool:
        return False


NOTHING_REMEMBERED = Remembered()


@dataclass
class Script:
    """Answers what the machine asks for, and keeps what was asked."""

    keys: Mapping[str, VerificationKey] = field(default_factory=known_keys)
    refresh: object = "fetch-error"
    payload: object = None
    machine: object = None
    needs: list[Need] = field(default_factory=list)

    def answer(self, need: Need) -> object:
        self.needs.append(need)
        match need:
            case NeedKey(kid):
                return self.keys.get(kid)
            case NeedRefresh():
                return self.refresh
            case NeedPayload():
                return self.payload
            case NeedMachine():
                return self.machine

    @property
    def asked(self) -> list[type]:
        """The kinds of what was asked for, in order."""
        return [type(need) for need in self.needs]


def judge(
    facts: RequestFacts,
    under: Rules | None = None,
    script: Script | None = None,
    *,
    verified: Remembered = NOTHING_REMEMBERED,
    now_s: float = NOW,
    trace: Trace = NO_TRACE,
    accepts: Accepts = SESSION_ONLY,
) -> Verdict:
    """Run the machine to its end."""
    machine = decide(facts, under or rules(), verified, now_s, accepts, trace)
    script = script or Script()
    answer: object = None
    while True:
        try:
            need = machine.send(answer)
        except StopIteration as end:
            return end.value
        answer = script.answer(need)


def cookie_values(verdict: Verdict) -> dict[str, str]:
    """What a verdict sets, by name."""
    return {cookie.name: cookie.value for cookie in verdict.cookies}
