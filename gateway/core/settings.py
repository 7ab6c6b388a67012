"""From a document (a configuration file, or a dict in a program) to :class:`Settings`, or to every fault at once.

    settings = parse({
        "instance": {"publishable_key": "pk_test_…", "secret_key": "sk_test_…"},
        "routes": [
            {"path": "/", "upstream": "http://127.0.0.1:9000"},
            {"path": "/health", "upstream": "http://127.0.0.1:9000", "access": "public"},
        ],
    })

The document has the shape of ``config.example.toml``. A value of None is as good as a key that is left out. Reading
files and the environment is :mod:`gateway.adapters.config`; what each key means is :mod:`gateway.core.settings_keys`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.core.settings_agreement import faults, upstream_faults, warnings
from gateway.core.settings_keys import ROUTE, SECTIONS, UPSTREAM, Key, Section
from gateway.core.settings_model import (
    Access,
    Address,
    CacheSettings,
    DecideSettings,
    IdentitySettings,
    InstanceSettings,
    KeysSettings,
    LogSettings,
    MachineSettings,
    Network,
    OnSignedOut,
    RefreshSettings,
    RouteSettings,
    ServerSettings,
    Settings,
    UpstreamSettings,
)
from gateway.core.settings_values import BadTableError, BadValueError, did_you_mean, show
from gateway.errors import ConfigurationError, Fault

__all__ = [
    "Access",
    "Address",
    "CacheSettings",
    "DecideSettings",
    "IdentitySettings",
    "InstanceSettings",
    "KeysSettings",
    "LogSettings",
    "MachineSettings",
    "Network",
    "OnSignedOut",
    "RefreshSettings",
    "RouteSettings",
    "ServerSettings",
    "Settings",
    "UpstreamSettings",
    "parse",
]


def parse(document: Mapping[str, object], *, needs_upstream: bool = True) -> Settings:
    """Read and judge all settings.

    Args:
        document: sections by name, each a mapping; ``routes`` a list of mappings.
        needs_upstream: False for the middleware, which has no upstream; then routes may be left out altogether, and
            every path requires a session. So it is, too, where other proxies ask for decisions and forward themselves.

    Raises:
        ConfigurationError: with every fault, in the order of the table of keys.
    """
    reading = _Reading()
    reading.refuse_unknown("", document, [*(section.name for section in SECTIONS), UPSTREAM.name, ROUTE.name])
    sections = {section.name: reading.section(section, document.get(section.name)) for section in SECTIONS}
    needs_upstream = needs_upstream and not sections["decide"].get("fronts")
    upstreams = reading.upstreams(document.get(UPSTREAM.name))
    routes = reading.routes(document.get(ROUTE.name), needs_upstream=needs_upstream)
    faulty = {fault.setting.partition(".")[0] for fault in reading.faults}
    reading.faults += upstream_faults(upstreams, routes, faulty)
    reading.faults += faults(sections, routes, given=_names(document.get("instance")), faulty=faulty)
    if reading.faults:
        raise ConfigurationError(reading.faults)
    records = {section.name: section.model(**sections[section.name]) for section in SECTIONS}
    settings = Settings(
        **records,
        upstreams=tuple(UpstreamSettings(**upstream) for _, upstream in upstreams),
        routes=tuple(RouteSettings(**route) for _, route in routes),
    )
    return replace(settings, warnings=tuple(warnings(settings)))


_EXAMPLES = {
    "name": 'say how routes call it, like name = "api"',
    "servers": 'say where its servers are, like servers = ["http://127.0.0.1:9000"]',
}


@dataclass(slots=True)
class _Reading:
    """Collects faults while the document is read."""

    faults: list[Fault] = field(default_factory=list)

    def refuse_unknown(self, where: str, table: Mapping[str, object], known: Iterable[str]) -> None:
        names = list(known)
        for key in table:
            if key not in names:
                # Its value is not shown: under a misspelt name there may be a secret.
                self.faults.append(Fault(f"{where}{key}", "", "there is no such key", did_you_mean(str(key), names)))

    def section(self, section: Section, table: object, where: str = "") -> dict[str, Any]:
        """Return the typed values of the keys that are there and good."""
        where = where or section.name
        if table is None:
            return {}
        if not isinstance(table, Mapping):
            header = f"[{section.name}]" if section in SECTIONS else f"[[{section.name}]]"
            self.faults.append(Fault(where, show(table), "it is not a table", f"write {header} on a line of its own"))
            return {}
        self.refuse_unknown(f"{where}.", table, section.keys)
        found: dict[str, Any] = {}
        for key in section.keys.values():
            if table.get(key.name) is not None:
                self._value(f"{where}.{key.name}", key, table[key.name], found)
        return found

    def _value(self, setting: str, key: Key, value: object, found: dict[str, Any]) -> None:
        try:
            found[key.name] = key.read(value)
        except BadTableError as bad:
            self.faults += [Fault(f"{setting}.{name}", seen, problem, fix) for name, seen, problem, fix in bad.entries]
        except BadValueError as bad:
            self.faults.append(Fault(setting, key.redact(value), bad.problem, bad.fix))

    def upstreams(self, tables: object) -> list[tuple[str, dict[str, Any]]]:
        """Return each upstream's name in the document and its values."""
        if tables is None:
            return []
        if not isinstance(tables, list | tuple):
            self.faults.append(Fault("upstreams", show(tables), "it is not a list of tables", "write [[upstreams]]"))
            return []
        found = []
        for number, table in enumerate(tables):
            where = f"upstreams[{number}]"
            found.append((where, self.section(UPSTREAM, table, where)))
            missing = [key for key in ("name", "servers") if isinstance(table, Mapping) and table.get(key) is None]
            self.faults += [Fault(f"{where}.{key}", "", "it is missing", _EXAMPLES[key]) for key in missing]
        return found

    def routes(self, tables: object, *, needs_upstream: bool) -> list[tuple[str, dict[str, Any]]]:
        """Return each route's name in the document and its values."""
        if tables is None and not needs_upstream:
            return [("routes[0]", {})]
        if tables is not None and not isinstance(tables, list | tuple):
            self.faults.append(Fault("routes", show(tables), "it is not a list of tables", "write [[routes]]"))
            return []
        if not tables:
            fix = "add [[routes]] with path and upstream" if needs_upstream else "add [[routes]] with path"
            self.faults.append(Fault("routes", "", "there is no route", fix))
            return []
        return [self._route(f"routes[{number}]", table, needs_upstream) for number, table in enumerate(tables)]

    def _route(self, where: str, table: object, needs_upstream: bool) -> tuple[str, dict[str, Any]]:
        found = self.section(ROUTE, table, where)
        if needs_upstream and isinstance(table, Mapping) and table.get("upstream") is None:
            fix = 'say where requests go, like upstream = "http://127.0.0.1:9000"'
            self.faults.append(Fault(f"{where}.upstream", "", "it is missing", fix))
        return where, found


def _names(table: object) -> frozenset[str]:
    """Return the keys that are given, good or not: what is faulty is not missing too."""
    return (
        frozenset(key for key, value in table.items() if value is not None)
        if isinstance(table, Mapping)
        else frozenset()
    )
