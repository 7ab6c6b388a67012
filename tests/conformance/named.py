"""A named request for every branch of the decision, with the answer that both engines have to give."""

from collections.abc import Mapping
from typing import NamedTuple


class Named(NamedTuple):
    """One branch.

    Attributes:
        name: a sentence.
        parts: what the request is made of; the rest is plain.
        state, reason: the answer.
    """

    name: str
    parts: Mapping[str, str]
    state: str
    reason: str = ""


DEV = {"kind": "development", "dev_browser": "both"}
OLD = {"plain_uat": "old", "suffixed_uat": "old"}
COOKIE = {"suffixed": "good", **OLD}
EXPIRED = {"suffixed": "expired", **OLD}
SYNCED = COOKIE | {"organizations": "synced"}
ACME = SYNCED | {"suffixed": "organization"}
FETCH = {"accepts": "empty"}
SATELLITE = {"site": "satellite-unasked", "address": "domain"}
QUIET = {"site": "satellite", "address": "domain"}
SYNC, ANSWER = "satellite-needs-syncing", "primary-responds-to-syncing"

NAMED = (
    Named("a good token in the header is signed in", {"bearer": "good"}, "signed-in"),
    Named("a good suffixed cookie is signed in", COOKIE, "signed-in"),
    Named("a good plain cookie is signed in", {"plain": "good", "plain_uat": "old"}, "signed-in"),
    Named(
        "the header comes before the cookies", {"bearer": "forged", **COOKIE}, "signed-out", "token-invalid-signature"
    ),
    Named("the header comes before a handshake", {"bearer": "good", "nonce": "signed-out"}, "signed-in"),
    Named("an organization is read", {"bearer": "organization"}, "signed-in"),
    Named("an organization of version 1 is read", {"bearer": "organization-v1"}, "signed-in"),
    Named("an impersonated session is signed in", {"bearer": "impersonated"}, "signed-in"),
    Named("an ignored category is a session", {"bearer": "ignored-category"}, "signed-in"),
    Named("no category is a session", {"bearer": "no-category"}, "signed-in"),
    Named("no typ is a JWT", {"bearer": "typ-absent"}, "signed-in"),
    Named("a key without alg takes RS512", {"bearer": "rs512"}, "signed-in"),
    Named("expired within the skew is good", {"bearer": "expired-within-skew"}, "signed-in"),
    Named("a template in the header", {"bearer": "template"}, "signed-out", "token-type-mismatch"),
    Named("a template in a cookie", {**COOKIE, "suffixed": "template"}, "signed-out", "token-type-mismatch"),
    Named("a machine's token", {"bearer": "machine-subject"}, "signed-out", "token-type-mismatch"),
    Named("an M2M token", {"bearer": "m2m"}, "signed-out", "token-type-mismatch"),
    Named("an OAuth token", {"bearer": "oauth"}, "signed-out", "token-type-mismatch"),
    Named("an opaque token", {"bearer": "opaque-api-key"}, "signed-out", "token-invalid"),
    Named("garbage in the header", {"bearer": "garbage"}, "signed-out", "token-invalid"),
    Named("garbage in a cookie", {**COOKIE, "suffixed": "garbage"}, "signed-out", "token-invalid"),
    Named("another typ", {"bearer": "typ-other"}, "signed-out", "token-invalid"),
    Named("an algorithm of another kind", {"bearer": "alg-hmac"}, "signed-out", "token-invalid-algorithm"),
    Named("no algorithm", {"bearer": "alg-none"}, "signed-out", "token-invalid-algorithm"),
    Named("not the key's algorithm", {"bearer": "rs384-of-rs256-key"}, "signed-out", "token-verification-failed"),
    Named("a forged signature", {"bearer": "forged"}, "signed-out", "token-invalid-signature"),
    Named("forged and expired", {"bearer": "forged-expired"}, "signed-out", "token-invalid-signature"),
    Named("an unknown key", {"bearer": "unknown-key"}, "signed-out", "jwk-kid-mismatch"),
    Named("another party", {"bearer": "other-azp", "parties": "app"}, "signed-out", "token-invalid-authorized-parties"),
    Named("no party", {"bearer": "no-azp", "parties": "app"}, "signed-out", "token-invalid-authorized-parties"),
    Named("any party where none is named", {"bearer": "other-azp"}, "signed-in"),
    Named("another issuer", {"bearer": "other-issuer"}, "signed-out", "token-invalid-issuer"),
    Named("a subject that is a number", {"bearer": "number-subject"}, "signed-out", "token-verification-failed"),
    Named("an expiry that is a text", {"bearer": "text-exp"}, "signed-out", "token-verification-failed"),
    Named("no expiry", {"bearer": "no-exp"}, "signed-out", "token-verification-failed"),
    Named("not active yet, on a page", {"bearer": "not-before"}, "handshake", "session-token-nbf"),
    Named("not active yet, fetched", {"bearer": "not-before", **FETCH}, "signed-out", "session-token-nbf"),
    Named("issued in the future", {"bearer": "issued-in-future"}, "handshake", "session-token-iat-in-the-future"),
    Named("nobody", {}, "signed-out", "session-token-and-uat-missing"),
    Named("a client without session", OLD, "handshake", "client-uat-but-no-session-token"),
    Named("a client without session, fetched", OLD | FETCH, "signed-out", "client-uat-but-no-session-token"),
    Named("a session without client", {"plain": "good"}, "handshake", "session-token-but-no-client-uat"),
    Named("a signed-out client", {"plain": "good", "plain_uat": "0"}, "handshake", "session-token-but-no-client-uat"),
    Named(
        "a token older than the client",
        {"suffixed": "good", "plain_uat": "new", "suffixed_uat": "new"},
        "handshake",
        "session-token-iat-before-client-uat",
    ),
    Named("an iframe is renewed", OLD | {"accepts": "iframe"}, "handshake", "client-uat-but-no-session-token"),
    Named("a frame is not", OLD | {"accepts": "frame"}, "signed-out", "client-uat-but-no-session-token"),
    Named("an older browser is renewed", OLD | {"accepts": "html"}, "handshake", "client-uat-but-no-session-token"),
    Named("HEAD is not", OLD | {"method": "HEAD"}, "signed-out", "client-uat-but-no-session-token"),
    Named("the third redirect is made", OLD | {"count": "2"}, "handshake", "client-uat-but-no-session-token"),
    Named("the fourth is not", OLD | {"count": "3"}, "signed-out", "client-uat-but-no-session-token"),
    Named("development without dev browser", {"kind": "development"}, "handshake", "dev-browser-missing"),
    Named("development signed in", DEV | COOKIE, "signed-in"),
    Named(
        "development with a dev browser in the URL",
        DEV | COOKIE | {"dev_browser": "query"},
        "handshake",
        "dev-browser-sync",
    ),
    Named("an expired token is refreshed", EXPIRED | {"refresh": "success"}, "signed-in"),
    Named("an expired token is refreshed when fetched", EXPIRED | FETCH | {"refresh": "success"}, "signed-in"),
    Named("an expired header token is refreshed", {"bearer": "expired", "refresh": "success"}, "signed-in"),
    Named(
        "expired, refused by the API",
        EXPIRED | {"refresh": "invalid-token"},
        "handshake",
        "session-token-expired-refresh-refresh_token_invalid",
    ),
    Named(
        "expired, no refresh cookie",
        EXPIRED,
        "handshake",
        "session-token-expired-refresh-non-eligible-no-refresh-cookie",
    ),
    Named(
        "expired, the refresh cookie is not suffixed",
        EXPIRED | {"refresh": "plain-cookie"},
        "handshake",
        "session-token-expired-refresh-non-eligible-no-refresh-cookie",
    ),
    Named(
        "expired, the API is cut",
        EXPIRED | {"refresh": "cut"},
        "handshake",
        "session-token-expired-refresh-fetch-error",
    ),
    Named(
        "expired, a code of the API's own",
        EXPIRED | {"refresh": "unexpected-error"},
        "handshake",
        "session-token-expired-refresh-fetch-error",
    ),
    Named(
        "expired, no content",
        EXPIRED | {"refresh": "no-content"},
        "handshake",
        "session-token-expired-refresh-unexpected-bapi-error",
    ),
    Named(
        "expired, no cookies",
        EXPIRED | {"refresh": "cookies-empty"},
        "handshake",
        "session-token-expired-refresh-unexpected-sdk-error",
    ),
    Named(
        "expired, a forged token comes",
        EXPIRED | {"refresh": "forged"},
        "handshake",
        "session-token-expired-refresh-invalid-session-token",
    ),
    Named(
        "expired, the session was emptied",
        EXPIRED | {"refresh": "session-emptied"},
        "handshake",
        "session-token-expired-refresh-invalid-session-token",
    ),
    Named(
        "expired, without session id",
        {**EXPIRED, "suffixed": "expired-without-sid", "refresh": "success"},
        "handshake",
        "session-token-expired-refresh-expired-session-token-missing-sid-claim",
    ),
    Named("a nonce signs in", {"nonce": "good"}, "signed-in"),
    Named("a nonce in a cookie signs in", {"nonce": "good", "handshake_in": "cookie"}, "signed-in"),
    Named("a nonce signs out", {"nonce": "signed-out", **COOKIE}, "signed-out", "session-token-missing"),
    Named(
        "a nonce comes before a handshake token",
        {"nonce": "signed-out", "handshake": "good"},
        "signed-out",
        "session-token-missing",
    ),
    Named("a handshake token signs in", {"handshake": "good"}, "signed-in"),
    Named("a handshake in development signs in", DEV | {"handshake": "good"}, "signed-in"),
    Named("a wrong clock in development is forgiven", DEV | {"nonce": "issued-in-future"}, "signed-in"),
    Named(
        "a wrong clock in production is not",
        {"nonce": "issued-in-future"},
        "signed-out",
        "session-token-and-uat-missing",
    ),
    Named(
        "a forged handshake counts for nothing", {"handshake": "forged"}, "signed-out", "session-token-and-uat-missing"
    ),
    Named("coming from elsewhere", COOKIE | {"referer": "other"}, "handshake", "primary-domain-cross-origin-sync"),
    Named("coming from elsewhere, counted", COOKIE | {"referer": "other", "count": "1"}, "signed-in"),
    Named("coming from elsewhere, fetched", COOKIE | {"referer": "other"} | FETCH, "signed-in"),
    Named("coming from the same site", COOKIE | {"referer": "same"}, "signed-in"),
    Named("coming from the sign-in page", COOKIE | {"referer": "accounts"}, "signed-in"),
    Named("coming from the Frontend API", COOKIE | {"referer": "own-api"}, "signed-in"),
    Named("coming from a hosted page, development", DEV | COOKIE | {"referer": "hosted-accounts"}, "signed-in"),
    Named(
        "coming from a hosted page, production",
        COOKIE | {"referer": "hosted-accounts"},
        "handshake",
        "primary-domain-cross-origin-sync",
    ),
    Named(
        "coming from another's Frontend API",
        DEV | COOKIE | {"referer": "hosted-clerk"},
        "handshake",
        "primary-domain-cross-origin-sync",
    ),
    Named(
        "another organization by slug",
        ACME | {"path": "/orgs/other/page/two"},
        "handshake",
        "active-organization-mismatch",
    ),
    Named("the same organization by slug", ACME | {"path": "/orgs/acme"}, "signed-in"),
    Named("another organization by id", ACME | {"path": "/by-id/org_2"}, "handshake", "active-organization-mismatch"),
    Named("the same organization by id", ACME | {"path": "/by-id/org_1"}, "signed-in"),
    Named(
        "an organization where there is none",
        SYNCED | {"path": "/orgs/acme"},
        "handshake",
        "active-organization-mismatch",
    ),
    Named("the personal account", SYNCED | {"path": "/me/settings"}, "signed-in"),
    Named(
        "the personal account in an organization", ACME | {"path": "/me"}, "handshake", "active-organization-mismatch"
    ),
    Named("another organization, fetched", ACME | FETCH | {"path": "/orgs/other/page/two"}, "signed-in"),
    Named("another organization, in a loop", ACME | {"path": "/by-id/org_2", "count": "3"}, "signed-in"),
    Named(
        "another organization, by header",
        {"bearer": "organization", "organizations": "synced", "path": "/by-id/org_2"},
        "signed-in",
    ),
    *(
        Named(f"a satellite's page is opened, {kind}", SATELLITE | {"kind": kind}, "handshake", SYNC)
        for kind in ("production", "development")
    ),
    Named("a satellite waits to be asked", QUIET, "signed-out", "session-token-and-uat-missing"),
    Named(
        "a satellite waits to be asked, development",
        QUIET | {"kind": "development"},
        "signed-out",
        "session-token-and-uat-missing",
    ),
    Named("a satellite is asked", QUIET | {"synced": "false"}, "handshake", SYNC),
    Named("a satellite is asked beside a session", QUIET | COOKIE | {"synced": "false"}, "handshake", SYNC),
    Named("a satellite in development is asked", QUIET | DEV | {"synced": "false"}, "handshake", SYNC),
    Named("a satellite has synced", SATELLITE | {"synced": "true"}, "signed-out", "session-token-and-uat-missing"),
    Named(
        "a satellite in development has synced",
        SATELLITE | {"synced": "true", "kind": "development"},
        "handshake",
        "dev-browser-missing",
    ),
    Named("a satellite, fetched", SATELLITE | FETCH, "signed-out", "session-token-and-uat-missing"),
    Named("a satellite, in a frame", SATELLITE | {"accepts": "iframe"}, "signed-out", "session-token-and-uat-missing"),
    Named("a satellite's third redirect", SATELLITE | {"count": "2"}, "handshake", SYNC),
    Named("a satellite, in a loop", SATELLITE | {"count": "3"}, "signed-out", SYNC),
    Named("a satellite's session", SATELLITE | COOKIE, "signed-in"),
    Named("a satellite's session from elsewhere", SATELLITE | COOKIE | {"referer": "other"}, "signed-in"),
    Named("a satellite's session is refreshed", SATELLITE | EXPIRED | {"refresh": "success"}, "signed-in"),
    Named(
        "a satellite's own plain cookie",
        SATELLITE | {"plain": "satellite-issuer", "plain_uat": "old"},
        "signed-in",
    ),
    Named("the primary's plain cookie", SATELLITE | {"plain": "good", "plain_uat": "old"}, "handshake", SYNC),
    Named("the primary's token in a header", SATELLITE | {"bearer": "good"}, "signed-in"),
    Named("a satellite's issuer at the primary", {"bearer": "satellite-issuer"}, "signed-out", "token-invalid-issuer"),
    Named("a nonce at a satellite", SATELLITE | {"nonce": "good", "synced": "false"}, "signed-in"),
    Named("a satellite behind a proxy", SATELLITE | {"address": "proxy"}, "handshake", SYNC),
    Named("a satellite under a path", SATELLITE | {"address": "path"}, "handshake", SYNC),
    Named("a primary answers", DEV | {"asks": "listed"}, "handshake", ANSWER),
    Named(
        "a primary answers without dev browser", {"kind": "development", "asks": "listed-query"}, "handshake", ANSWER
    ),
    Named("a primary answers beside a session", DEV | COOKIE | {"asks": "listed-query"}, "handshake", ANSWER),
    Named("a primary answers no script", DEV | COOKIE | FETCH | {"asks": "listed"}, "signed-out", ANSWER),
    Named("a primary answers in a loop", DEV | {"asks": "listed", "count": "3"}, "signed-out", ANSWER),
    Named("a primary in production answers nobody", COOKIE | {"asks": "listed"}, "signed-in"),
    Named("a satellite answers nobody", SATELLITE | DEV | COOKIE | {"asks": "listed"}, "signed-in"),
    Named("a proxy's issuer", {"bearer": "proxy-issuer", "address": "proxy"}, "signed-in"),
    Named("a proxy's issuer under a path", {"bearer": "proxy-issuer", "address": "path"}, "signed-in"),
    Named("a proxy's issuer without proxy", {"bearer": "proxy-issuer"}, "signed-out", "token-invalid-issuer"),
    Named("a handshake behind a proxy", OLD | {"address": "proxy"}, "handshake", "client-uat-but-no-session-token"),
    Named("a handshake under a path", OLD | {"address": "path"}, "handshake", "client-uat-but-no-session-token"),
    Named(
        "a handshake under a path of another host",
        OLD | {"address": "path", "forwarded": "trusted"},
        "handshake",
        "client-uat-but-no-session-token",
    ),
    Named("coming from a proxy's host", COOKIE | {"address": "path", "referer": "same"}, "signed-in"),
    Named(
        "coming from the Frontend API behind a proxy",
        COOKIE | {"address": "path", "referer": "own-api"},
        "handshake",
        "primary-domain-cross-origin-sync",
    ),
    Named(
        "a renewal names the organization",
        OLD | {"organizations": "synced", "path": "/orgs/acme"},
        "handshake",
        "client-uat-but-no-session-token",
    ),
)
