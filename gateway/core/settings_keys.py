"""Every key of the settings in one table: how it is read, what it means, its unit and its hazard.

The parser, the environment overrides, ``gateway check`` and the test of ``config.example.toml`` all read this table.
Defaults stand in :mod:`gateway.core.settings_model` and nowhere else.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from gateway.core import settings_addresses as addresses
from gateway.core import settings_credentials as credentials
from gateway.core import settings_headers as headers
from gateway.core import settings_model as model
from gateway.core import settings_requests as requests
from gateway.core import settings_requirements as requirements
from gateway.core import settings_values as values
from gateway.core.secret import Secret

_KEY_PREFIX = re.compile(r"(?:sk|pk)_(?:test|live)_")

Kind = Literal["text", "list", "integer", "number", "boolean", "table", "file"]


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        name: as written in the file.
        kind: what it holds; tells how an environment variable's text is split. A ``file`` is the path of a file that
            holds another key's value; such keys are resolved before parsing.
        read: turns what the document holds into the typed value; raises :class:`values.BadValueError`.
        meaning: one sentence.
        unit: of a number, else empty.
        hazard: what goes wrong when it is set carelessly, else empty.
        redact: how the value is shown in a fault.
    """

    name: str
    kind: Kind
    read: Callable[[object], object]
    meaning: str
    unit: str = ""
    hazard: str = ""
    redact: Callable[[object], str] = values.show


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file and the record that it becomes."""

    name: str
    model: Any
    keys: Mapping[str, Key]

    def default(self, key: str) -> object:
        """Return a key's default as the record holds it, or None where it has none."""
        for each in fields(self.model):
            if each.name == key and each.default is not MISSING:
                return each.default
        return None


def _section(name: str, record: type, *keys: Key) -> Section:
    return Section(name, record, {key.name: key for key in keys})


def _hint(value: object) -> str:
    """Show the public prefix of a key at most: what follows may be secret even when it is no key at all."""
    text = value.reveal() if isinstance(value, Secret) else value
    prefix = _KEY_PREFIX.match(text) if isinstance(text, str) else None
    return f"{prefix[0]}…" if prefix else "…"


def _length(value: object) -> str:
    return f"a text of {len(value)} characters" if isinstance(value, str) else type(value).__name__


def _unresolved(value: object) -> str:
    values.text(value)
    raise values.BadValueError(
        "files are read by the loader of configuration files", "read the file and give its content"
    )


SECTIONS: tuple[Section, ...] = (
    _section(
        "instance",
        model.InstanceSettings,
        Key(
            "publishable_key",
            "text",
            credentials.publishable_key,
            "The publishable key, pk_test_… or pk_live_…; names the Frontend API and the kind of instance. Required. "
            "CLERK_PUBLISHABLE_KEY is read where the file is silent.",
        ),
        Key(
            "secret_key",
            "text",
            credentials.secret_key,
            "The secret key, sk_test_… or sk_live_…, for the key set (JWKS), refresh and handshake payloads. "
            "CLERK_SECRET_KEY is read where the file is silent.",
            hazard="whoever has it can act as any user; prefer secret_key_file or the environment",
            redact=_hint,
        ),
        Key(
            "secret_key_file",
            "file",
            _unresolved,
            "The path of a file that holds the secret key, relative to this file.",
            hazard="should be readable by the gateway's user only",
        ),
        Key(
            "machine_secret_key",
            "text",
            credentials.machine_secret_key,
            "A machine's secret key, with which M2M tokens are verified in the place of the instance's. "
            "CLERK_MACHINE_SECRET_KEY is read where the file is silent.",
            hazard="whoever has it can act as that machine; prefer machine_secret_key_file or the environment",
            redact=_hint,
        ),
        Key(
            "machine_secret_key_file",
            "file",
            _unresolved,
            "The path of a file that holds the machine's secret key, relative to this file.",
            hazard="it, too, should be readable by the gateway's user only",
        ),
        Key(
            "jwt_key",
            "text",
            credentials.public_key,
            "The instance's public key as PEM; then no key set is fetched at all. "
            "CLERK_JWT_KEY is read where the file is silent.",
            hazard="a key that the instance replaces has to be replaced here by hand",
            redact=_length,
        ),
        Key("jwt_key_file", "file", _unresolved, "The path of a file that holds that PEM, relative to this file."),
        Key(
            "api_url",
            "text",
            addresses.api_url,
            "The base of the API, without /v1.",
            hazard="the secret key is sent there; plain http is allowed to loopback only",
        ),
        Key(
            "authorized_parties",
            "list",
            values.list_of(addresses.origin),
            "The origins whose tokens count, compared with the claim azp; empty: any.",
            hazard="while it is empty, a token that another site of the same instance obtained is accepted",
        ),
        Key(
            "sign_in_url",
            "text",
            addresses.page_url,
            "The absolute URL of the sign-in page.",
        ),
        Key(
            "proxy_url",
            "text",
            addresses.proxy_url,
            "Replaces https:// and the Frontend API's host in redirects, when that API is reached by another address: "
            "an absolute URL, or a path of the site's own origin, like /__clerk, that whoever stands in front serves.",
        ),
        Key(
            "is_satellite",
            "boolean",
            values.boolean,
            "Whether this site is a satellite: another domain of the instance, whose people sign in on the primary's.",
        ),
        Key(
            "domain",
            "text",
            addresses.domain,
            "The domain of a satellite; in production its Frontend API is clerk.<domain>. A satellite needs it or "
            "proxy_url.",
        ),
        Key(
            "satellite_auto_sync",
            "boolean",
            values.boolean,
            "Whether a satellite asks for a session at the first page that is opened, not only after a sign-in.",
        ),
        Key(
            "satellite_origins",
            "list",
            values.list_of(addresses.origin),
            "The origins of the satellites that the primary of a development instance answers.",
            hazard="whoever serves such an origin gets the dev browser's token, which is as good as the session",
        ),
        Key(
            "clock_skew_s",
            "number",
            values.number(0, 300),
            "How far this clock and the instance's may differ.",
            unit="seconds",
            hazard="an expired token counts for so much longer",
        ),
        Key(
            "organization_patterns",
            "list",
            values.list_of(requests.organization_pattern),
            "The paths of pages that belong to an organization, which :slug or :id names; a browser's session follows.",
        ),
        Key(
            "personal_patterns",
            "list",
            values.list_of(requests.personal_pattern),
            "The paths of pages that belong to the personal account; asked after organization_patterns.",
        ),
    ),
    _section(
        "server",
        model.ServerSettings,
        Key(
            "listen",
            "text",
            addresses.address,
            "Host and port to listen on; IPv6 in brackets; port 0: any free one.",
            hazard="0.0.0.0 and [::] are reachable from everywhere, in plain http",
        ),
        Key("workers", "integer", values.integer(1, 256), "Worker processes; one per core is a good start."),
        Key(
            "trusted_proxies",
            "list",
            values.list_of(addresses.network),
            "The networks whose X-Forwarded-For, -Host and -Proto are believed; empty: nobody's.",
            hazard="whoever sits in such a network can pretend any host, scheme and client address",
        ),
        Key(
            "allowed_hosts",
            "list",
            values.list_of(addresses.host_pattern),
            'Host names that are served, without port, "*.example.com" for all below; others get 400; empty: any.',
            hazard="while it is empty, the host that a client names appears in redirects",
        ),
        Key(
            "drain_s",
            "number",
            values.number(1, 1800),
            "How long requests in flight may take to finish after SIGTERM; then they are cut.",
            unit="seconds",
        ),
    ),
    _section(
        "identity",
        model.IdentitySettings,
        Key(
            "prefix",
            "text",
            headers.header_prefix,
            "How the identity headers to the upstream begin.",
            hazard="everything that a client sends under it is deleted",
        ),
        Key(
            "claims",
            "table",
            headers.claim_headers,
            "Further headers, each with the claim that it carries as names joined by dots.",
            hazard="a header named here is deleted from what clients send, like those under the prefix",
        ),
    ),
    _section(
        "keys",
        model.KeysSettings,
        Key(
            "stale_s",
            "number",
            values.number(300, 86_400),
            "How long the last good key set is used while its source is down; then requests get 503. "
            "The least, 300, is the lifetime of a set.",
            unit="seconds",
            hazard="a key that the instance withdraws during an outage counts for so long",
        ),
        Key(
            "cool_down_s",
            "number",
            values.number(1, 300),
            "How long unknown key ids cause no further load of the set.",
            unit="seconds",
            hazard="tokens of a key that the instance takes into use unannounced are refused for so long",
        ),
        Key(
            "cache_file",
            "text",
            values.text,
            "The path of a file that keeps the last good key set, relative to this file, so that a restart while the "
            "source is down comes up; left out: none. The gateway writes it.",
            hazard="whoever can write it can sign in as anybody: a folder that only the gateway's user can write",
        ),
    ),
    _section(
        "refresh",
        model.RefreshSettings,
        Key("enabled", "boolean", values.boolean, "Whether an expired token is traded for a new one on the way."),
        Key(
            "budget_ms",
            "integer",
            values.integer(50, 60_000),
            "How long a request may wait for its refresh.",
            unit="milliseconds",
        ),
        Key(
            "methods",
            "list",
            values.list_of(requests.method, at_least=1),
            "The methods that may be refreshed; left out: all.",
        ),
        Key(
            "max_concurrent",
            "integer",
            values.integer(1, 10_000),
            "How many refresh calls each worker process makes at once; more wait, within budget_ms.",
        ),
    ),
    _section(
        "cache",
        model.CacheSettings,
        Key(
            "max_tokens",
            "integer",
            values.integer(0, 10_000_000),
            "How many verified tokens each worker process remembers; 0 checks every signature anew.",
        ),
        Key(
            "max_bytes",
            "integer",
            values.integer(0, 64 * 1024**3),
            "How much memory they may take in each worker process; a token takes 2 to 4 KiB.",
            unit="bytes",
        ),
    ),
    _section(
        "machines",
        model.MachineSettings,
        Key(
            "cache_s",
            "number",
            values.number(0, 300),
            "How long the API's good answer about a machine token counts; 0: each request asks.",
            unit="seconds",
            hazard="a token that was revoked is accepted for so much longer",
        ),
        Key(
            "negative_cache_s",
            "number",
            values.number(0, 300),
            "How long its bad answer counts; 0: each request asks.",
            unit="seconds",
            hazard="a token that became good is refused for so much longer",
        ),
        Key(
            "budget_ms",
            "integer",
            values.integer(50, 60_000),
            "How long a request may wait for the API's answer about its machine token.",
            unit="milliseconds",
        ),
        Key(
            "new_tokens_per_s",
            "number",
            values.number(0.1, 1000),
            "How many tokens that were never seen good the API may be asked about; ten seconds' worth at once.",
            unit="tokens per second",
            hazard="anybody can have the gateway spend so much of the instance's rate limit by inventing tokens",
        ),
    ),
    _section(
        "log",
        model.LogSettings,
        Key("access", "boolean", values.boolean, "Whether each request is logged in a line."),
        Key("format", "text", values.word("text", "json"), "How lines look: text for people, json for machines."),
        Key(
            "level",
            "text",
            values.word("debug", "info", "warning", "error"),
            "The least level that is logged: debug, info, warning or error.",
        ),
    ),
)

ROUTE = _section(
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
    Key("upstream", "text", addresses.upstream, "Where requests go: scheme, host and port. Required for the proxy."),
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
        "401), redirect (always sent) or 401 (never sent).",
    ),
    Key(
        "keep_credentials",
        "boolean",
        values.boolean,
        "Whether the session cookies and the Bearer token are forwarded to the upstream too.",
        hazard="the upstream can then act as the user",
    ),
)
