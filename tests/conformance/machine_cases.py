"""The requests about tokens of machines that both engines are asked about, drawn from tables and named ones."""

import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from gateway.core.instance import InstanceKind
from gateway.core.token_class import ANY, TokenType
from tests.conformance.cases import Case
from tests.conformance.fake_api import CUT, JSON, Reply
from tests.conformance.world import APP, APP_HOST, ISSUER, M2M, NAMES, SECOND, TEMPLATE, UAT, token
from tests.core.minting import m2m_jwt, oauth_jwt

PREFIXES = {"api_key": "ak_", "m2m_token": "mt_", "oauth_token": "oat_"}
_TAGS = {
    "api_key": "api_key",
    "m2m_token": "machine_to_machine_token",
    "oauth_token": "clerk_idp_oauth_access_token",
}
_SUBJECTS = {"api_key": "user_1", "m2m_token": "mch_1", "oauth_token": "user_1"}


def record(kind: str, **changes: object) -> dict[str, object]:
    """What the API knows of a good token; ``...`` leaves a field out."""
    fields = {
        "object": _TAGS[kind],
        "id": "id_1",
        "subject": _SUBJECTS[kind],
        "scopes": ["read", "write"],
        "claims": {"team": "a"},
        "revoked": False,
        "revocation_reason": None,
        "expired": False,
        "expiration": None,
        "created_at": (SECOND - 100) * 1000,
        "updated_at": (SECOND - 100) * 1000,
        **({"name": "ci", "type": "api_key"} if kind == "api_key" else {}),
        **({"client_id": "client_1", "type": "oauth:access_token"} if kind == "oauth_token" else {}),
    }
    return {name: value for name, value in (fields | changes).items() if value is not ...}


def _knows(**changes: object) -> Callable[[str], Reply]:
    return lambda kind: Reply.of(record(kind, **changes))


def _always(reply: Reply) -> Callable[[str], Reply]:
    return lambda kind: reply


def _of_organization(kind: str) -> Reply:
    return Reply.of(record(kind, **({"subject": "org_1"} if kind == "api_key" else {})))


OPAQUE: dict[str, Callable[[str], Reply]] = {
    "good": _knows(),
    "of-organization": _of_organization,
    "unlimited": _knows(scopes=[], claims=None),
    "ends-later": _knows(expiration=(SECOND + 60) * 1000),
    "created": lambda kind: Reply.of(record(kind), 201),
    "revoked": _knows(revoked=True, revocation_reason="left"),
    "expired": _knows(expired=True),
    "over": _knows(expiration=(SECOND - 60) * 1000),
    "empty": _always(Reply.of({})),
    "list": _always(Reply.of([])),
    "no-content": _always(Reply(204)),
    "text": _always(Reply(body="hello", content_type="text/plain")),
    "html": lambda kind: Reply.of(record(kind), content_type="text/html"),
    "charset": lambda kind: Reply.of(record(kind), content_type=f"{JSON}; charset=utf-8"),
    "other-object": _knows(object="session"),
    "without-flags": _knows(revoked=..., expired=...),
    "not-found": _always(Reply.error(404, "resource_not_found")),
    "not-found-html": _always(Reply(404, "<p>no", "text/html")),
    "unauthorized": _always(Reply.error(401, "clerk_key_invalid")),
    "unauthorized-html": _always(Reply(401, "<p>no", "text/html")),
    "bad-request": _always(Reply.error(400, "request_invalid")),
    "forbidden": _always(Reply.error(403, "forbidden")),
    "too-many": _always(Reply.error(429, "too_many_requests")),
    "failed": _always(Reply.error(500, "internal_clerk_error")),
    "failed-html": _always(Reply(502, "<p>no", "text/html")),
    "broken-json": _always(Reply(body="{")),
    "cut": _always(CUT),
}

_EXPIRED = {"iat": SECOND - 120, "nbf": SECOND - 130, "exp": SECOND - 60}

JWTS: dict[str, Callable[[], str]] = {
    "m2m": m2m_jwt,
    "m2m-audience": lambda: m2m_jwt(scopes=..., aud=["mch_4", "mch_5"]),
    "m2m-one-audience": lambda: m2m_jwt(scopes=..., aud="mch_4"),
    "m2m-no-scopes": lambda: m2m_jwt(scopes=...),
    "m2m-custom": lambda: m2m_jwt(team="a", permissions=["x"]),
    "m2m-no-id": lambda: m2m_jwt(jti=...),
    "m2m-no-category": lambda: m2m_jwt(header={"cat": ...}),
    "m2m-no-typ": lambda: m2m_jwt(header={"typ": ...}),
    "m2m-no-issuer": lambda: m2m_jwt(iss=...),
    "m2m-other-issuer": lambda: m2m_jwt(iss="https://clerk.other.test"),
    "m2m-session-category": lambda: m2m_jwt(header={"cat": "cl_B7d4PD111AAA"}),
    "m2m-template-category": lambda: m2m_jwt(header={"cat": TEMPLATE}),
    "m2m-null-category": lambda: m2m_jwt(header={"cat": None}),
    "m2m-oauth-typ": lambda: m2m_jwt(header={"typ": "at+jwt"}),
    "m2m-other-typ": lambda: m2m_jwt(header={"typ": "JWS"}),
    "m2m-expired": lambda: m2m_jwt(**_EXPIRED),
    "m2m-within-skew": lambda: m2m_jwt(exp=SECOND - 4),
    "m2m-not-before": lambda: m2m_jwt(nbf=SECOND + 60),
    "m2m-issued-in-future": lambda: m2m_jwt(iat=SECOND + 60),
    "m2m-no-exp": lambda: m2m_jwt(exp=...),
    "m2m-text-exp": lambda: m2m_jwt(exp="never"),
    "m2m-forged": lambda: m2m_jwt("key_forged", header={"kid": "key_1"}),
    "m2m-unknown-key": lambda: m2m_jwt("key_forged"),
    "m2m-rs512": lambda: m2m_jwt("key_any", header={"alg": "RS512"}),
    "m2m-alg-none": lambda: m2m_jwt(header={"alg": "none"}),
    "m2m-azp": lambda: m2m_jwt(azp="https://evil.example"),
    "oauth": oauth_jwt,
    "oauth-long-typ": lambda: oauth_jwt(header={"typ": "application/at+jwt"}),
    "oauth-odd-typ": lambda: oauth_jwt(header={"typ": "AT+JWT"}),
    "oauth-listed-scopes": lambda: oauth_jwt(scp=["read"], scope="write"),
    "oauth-no-scopes": lambda: oauth_jwt(scope=...),
    "oauth-no-client": lambda: oauth_jwt(client_id=...),
    "oauth-no-issuer": lambda: oauth_jwt(iss=...),
    "oauth-other-issuer": lambda: oauth_jwt(iss="https://clerk.other.test"),
    "oauth-other-category": lambda: oauth_jwt(header={"cat": "cl_other"}),
    "oauth-session-category": lambda: oauth_jwt(header={"cat": "cl_B7d4PD111AAA"}),
    "oauth-template-category": lambda: oauth_jwt(header={"cat": TEMPLATE}),
    "oauth-m2m-category": lambda: oauth_jwt(header={"cat": M2M}),
    "oauth-other-subject": lambda: oauth_jwt(sub="client_9"),
    "oauth-empty-subject": lambda: oauth_jwt(sub=""),
    "oauth-no-subject": lambda: oauth_jwt(sub=...),
    "oauth-expired": lambda: oauth_jwt(**_EXPIRED),
    "oauth-not-before": lambda: oauth_jwt(nbf=SECOND + 60),
    "oauth-forged": lambda: oauth_jwt("key_forged", header={"kid": "key_1"}),
    "oauth-unknown-key": lambda: oauth_jwt("key_forged"),
    "oauth-azp": lambda: oauth_jwt(azp="https://evil.example"),
}

SESSIONS = (
    *("good", "organization", "expired", "not-before", "forged", "unknown-key", "template", "m2m", "null-category"),
    *("garbage", "two-parts", "other-azp", "other-issuer", "typ-other"),
)

ODD = {
    "dotted-m2m": "mt_a.b.c",
    "dotted-oauth": "oat_a.b.c",
    "dotted-key": "ak_a.b.c",
    "accented-key": "ak_{number}\xe4",
    "endless-key": "ak_{number}" + "x" * 2000,
}

ACCEPTS: dict[str, tuple[object, tuple[TokenType, ...]]] = {
    "session_token": ("session_token", (TokenType.SESSION_TOKEN,)),
    "api_key": ("api_key", (TokenType.API_KEY,)),
    "m2m_token": ("m2m_token", (TokenType.M2M_TOKEN,)),
    "oauth_token": ("oauth_token", (TokenType.OAUTH_TOKEN,)),
    "any": ("any", ANY),
    "list:all": ([*ANY], ANY),
    "list:api_key": (["api_key"], (TokenType.API_KEY,)),
    "list:machines": (
        ["api_key", "m2m_token", "oauth_token"],
        (TokenType.API_KEY, TokenType.M2M_TOKEN, TokenType.OAUTH_TOKEN),
    ),
    "list:session": (["session_token"], (TokenType.SESSION_TOKEN,)),
    "list:session,api_key": (["session_token", "api_key"], (TokenType.SESSION_TOKEN, TokenType.API_KEY)),
    "list:session,jwt": (
        ["session_token", "m2m_token", "oauth_token"],
        (TokenType.SESSION_TOKEN, TokenType.M2M_TOKEN, TokenType.OAUTH_TOKEN),
    ),
}

Table = Mapping[str, float]

_OPAQUE_NAMES = [f"{kind}:{name}" for kind in PREFIXES for name in OPAQUE]

TABLES: dict[str, Table] = {
    "kind": {"production": 3, "development": 1},
    "accepts": {"any": 6, "list:all": 2, "list:machines": 5, "api_key": 3, "m2m_token": 4, "oauth_token": 4,
                "session_token": 1, "list:api_key": 1, "list:session": 1, "list:session,api_key": 2,
                "list:session,jwt": 2},
    "token": {"": 12} | dict.fromkeys(_OPAQUE_NAMES, 1.0) | dict.fromkeys(JWTS, 1.2) | dict.fromkeys(ODD, 0.5)
             | {f"session:{name}": 0.8 for name in SESSIONS},
    "cookie": {"": 5, "good": 2, "expired": 1, "client-only": 1},
    "method": {"GET": 5, "POST": 2},
    "destination": {"empty": 4, "document": 3},
    "machine_secret": {"": 2, "set": 1},
    "parties": {"none": 2, "app": 1},
}  # fmt: skip


def generated(count: int, first: int, seed: int = 20261125) -> list[Case]:
    """Return that many cases, the same ones each time."""
    dice = random.Random(seed)
    return [make(number, **_draw(dice)) for number in range(first, first + count)]


def _draw(dice: random.Random) -> dict[str, str]:
    parts = {name: dice.choices(list(row), list(row.values()))[0] for name, row in TABLES.items()}
    # How an expired session is renewed is compared in the other suite, with differences of its own.
    if parts["token"] in {"session:expired", "session:not-before"}:
        parts["cookie"] = ""
    if "expired" in {parts["token"].partition(":")[2], parts["cookie"]}:
        parts["method"] = "GET"
    return parts


def make(number: int, **changes: str) -> Case:
    """Make a case of what was drawn; what is left out is the table's first entry.

    Args:
        number: tells the opaque tokens of all cases apart.
    """
    parts = {name: next(iter(row)) for name, row in TABLES.items()} | changes
    kind = InstanceKind(parts["kind"])
    text = token_of(number, parts["token"])
    headers = [("host", APP_HOST), ("sec-fetch-dest", parts["destination"]), ("accept", "*/*")]
    headers += [("authorization", f"Bearer {text}")] if text else []
    headers += [("cookie", cookie)] if (cookie := _cookie(kind, parts["cookie"])) else []
    written, accepted = ACCEPTS[parts["accepts"]]
    options: dict[str, Any] = {"issuer": [ISSUER], "acceptsToken": written}
    instance: dict[str, Any] = {}
    if parts["machine_secret"]:
        instance["machine_secret_key"] = "ak_machine_secret"
    if parts["parties"] == "app":
        options["authorizedParties"] = [APP]
        instance["authorized_parties"] = [APP]
    # All come at once here, and each brings a token that nobody has seen.
    settings: dict[str, Any] = {"instance": instance, "machines": {"new_tokens_per_s": 1000}}
    settings["routes"] = [{"accepts": [str(each) for each in accepted]}]
    kind_of, _, name = parts["token"].partition(":")
    replies = {text: OPAQUE[name](kind_of)} if kind_of in PREFIXES else {}
    return Case(kind, parts, parts["method"], "/page", "", tuple(headers), options, settings, replies)


@cache
def _jwt(name: str) -> str:
    return JWTS[name]()


def token_of(number: int, name: str) -> str:
    """Return the token in the header, or the empty text for none."""
    kind, _, flavour = name.partition(":")
    if kind in PREFIXES:
        return f"{PREFIXES[kind]}{number}"
    if kind == "session":
        return token(flavour)
    if name in ODD:
        return ODD[name].format(number=number)
    return _jwt(name) if name else ""


def _cookie(kind: InstanceKind, name: str) -> str:
    names = NAMES[kind]
    pairs = {names.client_uat: str(UAT)} if name else {}
    if name in {"good", "expired"}:
        pairs[names.session] = token(name)
    if kind is InstanceKind.DEVELOPMENT:
        pairs[names.dev_browser] = "dvb_1"
    return "; ".join(f"{key}={value}" for key, value in pairs.items())
