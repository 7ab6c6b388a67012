"""Every key of the settings in one table: how it is read, what it means, its unit and its hazard.

The parser, the environment overrides, ``gateway check`` and the test of ``config.example.toml`` all read this table.
Defaults stand in :mod:`gateway.core.settings_model` and nowhere else.
"""

from gateway.core import redis_url
from gateway.core import settings_addresses as addresses
from gateway.core import settings_headers as headers
from gateway.core import settings_model as model
from gateway.core import settings_requests as requests
from gateway.core import settings_values as values
from gateway.core.original import Front
from gateway.core.settings_instance_keys import INSTANCE
from gateway.core.settings_pools import UPSTREAM
from gateway.core.settings_route_keys import ROUTE
from gateway.core.settings_server_keys import SERVER
from gateway.core.settings_table import Key, Kind, Section, section
from gateway.core.settings_websocket_keys import WEBSOCKET

__all__ = ["ROUTE", "SECTIONS", "UPSTREAM", "Key", "Kind", "Section"]

SECTIONS: tuple[Section, ...] = (
    INSTANCE,
    SERVER,
    section(
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
    section(
        "decide",
        model.DecideSettings,
        Key(
            "fronts",
            "list",
            values.list_of(values.one_of(Front)),
            "The kinds of proxies that ask at /.gateway/decide/<front> and forward themselves: nginx, haproxy, envoy, "
            "caddy, traefik; routes need no upstream then; empty: nobody may ask.",
        ),
        Key(
            "trusted",
            "list",
            values.list_of(addresses.network),
            "The networks that those proxies ask from; others get 403.",
            hazard="whoever sits in such a network can ask about any host, path and method, from any client address",
        ),
        Key(
            "grpc_listen",
            "text",
            addresses.address,
            "Host and port where Envoy asks by gRPC, in plain text (the extra grpc); left out: nowhere.",
        ),
    ),
    section(
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
    section(
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
        Key(
            "store",
            "text",
            redis_url.store,
            "What makes several processes trade an expired token once: the URL of a Redis server (redis://, rediss:// "
            'or unix://) for all hosts that name it; "none": each process alone; left out: the workers of one gateway '
            "share a folder.",
            hazard="the URL may hold a password: prefer GATEWAY_REFRESH_STORE",
            redact=redis_url.redacted,
        ),
    ),
    section(
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
    section(
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
    WEBSOCKET,
    section(
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
