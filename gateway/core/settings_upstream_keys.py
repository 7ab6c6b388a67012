"""The keys of ``[[routes]]`` that say how an upstream is reached, and bound what it may take: time and connections."""

from gateway.core import settings_addresses as addresses
from gateway.core import settings_values as values
from gateway.core.settings_table import Key

UPSTREAM_KEYS = (
    Key(
        "connect_timeout_s",
        "number",
        values.number(0.1, 300),
        "How long connecting to the upstream may take, TLS included; then the client gets 504.",
        unit="seconds",
    ),
    Key(
        "first_byte_timeout_s",
        "number",
        values.number(0.1, 86_400),
        "How long the upstream may take from the request's last byte to its status and headers; then the client gets "
        "504.",
        unit="seconds",
    ),
    Key(
        "idle_timeout_s",
        "number",
        values.number(0.1, 86_400),
        "How long no byte of a body may pass, either way, before the exchange is broken off.",
        unit="seconds",
        hazard="long polls and event streams that are silent for longer are cut",
    ),
    Key(
        "total_timeout_s",
        "number",
        values.number(0, 86_400),
        "How long a whole exchange may take, the body of its answer included; 0: as long as bytes pass.",
        unit="seconds",
        hazard="event streams and large downloads are cut too",
    ),
    Key(
        "keep_alive_s",
        "number",
        values.number(0, 3600),
        "How long an idle connection to the upstream is kept; shorter than the upstream keeps it.",
        unit="seconds",
    ),
    Key(
        "max_connections",
        "integer",
        values.integer(1, 65_536),
        "How many connections to the upstream each worker process holds at once; requests beyond that get 503.",
    ),
    Key(
        "http",
        "text",
        values.word("1.1", "2"),
        "The version of HTTP that the upstream is spoken to in, 1.1 or 2; with 2 a connection carries up to 100 "
        "requests at once, and in plain text the upstream has to expect it. WebSockets go there in 1.1.",
    ),
    Key(
        "tls_ca_file",
        "text",
        values.text,
        "The path of a file of certificates, relative to this file, that vouch for an https upstream in place of the "
        "system's; left out: the system's.",
    ),
    Key(
        "tls_certificate_file",
        "text",
        values.text,
        "The path of the gateway's own certificate for an https upstream that asks for one (mutual TLS), relative to "
        "this file; it may hold the key too.",
    ),
    Key("tls_key_file", "text", values.text, "The path of that certificate's key, where it is in a file of its own."),
    Key(
        "tls_name",
        "text",
        addresses.host_name,
        "The name that the certificate of an https upstream must bear; left out: the upstream's host.",
    ),
)
