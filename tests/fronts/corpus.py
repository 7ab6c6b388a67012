"""One corpus of requests for every door: what each has to come to, and where a door differs, why."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.core.reasons import Reason
from tests.attacks.attack_kit import browser, expired_token, token
from tests.core.minting import M2M, NAMES, TEMPLATE

PROXY, MIDDLEWARE = "proxy", "middleware"
PAGE = (("Accept", "text/html,*/*"), ("Sec-Fetch-Dest", "document"))
REFRESH_TOKEN = "rt_of_the_corpus"
ROUTES = """
[[routes]]
path = "/admin"
require = { role = "org:admin" }
upstream = "UPSTREAM"

[[routes]]
path = "/members"
require = { role = "org:member" }
upstream = "UPSTREAM"

[[routes]]
path = "/shared"
cors = { origins = ["https://pages.example.test"], credentials = true }
upstream = "UPSTREAM"

[[routes]]
path = "/shared/own"
cors = { origins = ["https://pages.example.test"], credentials = true }
upstream = "UPSTREAM"

[[routes]]
path = "/shared/own"
methods = ["OPTIONS"]
access = "public"
loosens = true
upstream = "UPSTREAM"

[[routes]]
path = "/vault"
require = { reverification = "strict", no_impersonation = true }
upstream = "UPSTREAM"

[[routes]]
path = "/reports"
accepts = ["api_key"]
require = { scopes = ["read"] }
upstream = "UPSTREAM"

[[routes]]
path = "/only"
exact = true
access = "public"
upstream = "UPSTREAM"
loosens = true
"""

FORGED = tuple(
    (name, "forged")
    for name in (
        *("X-Session-User-Id", "x-session-user-id", "X-SESSION-ORG-ID", "X-Session-Status", "X-Session-Actor"),
        *("X_Session_User_Id", "x_session-org_role", "X-Session_Id", "x.session.user.id", "X-Session-Scopes"),
    )
)
"""Every spelling that some application reads as an identity header."""

MISLEADING = (
    *(("X-Original-URI", "/health"), ("X-Original-URL", "/health"), ("X-Rewrite-URL", "/health")),
    *(("X-Original-Method", "OPTIONS"), ("X-Original-Host", "evil.example"), ("X-Original-Proto", "https")),
    *(("X-Forwarded-Uri", "/health"), ("X-Forwarded-Method", "OPTIONS"), ("X-Forwarded-Prefix", "/health")),
    *(("X_Original_URI", "/health"), ("X_Forwarded_Uri", "/health"), ("X_Forwarded_Host", "evil.example")),
    *(("X-Forwarded-Host", "evil.example"), ("X-Forwarded-For", "10.9.9.9"), ("Forwarded", "for=10.9.9.9;host=evil")),
)


def two_sessions() -> dict[str, str]:
    """The jar of a browser that was tossed a cookie of somebody else's."""
    tossed = f"{NAMES.session}={token(sid='sess_2', sub='user_2')}"
    return {**browser(token()), "theme": f"dark; {tossed}"}


def _organization(role: str) -> dict[str, object]:
    return {"o": {"id": "org_1", "slg": "acme", "rol": role}, "v": 2}


@dataclass(frozen=True)
class Case:
    """A request and what becomes of it.

    Attributes:
        name: for people.
        path: the target, as it is sent.
        method, host, headers: of the request.
        bearer, cookies: made when the case runs, since tokens live a minute.
        status: that the client gets.
        reason: that it is told; empty where it passes.
        identity: what the application is told beside the status, by the end of the name.
        location: how the address begins that a browser is sent to.
        sets: names of the cookies that the browser gets.
        differs: by door, another status and reason, with the cause.
    """

    name: str
    path: str = "/page"
    method: str = "GET"
    host: str = "app.example.test"
    headers: tuple[tuple[str, str], ...] = ()
    bearer: Callable[[], str] = str
    cookies: Callable[[], Mapping[str, str]] = dict
    status: int = 200
    reason: str = ""
    identity: Mapping[str, str] = field(default_factory=dict)
    location: str = ""
    sets: tuple[str, ...] = ()
    differs: Mapping[str, tuple[int, str, str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


PREFLIGHT = (("Origin", "https://pages.example.test"), ("Access-Control-Request-Method", "POST"))
_NOT_RELAYED = "would pass the request on for an answer of 2xx"
ADA = {"USER_ID": "user_1", "ID": "sess_1"}
NOBODY = Reason.SESSION_TOKEN_AND_UAT_MISSING
BAD_TARGET = Reason.REQUEST_TARGET_INVALID
SIGN_IN = "https://accounts.example.test/sign-in?redirect_url="
HANDSHAKE = "https://clerk.example.test/v1/client/handshake?redirect_url="
WEBSOCKET = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
OTHER_TYPE, PENDING = Reason.TOKEN_TYPE_MISMATCH, Reason.SESSION_PENDING
NO_REFRESH = "session-token-expired-refresh-non-eligible-no-refresh-cookie"
_OWN_WORDS = "refuses it itself, in its own words"
_AS_SPELLED = "forwards the path as it is spelled, so one that would be merged is refused"
FRONTS = ("nginx", "haproxy", "envoy", "envoy-grpc", "caddy", "traefik")
SAME_SLASHES = dict.fromkeys(FRONTS, (400, Reason.ORIGINAL_REQUEST_INVALID, _AS_SPELLED))
_APPLICATIONS = {MIDDLEWARE: (200, "", "is inside the application, whose paths these are")}

CASES = (
    Case(
        "a preflight",
        "/shared/x",
        method="OPTIONS",
        headers=PREFLIGHT,
        status=204,
        differs=dict.fromkeys(FRONTS, (403, Reason.CORS_PREFLIGHT_UNANSWERED, _NOT_RELAYED)),
    ),
    Case(
        "a preflight of a page that is not known",
        "/shared/x",
        method="OPTIONS",
        headers=(("Origin", "https://evil.example"), PREFLIGHT[1]),
        status=403,
        reason=Reason.CORS_ORIGIN_REFUSED,
    ),
    Case("a preflight for the application", "/shared/own/x", method="OPTIONS", headers=PREFLIGHT),
    Case("OPTIONS without a session", "/shared/x", method="OPTIONS", status=401, reason=NOBODY),
    Case("a good bearer token", bearer=token, identity=ADA),
    Case("cookies of a browser", headers=PAGE, cookies=lambda: browser(token()), identity=ADA),
    Case(
        "a member of an organization",
        "/members/x",
        bearer=lambda: token(**_organization("member")),
        identity={**ADA, "ORG_ID": "org_1", "ORG_SLUG": "acme", "ORG_ROLE": "org:member"},
    ),
    Case("nobody", status=401, reason=NOBODY),
    Case("nobody, by HEAD", method="HEAD", status=401, reason=NOBODY),
    Case("nobody, by POST", method="POST", headers=(("Content-Length", "0"),), status=401, reason=NOBODY),
    Case("a person without a session", "/page?a=1&b=2", headers=PAGE, status=307, reason=NOBODY, location=SIGN_IN),
    Case(
        "a browser whose session has to be renewed",
        headers=PAGE,
        cookies=lambda: browser(expired_token()),
        status=307,
        reason=NO_REFRESH,
        location=HANDSHAKE,
        sets=("__clerk_redirect_count", "__gateway_state"),
    ),
    Case(
        "a script whose session cannot be renewed",
        cookies=lambda: browser(expired_token()),
        status=401,
        reason=NO_REFRESH,
    ),
    Case(
        "an expired session that is renewed on the way",
        cookies=lambda: browser(expired_token(), refresh=REFRESH_TOKEN),
        identity=ADA,
        sets=(NAMES.session, NAMES.refresh, NAMES.client_uat),
    ),
    Case("a token that is none", bearer=lambda: "junk", status=401, reason=Reason.TOKEN_INVALID),
    Case(
        "a token of a stranger's key",
        bearer=lambda: token("stranger"),
        status=401,
        reason=Reason.JWK_KID_MISMATCH,
    ),
    Case("a role that is not there", "/admin", bearer=token, status=403, reason=Reason.MISSING_ROLE),
    Case(
        "a role that is not enough",
        "/admin/x",
        bearer=lambda: token(**_organization("member")),
        status=403,
        reason=Reason.MISSING_ROLE,
    ),
    Case("a token of a template", bearer=lambda: token(header={"cat": TEMPLATE}), status=401, reason=OTHER_TYPE),
    Case("a token of a machine", bearer=lambda: token(sub="mch_1", header={"cat": M2M}), status=401, reason=OTHER_TYPE),
    Case(
        "a token that was issued for another site",
        bearer=lambda: token(azp="https://evil.example"),
        status=401,
        reason=Reason.TOKEN_INVALID_AUTHORIZED_PARTIES,
    ),
    Case(
        "a token of another issuer",
        bearer=lambda: token(iss="https://clerk.other.test"),
        status=401,
        reason=Reason.TOKEN_INVALID_ISSUER,
    ),
    Case(
        "a token of tomorrow",
        bearer=lambda: token(nbf=int(time.time()) + 86_400),
        status=401,
        reason=Reason.SESSION_TOKEN_NBF,
    ),
    Case("a token that has ended", bearer=expired_token, status=401, reason=NO_REFRESH),
    Case("a session that is not complete", bearer=lambda: token(sts="pending"), status=401, reason=PENDING),
    Case("another scheme than Bearer", headers=(("Authorization", "Basic YTpi"),), status=401, reason=NOBODY),
    Case(
        "cookies of two sessions",
        cookies=two_sessions,
        status=401,
        reason=Reason.DUPLICATE_SESSION_COOKIES,
        sets=("__session", NAMES.session),
    ),
    Case("no fresh proof of who it is", "/vault", bearer=token, status=403, reason=Reason.REVERIFICATION_REQUIRED),
    Case("a fresh proof", "/vault", bearer=lambda: token(fva=[1, 1]), identity=ADA),
    Case(
        "somebody else in their place",
        "/vault",
        bearer=lambda: token(fva=[1, 1], act={"sub": "user_admin"}),
        status=403,
        reason=Reason.IMPERSONATION_REFUSED,
    ),
    Case(
        "somebody else where that is allowed",
        bearer=lambda: token(act={"sub": "user_admin"}),
        identity={**ADA, "ACTOR": "user_admin"},
    ),
    Case(
        "a key with its scope",
        "/reports/1",
        bearer=lambda: "ak_reader",
        identity={"TOKEN_TYPE": "api_key", "SUBJECT": "user_1", "USER_ID": "user_1", "SCOPES": "read"},
    ),
    Case("a key without the scope", "/reports", bearer=lambda: "ak_writer", status=403, reason=Reason.MISSING_SCOPE),
    Case("a key that nobody knows", "/reports", bearer=lambda: "ak_nobody", status=401, reason=Reason.TOKEN_INVALID),
    Case("a key where sessions are asked for", bearer=lambda: "ak_reader", status=401, reason=Reason.TOKEN_INVALID),
    Case("a session where keys are asked for", "/reports", bearer=token, status=401, reason=OTHER_TYPE),
    Case("nobody where keys are asked for", "/reports", headers=PAGE, status=401, reason=Reason.NO_TOKEN_IN_HEADER),
    Case("a path that is public alone", "/only?x=/admin"),
    Case("below a path that is public alone", "/only/x", status=401, reason=NOBODY),
    Case("a bad token on a path for both", "/maybe", bearer=lambda: "junk"),
    Case("a bad token on a public path", "/health", bearer=lambda: "junk"),
    Case("HEAD of a public path", "/health", method="HEAD"),
    Case("HEAD where GET alone is named", "/read", method="HEAD"),
    Case("OPTIONS of a protected path", method="OPTIONS", status=401, reason=NOBODY),
    Case("a method of nobody's", method="PURGE", bearer=token, identity=ADA),
    Case("a public path", "/health/x?y=1"),
    Case("a public path, signed in", "/health", bearer=token),
    Case("a path for both, signed out", "/maybe"),
    Case("a path for both, signed in", "/maybe", bearer=token, identity=ADA),
    Case("forged identity on a public path", "/health", headers=FORGED),
    Case("forged identity on a path for both", "/maybe", headers=FORGED),
    Case("forged identity beside a good token", headers=FORGED, bearer=token, identity=ADA),
    Case(
        "forged identity that Connection names",
        headers=(*FORGED, ("Connection", "X-Session-User-Id")),
        bearer=token,
        identity=ADA,
    ),
    Case("headers that name another request", headers=MISLEADING, status=401, reason=NOBODY),
    Case("headers that name another request, on a public path", "/health", headers=MISLEADING),
    Case(
        "a connection that names what the front says",
        headers=(
            ("Connection", "X-Original-URI, X-Original-Host, X-Forwarded-Host, X-Forwarded-Uri, X-Forwarded-Method"),
        ),
        status=401,
        reason=NOBODY,
        differs=dict.fromkeys(("envoy", "envoy-grpc"), (400, "", _OWN_WORDS)),
    ),
    Case("an escaped letter in a public path", "/%68ealth"),
    Case("an escaped letter in a protected path", "/%70age", status=401, reason=NOBODY),
    Case(
        "escapes in lower case",
        "/health/%c3%a9%2c",
    ),
    Case("a parameter of a path", "/health;/x", status=401, reason=NOBODY),
    Case("a parameter behind a public path", "/health/x;y=1"),
    Case("two slashes in front", "//health", differs=SAME_SLASHES),
    Case("two slashes within", "/health//x", differs=SAME_SLASHES),
    Case("two slashes before a protected path", "//page", status=401, reason=NOBODY, differs=SAME_SLASHES),
    Case("dots to a protected path", "/health/../page", status=400, reason=BAD_TARGET),
    Case("escaped dots", "/health/%2e%2E/page", status=400, reason=BAD_TARGET),
    Case(
        "dots above the root",
        "/../page",
        status=400,
        reason=BAD_TARGET,
        differs={"nginx": (400, "", _OWN_WORDS)},
    ),
    Case("dots with a parameter", "/health/..;/page", status=400, reason=BAD_TARGET),
    Case("an escaped slash", "/health%2f..%2fpage", status=400, reason=BAD_TARGET),
    Case("an escaped slash in capitals", "/health%2F..%2Fpage", status=400, reason=BAD_TARGET),
    Case("escaped twice", "/health/%252e%252e/page", status=400, reason=BAD_TARGET),
    Case("a backslash", "/health/..\\page", status=400, reason=BAD_TARGET),
    Case("an escaped backslash", "/health%5c..%5cpage", status=400, reason=BAD_TARGET),
    Case("a null byte", "/health%00", status=400, reason=BAD_TARGET, differs={"nginx": (400, "", _OWN_WORDS)}),
    Case("no UTF-8", "/health/%c0%ae", status=400, reason=BAD_TARGET),
    Case("case counts", "/HEALTH", status=401, reason=NOBODY),
    Case("a query that looks like a path", "/page?/health", status=401, reason=NOBODY),
    Case("a host that is not served", host="evil.example", status=400, reason=Reason.REQUEST_HOST_INVALID),
    Case(
        "a host with a path in it",
        host="app.example.test/health?x=",
        status=400,
        reason=Reason.REQUEST_HOST_INVALID,
        differs=dict.fromkeys(("nginx", "envoy", "envoy-grpc", "caddy"), (400, "", _OWN_WORDS)),
    ),
    Case("a host in capitals", host="App.Example.TEST", status=401, reason=NOBODY),
    Case("a host of its own", "/page", host="a.example.com"),
    Case("a host in capitals, of the stricter rule", "/page", host="a.B.example.com", status=401, reason=NOBODY),
    Case(
        "the gateway's own paths",
        "/.gateway/decide/nginx",
        bearer=token,
        status=404,
        reason=Reason.ROUTE_NOT_FOUND,
        differs={**_APPLICATIONS, PROXY: (403, Reason.ORIGINAL_REQUEST_MISSING, "is the gateway, and is asked here")},
    ),
    Case(
        "the gateway's own paths, escaped",
        "/%2egateway/x",
        bearer=token,
        status=404,
        reason=Reason.ROUTE_NOT_FOUND,
        differs=_APPLICATIONS,
    ),
    Case(
        "an address that changes methods",
        "/read",
        headers=(("X-HTTP-Method-Override", "GET"),),
        method="POST",
        status=401,
        reason=NOBODY,
    ),
    Case(
        "a WebSocket of another site's page",
        headers=(*WEBSOCKET, ("Origin", "https://evil.example")),
        cookies=lambda: browser(token()),
        status=403,
        reason=Reason.WEBSOCKET_ORIGIN_REFUSED,
    ),
    Case(
        "a WebSocket of nobody", headers=(*WEBSOCKET, ("Origin", "http://app.example.test")), status=401, reason=NOBODY
    ),
    Case(
        "junk among the cookies",
        headers=(("Cookie", 'a="; [x]; %; $Version=1; __session=%'),),
        status=401,
        reason=Reason.SESSION_TOKEN_BUT_NO_CLIENT_UAT,
    ),
)
"""Where a front is not named under ``differs``, it does exactly what proxy and middleware do."""


def renewed() -> list[str]:
    """What the authority gives for :data:`REFRESH_TOKEN`."""
    return [
        f"{NAMES.session}={token()}; Path=/; Max-Age=60",
        f"{NAMES.refresh}={REFRESH_TOKEN}-2; Path=/; HttpOnly",
        f"{NAMES.client_uat}={int(time.time())}; Path=/",
    ]


KEYS = {"ak_reader": ["read"], "ak_writer": ["write"]}
"""API keys that the authority knows, with their scopes."""
