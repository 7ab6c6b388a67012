"""The keys of ``[[routes]]``: which requests go where, and who may pass."""

from gateway.core import settings_addresses as addresses
from gateway.core import settings_cors as cors
from gateway.core import settings_headers as headers
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
        "exact",
        "boolean",
        values.boolean,
        "Whether the route takes its path alone, and nothing below it; asked before all prefixes.",
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
        "Where requests go: scheme, host and port, unix: and the path of a socket, or the name of an upstream. "
        "Required for the proxy.",
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
    Key(
        "strip_prefix",
        "text",
        requests.route_path,
        "What is taken from the front of the path on the way to the upstream: the route's path, or the first segments "
        "of it. The upstream finds it in X-Forwarded-Prefix.",
        hazard="the route then reaches other paths of its upstream than its own",
    ),
    Key(
        "replace_prefix",
        "text",
        requests.route_path,
        "What is put in its place, or in the place of the route's path where strip_prefix is left out.",
    ),
    Key(
        "rewrite_answers",
        "boolean",
        values.boolean,
        "Whether Location, Content-Location, Refresh and the Path of cookies are translated back, where prefix or Host "
        "are others for the upstream.",
    ),
    Key(
        "host_header",
        "text",
        addresses.host_header,
        "The Host that the upstream gets: keep (the client's), upstream (the upstream's own) or a name.",
    ),
    Key(
        "identity",
        "boolean",
        values.boolean,
        "Whether the upstream is told who it is; what clients send in such headers is deleted either way.",
    ),
    Key(
        "headers",
        "table",
        headers.fixed_headers,
        "Further headers for the upstream of this route, always with these values.",
        hazard="a header named here is deleted from what clients send; a value is no place for a secret",
    ),
    Key(
        "cors",
        "table",
        cors.cors,
        "Which pages of other origins may read the answers: origins, methods, headers, expose, credentials, max_age_s. "
        "Preflights are answered here, without a session. Left out: the upstream says it itself.",
        hazard="with credentials, pages of these origins act as the user",
    ),
    Key(
        "max_body_bytes",
        "integer",
        values.integer(0, 1 << 50),
        "How long the body of a request may be; more is 413. Left out: any length, since it is passed on as it comes.",
        unit="bytes",
    ),
    Key(
        "max_header_bytes",
        "integer",
        values.integer(256, 128 * 1024),
        "How long the values of a request's headers may be together; more is 431. Left out: 128 KiB.",
        unit="bytes",
    ),
    Key(
        "loosens",
        "boolean",
        values.boolean,
        "Whether the route is meant to let through what another one guards; otherwise a warning says so at start.",
    ),
)
