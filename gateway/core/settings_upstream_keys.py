"""The keys of ``[[routes]]`` that bound what an upstream may take: time and connections."""

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
)
