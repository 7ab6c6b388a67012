"""``[[upstreams]]``: several servers under one name, and how the work is shared among them."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core import settings_addresses as addresses
from gateway.core import settings_model as model
from gateway.core import settings_requests as requests
from gateway.core import settings_values as values
from gateway.core.settings_table import Key, section
from gateway.core.settings_values import BadEntry, BadTableError, BadValueError, did_you_mean, show

_Readers = Mapping[str, Callable[[object], object]]


def read_table(record: type, readers: _Readers, example: str) -> Callable[[object], Any]:
    """Make a reader of a table that becomes this record."""

    def read(value: object) -> Any:
        if isinstance(value, record):
            return value
        if not isinstance(value, Mapping):
            raise BadValueError("it is not a table", f"write {example}")
        found = _read_values(value, readers)
        try:
            return record(**found)
        except TypeError:
            raise BadValueError("something is missing in it", f"write {example}") from None

    return read


def _read_values(table: Mapping[str, object], readers: _Readers) -> dict[str, object]:
    found: dict[str, object] = {}
    bad = []
    for name, content in table.items():
        if name not in readers:
            bad.append(BadEntry(str(name), "", "there is no such key", did_you_mean(str(name), [*readers])))
            continue
        try:
            found[name] = readers[name](content)
        except BadValueError as error:
            bad.append(BadEntry(name, show(content), error.problem, error.fix))
    if bad:
        raise BadTableError(bad)
    return found


def _server(value: object) -> model.ServerOfUpstream:
    if isinstance(value, str):
        return model.ServerOfUpstream(url=addresses.server(value))
    try:
        found = _server_table(value)
    except BadTableError as bad:
        raise BadValueError(str(bad), bad.entries[0].fix) from None
    return found  # type: ignore[no-any-return]


def _servers(value: object) -> tuple[model.ServerOfUpstream, ...]:
    found = values.list_of(_server, at_least=1)(value)
    urls = [server.url for server in found]
    if len(set(urls)) < len(urls):
        raise BadValueError("a server stands there twice", "write it once, with a weight")
    return found


_server_table = read_table(
    model.ServerOfUpstream,
    {"url": addresses.server, "weight": values.integer(1, 1000)},
    '{ url = "http://127.0.0.1:9000", weight = 2 }',
)
_health = read_table(
    model.HealthSettings,
    {
        "path": requests.check_path,
        "interval_s": values.number(0.05, 3600),
        "timeout_s": values.number(0.05, 60),
        "healthy": values.integer(1, 100),
        "unhealthy": values.integer(1, 100),
    },
    '{ path = "/healthz", interval_s = 10 }',
)
_ejection = read_table(
    model.EjectionSettings,
    {
        "failures": values.integer(1, 1000),
        "first_s": values.number(0.05, 3600),
        "longest_s": values.number(0.05, 86_400),
        "share": values.number(0, 1),
    },
    "{ failures = 5, first_s = 10 }",
)

UPSTREAM = section(
    "upstreams",
    model.UpstreamSettings,
    Key("name", "text", addresses.upstream_name, 'What routes call it: upstream = "api". Required.'),
    Key(
        "servers",
        "list",
        _servers,
        "Its servers: addresses, or { url, weight } where some get more than others. Required.",
    ),
    Key(
        "balance",
        "text",
        values.word("round_robin", "least_connections"),
        "Who gets the next request: round_robin (in turn, by weight) or least_connections (whoever has the fewest).",
    ),
    Key(
        "health",
        "table",
        _health,
        "How each worker process asks the servers whether they are well: path, interval_s, timeout_s, and after how "
        "many answers in a row it believes them (healthy, unhealthy). Status 200 to 399 is well. Left out: nobody "
        "asks.",
    ),
    Key(
        "ejection",
        "table",
        _ejection,
        "When a server is left alone: after so many failures in a row, for first_s, twice as long with each further "
        "time, at most longest_s; never more than this share of the servers, and never the last one.",
    ),
)
