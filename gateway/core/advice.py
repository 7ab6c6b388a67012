"""What an operator can do about a reason: one sentence for each, naming the setting where there is one.

The words for the person in front of the screen stand in :mod:`gateway.core.reasons`; these are for whoever runs the
gateway, and are shown by ``gateway explain``.
"""

from gateway.core.reasons import Reason, RefreshFailure, refresh_failure

_SIGN_IN = "Nothing is wrong: the browser has no session here. Sign in; programs send Authorization: Bearer."
_RENEW = "Nothing is wrong as long as it happens once: the browser fetches its session anew at the Frontend API."
_KEYS = "Let this machine reach the key set, or pin the key with instance.jwt_key."
_UPSTREAM = "Look at the service behind the route: routes[].upstream."
_MACHINES = "Let this machine reach instance.api_url, which verifies machine tokens; see machines.budget_ms."
_FORGED = (
    "Ask where the token comes from: what was signed is not what arrived, or another key signed it; where "
    "instance.jwt_key is pinned, compare it with the instance's."
)
_DEPLOY = "compare its configuration with the one in deploy/."
CLOCK = "Set the clocks right (NTP) here and where tokens are issued; instance.clock_skew_s bridges a few seconds."

TABLE: dict[str, str] = {
    Reason.SESSION_TOKEN_AND_UAT_MISSING: _SIGN_IN,
    Reason.SESSION_TOKEN_MISSING: "Nothing is wrong: the Frontend API said that nobody is signed in there. Sign in.",
    Reason.SESSION_TOKEN_BUT_NO_CLIENT_UAT: _RENEW,
    Reason.CLIENT_UAT_BUT_NO_SESSION_TOKEN: _RENEW,
    Reason.SESSION_TOKEN_IAT_BEFORE_CLIENT_UAT: _RENEW,
    Reason.SESSION_TOKEN_NBF: CLOCK,
    Reason.SESSION_TOKEN_IAT_IN_THE_FUTURE: CLOCK,
    Reason.SESSION_TOKEN_EXPIRED: "The browser or program has to fetch a new token; session tokens live a minute.",
    Reason.DEV_BROWSER_MISSING: "Nothing is wrong: the browser has no session here. Browsers are sent to "
    "sign in when they open a page; programs send Authorization: Bearer.",
    Reason.DEV_BROWSER_SYNC: _RENEW,
    Reason.PRIMARY_DOMAIN_CROSS_ORIGIN_SYNC: _RENEW,
    Reason.PRIMARY_RESPONDS_TO_SYNCING: "Nothing is wrong as long as it happens once: the browser goes back to the "
    "satellite that sent it; see instance.satellite_origins.",
    Reason.SATELLITE_NEEDS_SYNCING: "Nothing is wrong as long as it happens once: the satellite asks whether somebody "
    "is signed in. If it repeats, compare instance.domain, proxy_url and sign_in_url with the domains of the instance.",
    Reason.ACTIVE_ORGANIZATION_MISMATCH: "The page is for another organization than the session's active one; see "
    "instance.organization_patterns. A browser is switched by the handshake.",
    Reason.DUPLICATE_SESSION_COOKIES: "Find out who else sets session cookies for this host or its parent domain; "
    "the browser has to sign in again.",
    Reason.SESSION_PENDING: "The user has tasks open, such as choosing an organization; the sign-in page offers them.",
    Reason.SESSION_ENDED: "The session was ended after this token was issued. Sign in again.",
    Reason.TOKEN_TYPE_MISMATCH: "Send a token of a class that routes[].accepts names; session tokens by default.",
    Reason.MISSING_ROLE: "Give the user the role in the active organization, or change routes[].require.role.",
    Reason.MISSING_PERMISSION: "Give the user's role the permission, or change routes[].require.permission.",
    Reason.MISSING_FEATURE: "Add the feature to the user's or the organization's plan, or change "
    "routes[].require.feature.",
    Reason.MISSING_PLAN: "Put the user or the organization on the plan, or change routes[].require.plan.",
    Reason.MISSING_SCOPE: "Use a machine token with the scopes, or change routes[].require.scopes.",
    Reason.REVERIFICATION_REQUIRED: "The user has to confirm who they are again, in the application; see "
    "routes[].require.reverification.",
    Reason.IMPERSONATION_REFUSED: "The user in person has to come: the session is an impersonation (claim act), and "
    "routes[].require.no_impersonation forbids it here.",
    Reason.TOKEN_EXPIRED: "Fetch a new token; session tokens live a minute.",
    Reason.TOKEN_INVALID: "Send the token whole, as the SDK gives it: a JWT has three parts. Where it is a machine's, "
    "routes[].accepts has to name its type, and the API of this instance has to know it.",
    Reason.TOKEN_INVALID_ALGORITHM: _FORGED,
    Reason.TOKEN_INVALID_AUTHORIZED_PARTIES: "Add the origin in azp to instance.authorized_parties if it is yours.",
    Reason.TOKEN_INVALID_ISSUER: "Compare instance.publishable_key with the application that signs people in: the "
    "token is another instance's.",
    Reason.TOKEN_INVALID_SIGNATURE: _FORGED,
    Reason.TOKEN_NOT_ACTIVE_YET: CLOCK,
    Reason.TOKEN_IAT_IN_THE_FUTURE: CLOCK,
    Reason.TOKEN_VERIFICATION_FAILED: _FORGED,
    Reason.JWK_KID_MISMATCH: "Compare instance.publishable_key and instance.secret_key with the application that signs "
    "people in: no key of this instance signed the token.",
    Reason.NO_TOKEN_IN_HEADER: "Send a machine's token as Bearer token; routes[].accepts names which count.",
    Reason.MACHINE_TOKEN_EXPIRED: "Make a new token for the machine.",
    Reason.MACHINE_TOKEN_REVOKED: "Make a new token for the machine, if it should still have one.",
    Reason.MACHINE_API_UNREACHABLE: _MACHINES,
    Reason.MACHINE_API_TIMEOUT: _MACHINES,
    Reason.MACHINE_API_FAILED: _MACHINES,
    Reason.MACHINE_VERIFICATION_LIMITED: "Find out who sends unknown machine tokens, or raise "
    "machines.new_tokens_per_s.",
    Reason.SECRET_KEY_INVALID: "Correct instance.secret_key, or instance.api_url: the API refuses the key.",
    Reason.JWK_REMOTE_DNS: f"The name of instance.api_url, or of the Frontend API, does not resolve here. {_KEYS}",
    Reason.JWK_REMOTE_UNREACHABLE: f"Nobody takes the connection to instance.api_url or the Frontend API. {_KEYS}",
    Reason.JWK_REMOTE_TLS: f"The certificate of instance.api_url or the Frontend API is not trusted here. {_KEYS}",
    Reason.JWK_REMOTE_TIMEOUT: f"instance.api_url or the Frontend API is too slow. {_KEYS}",
    Reason.JWK_REMOTE_FAILED_TO_LOAD: f"instance.api_url or the Frontend API answers with an error. {_KEYS}",
    Reason.JWK_REMOTE_INVALID: f"What answers at instance.api_url or the Frontend API is no key set. {_KEYS}",
    Reason.JWK_REMOTE_MISSING: f"The key set at instance.api_url or the Frontend API has no RSA key. {_KEYS}",
    Reason.REQUEST_TARGET_INVALID: "Correct the address that the client asks for; the detail says what is odd in it.",
    Reason.REQUEST_HOST_INVALID: "Send one Host, and add its name to server.allowed_hosts if it is yours.",
    Reason.REQUEST_FRAMING_INVALID: "Send one Content-Length, or Transfer-Encoding: chunked.",
    Reason.REQUEST_HEADERS_TOO_LARGE: "Find out what fills the headers; as a rule cookies that nobody removes.",
    Reason.EXPECTATION_FAILED: "The client's Expect header may say 100-continue and nothing else; see to the client.",
    Reason.GATEWAY_OVERLOADED: "More requests are in hand than server.max_requests allows, or connections open than "
    "server.max_connections: look for a slow upstream, add workers or machines, or raise it.",
    Reason.REQUEST_BODY_TOO_LARGE: "Raise routes[].max_body_bytes if such requests are meant to come.",
    Reason.REQUEST_TIMEOUT: "Send the request faster, or look for what stands between client and gateway.",
    Reason.ROUTE_NOT_FOUND: "Add a route for this host and path, [[routes]]; gateway check shows those there are.",
    Reason.METHOD_NOT_ALLOWED: "Add the method to routes[].methods if it should be served.",
    Reason.DECISION_PEER_REFUSED: "Add the address of the proxy that asks to decide.trusted; nobody else should reach "
    "/.gateway/decide/.",
    Reason.ORIGINAL_REQUEST_MISSING: f"The proxy that asks does not name the request; {_DEPLOY}",
    Reason.ORIGINAL_REQUEST_CONTRADICTORY: f"The proxy that asks lets a client name the request; {_DEPLOY}",
    Reason.ORIGINAL_REQUEST_INVALID: "Correct the address that the client asks for; the detail says what is odd in it.",
    Reason.WEBSOCKET_ORIGIN_REFUSED: "Add the page's origin to instance.authorized_parties if it is one of yours.",
    Reason.WEBSOCKET_OPENING_INVALID: "Use a WebSocket library: the opening lacks its key or version, or is no GET.",
    Reason.WEBSOCKET_VERSION_UNSUPPORTED: "Use a client that speaks version 13, which all browsers do.",
    Reason.WEBSOCKET_OFFER_INVALID: "Offer different sub-protocols, each of letters, digits and !#$%&'*+-.^_`|~.",
    Reason.WEBSOCKET_LIMIT_REACHED: "Raise websocket.max_open or server.workers if the machine has memory for more.",
    Reason.WEBSOCKET_MESSAGE_TOO_LARGE: "Raise websocket.max_message_bytes if such messages are meant.",
    Reason.WEBSOCKET_IDLE: "Have the page or the upstream send something now and then, or raise websocket.idle_s.",
    Reason.WEBSOCKET_CLIENT_TOO_SLOW: "Send less, or look at the client's network: it read nothing for a minute.",
    Reason.WEBSOCKET_SESSION_UNKNOWN: "Set instance.secret_key so that the API can be asked, look at its status, or "
    "raise websocket.unchecked_s.",
    Reason.CORS_ORIGIN_REFUSED: "Add the page's origin to routes[].cors.origins if it is one of yours.",
    Reason.CORS_PREFLIGHT_UNANSWERED: "Let the application answer preflights: add a public route with "
    'methods = ["OPTIONS"], or answer them in the proxy that asks (docs/behind-your-proxy.md).',
    Reason.UNEXPECTED_ERROR: "Read the traceback in the log of the gateway, and report it.",
    Reason.UPSTREAM_UNREACHABLE: _UPSTREAM,
    Reason.UPSTREAM_CONNECT_TIMEOUT: _UPSTREAM,
    Reason.UPSTREAM_TIMEOUT: _UPSTREAM,
    Reason.UPSTREAM_TLS: _UPSTREAM,
    Reason.UPSTREAM_PROTOCOL_ERROR: _UPSTREAM,
    Reason.UPSTREAM_TRUNCATED: _UPSTREAM,
    Reason.UPSTREAM_OVERLOADED: _UPSTREAM,
    Reason.UPSTREAM_UNAVAILABLE: "Look at the servers of the upstream: the log says since when each fails, and why; "
    "upstreams[].health and upstreams[].ejection say when they are tried again.",
}

_LATER = "The Sessions API did not answer as it should; try again, and look at instance.api_url and refresh.budget_ms."
_ODD = "The Sessions API answered with something that cannot be used; look at instance.api_url."

REFRESH_TABLE: dict[str, str] = {
    RefreshFailure.NON_ELIGIBLE_METHOD: "Add the method to refresh.methods, or leave that out to refresh them all.",
    RefreshFailure.NON_ELIGIBLE_NO_REFRESH_COOKIE: "The request has no refresh cookie: the client has to fetch a new "
    "token itself; browsers get the cookie with their next handshake.",
    RefreshFailure.NOT_CONFIGURED: "Set instance.secret_key and refresh.enabled, so that tokens are traded here.",
    RefreshFailure.MISSING_SID_CLAIM: "The token names no session, so it cannot be traded; use a session token.",
    RefreshFailure.INVALID_SESSION_TOKEN: _ODD,
    RefreshFailure.SESSION_MISMATCH: _ODD,
    RefreshFailure.UNEXPECTED_SDK_ERROR: _ODD,
    RefreshFailure.UNEXPECTED_BAPI_ERROR: _LATER,
    RefreshFailure.FETCH_ERROR: _LATER,
    RefreshFailure.TIMEOUT: _LATER,
    RefreshFailure.API_UNAVAILABLE: "The Sessions API did not answer several calls in a row, and is tried again after "
    "a pause: look at its status and at the way to it. The log says when that began.",
    RefreshFailure.BACKED_OFF: "The API refused this session's refresh token, or too many from this address, again and "
    "again, and is asked again after a pause: look at the reasons before this one. If every client has one address in "
    "the log, set server.trusted_proxies.",
}

NOTHING = "Nothing: the request goes on."
_REFUSED = "The Sessions API does not renew this session; its reason is at the end of the code. Sign in again."


def advice(reason: str) -> str:
    """Return what to do about a reason; the empty one means that there is nothing to do."""
    if not reason:
        return NOTHING
    tail = refresh_failure(reason)
    return TABLE.get(reason, _SIGN_IN) if tail is None else REFRESH_TABLE.get(tail, _REFUSED)
