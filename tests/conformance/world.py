"""Keys, instances and session tokens of every kind that the two engines are asked about."""

from collections.abc import Callable
from functools import cache
from typing import Any

from gateway.core.cookies import CookieNames
from gateway.core.instance import InstanceKind, PublishableKey
from tests.core.minting import jwk, mint, sign

NOW = 1_800_000_000.5
SECOND = int(NOW)
HOST = "clerk.example.test"
ISSUER = f"https://{HOST}"
SATELLITE_ISSUER = "https://clerk.satellite.test"
APP_HOST = "app.example.test"
APP = f"https://{APP_HOST}"
PROXY = f"{APP}/__clerk"
UAT = SECOND - 1000
KEYS = {kind: PublishableKey.encode(kind, HOST) for kind in InstanceKind}
NAMES = {kind: CookieNames.of(key.cookie_suffix) for kind, key in KEYS.items()}
SECRETS = {InstanceKind.PRODUCTION: "sk_live_conformance", InstanceKind.DEVELOPMENT: "sk_test_conformance"}

TEMPLATE, M2M, IGNORE = "cl_B7d4PD222AAA", "cl_B7d4PD333AAA", "cl_I7d4PD111III"


def jwks() -> dict[str, object]:
    """The key set of the instance: ``key_1`` names its algorithm, ``key_any`` does not."""
    return {"keys": [jwk("key_1"), jwk("key_any", alg=...)]}


_EXPIRED = {"iat": SECOND - 120, "nbf": SECOND - 130, "exp": SECOND - 60}

FLAVOURS: dict[str, Callable[[], str]] = {
    "good": mint,
    "older": lambda: mint(iat=UAT - 10, nbf=UAT - 10),
    "other-session": lambda: mint(sid="sess_2", sub="user_2", iat=SECOND - 3),
    "organization": lambda: mint(
        o={"id": "org_1", "slg": "acme", "rol": "admin", "per": "read,manage", "fpm": "3,2"},
        fea="o:articles,u:notes,uo:billing",
    ),
    "organization-v1": lambda: mint(
        v=1, org_id="org_1", org_slug="acme", org_role="org:admin", org_permissions=["org:articles:read"]
    ),
    "pending": lambda: mint(sts="pending"),
    "impersonated": lambda: mint(act={"sub": "user_9"}),
    "expired": lambda: mint(**_EXPIRED),
    "expired-within-skew": lambda: mint(exp=SECOND - 4),
    "expired-at-skew": lambda: mint(exp=SECOND - 5),
    "expired-without-sid": lambda: mint(sid=..., **_EXPIRED),
    "expired-other-azp": lambda: mint(azp="https://evil.example", **_EXPIRED),
    "expired-organization": lambda: mint(o={"id": "org_1", "slg": "acme"}, **_EXPIRED),
    "expired-pending": lambda: mint(sts="pending", **_EXPIRED),
    "not-before": lambda: mint(nbf=SECOND + 60),
    "not-before-within-skew": lambda: mint(nbf=SECOND + 5),
    "issued-in-future": lambda: mint(iat=SECOND + 60),
    "forged": lambda: mint("key_forged", header={"kid": "key_1"}),
    "forged-expired": lambda: mint("key_forged", header={"kid": "key_1"}, **_EXPIRED),
    "unknown-key": lambda: mint("key_forged"),
    "other-azp": lambda: mint(azp="https://evil.example"),
    "no-azp": lambda: mint(azp=...),
    "other-issuer": lambda: mint(iss="https://clerk.other.test"),
    "satellite-issuer": lambda: mint(iss=SATELLITE_ISSUER),
    "proxy-issuer": lambda: mint(iss=PROXY),
    "no-issuer": lambda: mint(iss=...),
    "http-issuer": lambda: mint(iss=f"http://{HOST}"),
    "number-issuer": lambda: mint(iss=7),
    "template": lambda: mint(header={"cat": TEMPLATE}),
    "m2m": lambda: mint(header={"cat": M2M}),
    "ignored-category": lambda: mint(header={"cat": IGNORE}),
    "no-category": lambda: mint(header={"cat": ...}),
    "null-category": lambda: mint(header={"cat": None}),
    "empty-category": lambda: mint(header={"cat": ""}),
    "machine-subject": lambda: mint(sub="mch_1"),
    "oauth": lambda: mint(header={"typ": "at+jwt"}),
    "oauth-long": lambda: mint(header={"typ": "application/at+jwt"}),
    "typ-other": lambda: mint(header={"typ": "JWS"}),
    "typ-absent": lambda: mint(header={"typ": ...}),
    "typ-lower": lambda: mint(header={"typ": "jwt"}),
    "rs512": lambda: mint("key_any", algorithm="RS512"),
    "rs384": lambda: mint("key_any", algorithm="RS384"),
    "rs384-of-rs256-key": lambda: mint(algorithm="RS384"),
    "alg-none": lambda: mint(header={"alg": "none"}),
    "alg-hmac": lambda: mint(header={"alg": "HS256"}),
    "no-sid": lambda: mint(sid=...),
    "no-subject": lambda: mint(sub=...),
    "number-subject": lambda: mint(sub=1),
    "empty-subject": lambda: mint(sub=""),
    "no-exp": lambda: mint(exp=...),
    "text-exp": lambda: mint(exp="1800000060"),
    "null-nbf": lambda: mint(nbf=None),
    "no-nbf": lambda: mint(nbf=...),
    "no-iat": lambda: mint(iat=...),
    "text-iat": lambda: mint(iat="now"),
    "garbage": lambda: "not-a-token",
    "two-parts": lambda: mint().rpartition(".")[0],
    "not-json": lambda: sign(b'{"alg":"RS256","typ":"JWT","kid":"key_1"}', b"no json"),
    "cut": lambda: mint()[:-4],
    "padded": lambda: _padded(mint()),
    "opaque-m2m": lambda: "mt_0123456789",
    "opaque-oauth": lambda: "oat_0123456789",
    "opaque-api-key": lambda: "ak_0123456789",
}


def _padded(token: str) -> str:
    header, payload, signature = token.split(".")
    return ".".join([header + "=" * (-len(header) % 4), payload + "=" * (-len(payload) % 4), signature + "=="])


@cache
def token(flavour: str) -> str:
    """A session token of a flavour, or the empty text for none."""
    return FLAVOURS[flavour]() if flavour else ""


def cookies_of(kind: InstanceKind, flavour: str, **more: Any) -> list[str]:
    """The directives of a refresh or a handshake that bring a session of this flavour."""
    names = NAMES[kind]
    return [
        f"{names.client_uat}={UAT}; Path=/; Max-Age=31536000; SameSite=Lax",
        f"{names.session}={token(flavour)}; Path=/; Expires=Fri, 01 Jan 2038 00:00:00 GMT; SameSite=Lax",
        *more.get("extra", ()),
    ]
