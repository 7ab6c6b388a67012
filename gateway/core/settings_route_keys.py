"""The keys of ``[[routes]]``: which requests go where, and who may pass."""

from gateway.core import settings_addresses as addresses
from gateway.core import settings_model as model
from gateway.core import settings_requests as requests
from gateway.core import settings_requirements as requirements
from gateway.core import settings_values as values
from gateway.core.settings_table import Key, section
from gateway.core.settings_upstream_keys import UPSTREAM_KEYS

ROUTE = section(
    "routes",
    model.RouteSettings,
    Key(
        "path",
        "text",
        requests.route_path,
        "A prefix on the borders of segments: /api takes /api and /api/x, not /apix. The longest one wins.",
    ),
    Key(
        "host",
        "text",
        addresses.host_pattern,
        "Only for this host, or for all below *.example.com; left out: any host. "
        "A route for the request's host is asked before any other.",
    ),
    Key(
        "methods",
        "list",
        values.list_of(requests.method, at_least=1),
        "Only for these methods; left out: all. GET takes HEAD too.",
    ),
    Key(
        "upstream",
        "text",
        addresses.upstream,
        "Where requests go: scheme, host and port, or unix: and the path of a socket. Required for the proxy.",
    ),
    Key(
        "access",
        "text",
        values.one_of(model.Access),
        "public (anyone, no identity), optional (anyone, identity if signed in) or required (signed in only).",
        hazard="public inside a required route opens what is below it",
    ),
    Key(
        "accepts",
        "list",
        requests.accepts,
        'The types of tokens that count here: session_token, api_key, m2m_token, oauth_token; or "any".',
        hazard="a machine's token stands for no person; let it in where programs are meant to come",
    ),
    Key(
        "require",
        "table",
        requirements.requirement,
        "What a session must have to pass, all of it, or it gets 403: role, permission, feature, plan, reverification "
        "(strict_mfa, strict, moderate, lax or { level, after_minutes }), no_impersonation = true; of machine tokens "
        "scopes. Only where access is required.",
        hazard="the token says it, so a role that was taken away counts until the token expires",
    ),
    Key(
        "on_signed_out",
        "text",
        values.one_of(model.OnSignedOut),
        "What a signed-out request gets where a session is required: auto (browsers are sent to sign in, others get "
        "401), redirect (programs that read, by GET or HEAD, are sent too) or 401 (nobody is sent).",
    ),
    Key(
        "keep_credentials",
        "boolean",
        values.boolean,
        "Whether the session cookies and the Bearer token are forwarded to the upstream too.",
        hazard="the upstream can then act as the user",
    ),
    *UPSTREAM_KEYS,
    Key(
        "websocket_token_protocol",
        "text",
        requests.sub_protocol,
        "The WebSocket sub-protocol behind which a page may offer its Bearer token, as in new WebSocket(url, "
        '["bearer", token]); neither is forwarded. Left out: no token is taken from there.',
    ),
)
