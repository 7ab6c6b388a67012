"""The keys of ``[server]``: where the gateway listens, whom it believes, and what clients may take."""

from gateway.core import settings_addresses as addresses
from gateway.core import settings_model as model
from gateway.core import settings_values as values
from gateway.core.settings_table import Key, section

SERVER = section(
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
    Key(
        "max_requests",
        "integer",
        values.integer(1, 16_000),
        "How many requests each worker process has in hand at once, open WebSockets and streams included; more get "
        "503 with Retry-After. Those for /.gateway/ are always answered.",
    ),
    Key(
        "head_timeout_s",
        "number",
        values.number(0.1, 300),
        "How long a request's head may take from its first byte, and that from the connection's beginning; then 408.",
        unit="seconds",
    ),
    Key(
        "keep_alive_s",
        "number",
        values.number(1, 3600),
        "How long a connection may be idle between requests; a proxy in front should give up first.",
        unit="seconds",
        hazard="a proxy in front that keeps it longer sends some requests into a connection that is closing",
    ),
    Key(
        "max_connections",
        "integer",
        values.integer(1, 1_000_000),
        "How many connections each worker process holds at once; more get 503. Each takes a file descriptor.",
    ),
    Key(
        "max_connections_per_address",
        "integer",
        values.integer(0, 1_000_000),
        "How many of them one address may have, as the socket tells it; 0: no bound of its own.",
        hazard="behind a load balancer all clients have one address, and share the bound",
    ),
    Key(
        "forwarded",
        "boolean",
        values.boolean,
        "Whether upstreams get the Forwarded header (RFC 7239) beside X-Forwarded-For, -Host and -Proto.",
    ),
)
