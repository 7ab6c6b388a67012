"""The keys of ``[websocket]``: what WebSockets may take, and how soon they end with their session."""

from gateway.core import settings_model as model
from gateway.core import settings_values as values
from gateway.core.settings_table import Key, section

WEBSOCKET = section(
    "websocket",
    model.WebSocketSettings,
    Key(
        "max_message_bytes",
        "integer",
        values.integer(125, 16 * 1024**2),
        "How large a message may be, either way; a larger one ends the WebSocket with 1009.",
        unit="bytes",
    ),
    Key(
        "max_open",
        "integer",
        values.integer(0, 1_000_000),
        "How many WebSockets each worker process keeps open, within server.max_requests; more get 503. 0: none at all.",
    ),
    Key(
        "idle_s",
        "number",
        values.number(1, 604_800),
        "How long a WebSocket may go without a message either way; then it ends with 1001.",
        unit="seconds",
    ),
    Key(
        "ping_s",
        "number",
        values.number(0.1, 3600),
        "How long an upstream may be silent before it is sent a ping; after as long again without an answer the "
        "WebSocket ends with 1011.",
        unit="seconds",
    ),
    Key(
        "recheck_s",
        "number",
        values.number(0, 86_400),
        "How often the API is asked whether the session behind a WebSocket lives, once for all that it has open; "
        "one that ended closes them with 4401. 0: never.",
        unit="seconds",
        hazard="a session that ended talks on for so long; with 0 until somebody closes",
    ),
    Key(
        "unchecked_s",
        "number",
        values.number(1, 604_800),
        "How long a WebSocket goes on while that cannot be learnt, because the API is down or instance.secret_key is "
        "not set; then it ends with 1013, and the page's next try is judged anew.",
        unit="seconds",
        hazard="a session that ended meanwhile talks on for so long",
    ),
)
