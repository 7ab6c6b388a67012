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
from difflib import get_close_matches
from typing import Any

from gateway.core.instance import InstanceKind
from gateway.core.requirement import Requirement
from gateway.core.routes import spellings
from gateway.core.secret import Secret
from gateway.core.settings_keys import ROUTE, SECTIONS, Key, Section
from gateway.core.settings_model import (
    Access,
    Address,
    CacheSettings,
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
)
from gateway.core.settings_satellites import satellite_faults, satellite_warnings
from gateway.core.settings_values import BadTableError, BadValueError, show
from gateway.core.token_class import SESSION_ONLY, Accepts, TokenType, has_machines
from gateway.errors import ConfigurationError, Fault

__all__ = [
    "IDENTITY_HEADERS",
    "Access",
    "Address",
    "CacheSettings",
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
    "parse",
]

# What stands behind the identity prefix; a claim's header may not have such a name.
IDENTITY_HEADERS = (
    *("User-Id", "Id", "Actor", "Org-Id", "Org-Slug", "Org-Role", "Org-Permissions", "Status", "Truncated"),
    *("Token-Type", "Subject", "Scopes", "Machine-Id", "Client-Id"),
)
_MUCH_SKEW_S = 60


def parse(document: Mapping[str, object], *, needs_upstream: bool = True) -> Settings:
    """Read and judge all settings.

    Args:
        document: sections by name, each a mapping; ``routes`` a list of mappings.
        needs_upstream: False for the middleware, which has no upstream; then routes may be left out altogether, and
            every path requires a session.

    Raises:
        ConfigurationError: with every fault, in the order of the table of keys.
    """
    reading = _Reading()
    reading.refuse_unknown("", document, [*(section.name for section in SECTIONS), ROUTE.name])
    sections = {section.name: reading.section(section, document.get(section.name)) for section in SECTIONS}
    routes = reading.routes(document.get(ROUTE.name), needs_upstream=needs_upstream)
    faulty = {fault.setting.partition(".")[0] for fault in reading.faults}
    reading.faults += _instance_faults(sections["instance"], given=_names(document.get("instance")))
    reading.faults += satellite_faults(sections["instance"], _names(document.get("instance")), sections["server"])
    reading.faults += _identity_faults(sections["identity"])
    reading.faults += _accepts_faults(routes, _names(document.get("instance")))
    reading.faults += _require_faults((where, route) for where, route in routes if where not in faulty)
    reading.faults += _duplicate_faults((where, route) for where, route in routes if where not in faulty)
    if reading.faults:
        raise ConfigurationError(reading.faults)
    records = {section.name: section.model(**sections[section.name]) for section in SECTIONS}
    settings = Settings(**records, routes=tuple(RouteSettings(**route) for _, route in routes))
    return replace(settings, warnings=tuple(_warnings(settings)))


@dataclass(slots=True)
class _Reading:
    """Collects faults while the document is read."""

    faults: list[Fault] = field(default_factory=list)

    def refuse_unknown(self, where: str, table: Mapping[str, object], known: Iterable[str]) -> None:
        names = list(known)
        for key in table:
            if key not in names:
                near = get_close_matches(str(key), names, n=1)
                fix = f'did you mean "{near[0]}"?' if near else f"the known keys are {', '.join(names)}"
                # Its value is not shown: under a misspelt name there may be a secret.
                self.faults.append(Fault(f"{where}{key}", "", "there is no such key", fix))

    def section(self, section: Section, table: object, where: str = "") -> dict[str, Any]:
        """Return the typed values of the keys that are there and good."""
        where = where or section.name
        if table is None:
            return {}
        if not isinstance(table, Mapping):
            header = f"[[{section.name}]]" if section is ROUTE else f"[{section.name}]"
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


def _instance_faults(found: Mapping[str, Any], given: frozenset[str]) -> list[Fault]:
    faults = []
    if "publishable_key" not in given:
        fix = "set it, or CLERK_PUBLISHABLE_KEY, to the instance's pk_test_… or pk_live_…"
        faults.append(Fault("instance.publishable_key", "", "it is missing", fix))
    if not given & {"secret_key", "secret_key_file", "jwt_key", "jwt_key_file"}:
        fix = (
            "set it, or CLERK_SECRET_KEY, to the instance's sk_test_… or sk_live_…; or pin the public key with jwt_key"
        )
        faults.append(Fault("instance.secret_key", "", "it is missing", fix))
    if "publishable_key" in found and "secret_key" in found:
        faults += _kind_faults(found["publishable_key"].kind, found["secret_key"])
    return faults


def _kind_faults(kind: InstanceKind, secret: Secret) -> list[Fault]:
    is_live = secret.reveal().removeprefix("sk_").startswith("live_")
    if is_live == (kind is InstanceKind.PRODUCTION):
        return []
    problem = f"it is not of the {kind} instance that the publishable key names"
    expected = "sk_live_…" if kind is InstanceKind.PRODUCTION else "sk_test_…"
    return [Fault("instance.secret_key", secret.hint(), problem, f"copy both keys of one instance: {expected}")]


def _identity_faults(found: Mapping[str, Any]) -> list[Fault]:
    prefix = found.get("prefix", IdentitySettings().prefix)
    taken = {f"{prefix}{name}".lower() for name in IDENTITY_HEADERS}
    return [
        Fault("identity.claims", f'"{header}"', "the gateway sets this header itself", "choose another name")
        for header, _ in found.get("claims", ())
        if header.lower() in taken
    ]


def _accepts_faults(routes: Iterable[tuple[str, Mapping[str, Any]]], given: frozenset[str]) -> Iterable[Fault]:
    """Say which routes take tokens that nobody could verify, or whose terms nobody would ever ask about."""
    by_instance = bool(given & {"secret_key", "secret_key_file"})
    by_machine = bool(given & {"machine_secret_key", "machine_secret_key_file"})
    for where, values in routes:
        accepts: Accepts = values.get("accepts", SESSION_ONLY)
        if "accepts" in values and values.get("access") is Access.PUBLIC:
            problem = "the route is public, so no token is ever looked at"
            yield Fault(f"{where}.accepts", show(accepts), problem, 'leave it out, or set access = "optional"')
        for kind in accepts:
            is_m2m = kind is TokenType.M2M_TOKEN
            if kind is not TokenType.SESSION_TOKEN and not (by_instance or (is_m2m and by_machine)):
                keys = "instance.secret_key or instance.machine_secret_key" if is_m2m else "instance.secret_key"
                yield Fault(f"{where}.accepts", show(accepts), f"no key is set that verifies {kind}s", f"set {keys}")


def _require_faults(routes: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterable[Fault]:
    """Say which routes ask for something that nobody has to meet, or that nobody could."""
    for where, values in routes:
        require: Requirement | None = values.get("require")
        access = values.get("access", Access.REQUIRED)
        accepts: Accepts = values.get("accepts", SESSION_ONLY)
        if require is None:
            continue
        if access is not Access.REQUIRED:
            # Whoever does not meet it would only have to sign out to pass.
            problem = f"it is asked of sessions, and a route with access {access} lets people pass without one"
            fix = 'write access = "required", or leave require out'
            yield Fault(f"{where}.require", str(require), problem, fix)
        if require.scopes and not has_machines(accepts):
            problem = "only machine tokens have scopes, and the route accepts none"
            yield Fault(
                f"{where}.require.scopes", show(require.scopes), problem, 'add accepts, such as ["oauth_token"]'
            )
        if require.is_of_sessions and TokenType.SESSION_TOKEN not in accepts:
            problem = "only sessions have this, and the route accepts none"
            fix = 'ask for scopes, or add "session_token" to accepts'
            yield Fault(f"{where}.require", str(require), problem, fix)


def _duplicate_faults(routes: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Fault]:
    """Two routes for the same host, path and method: which one counts would be chance."""
    seen: dict[tuple[str | None, str, str], str] = {}
    faults = []
    for where, values in routes:
        path = values.get("path", RouteSettings().path)
        # Their first spelling is common to all paths that upstreams read alike.
        place = values.get("host"), spellings(path)[0].decode()
        methods = values.get("methods") or ("",)
        first = next((seen[*place, method] for method in methods if (*place, method) in seen), None)
        if first is not None:
            problem = f"it takes the same requests as {first}"
            faults.append(Fault(where, f'"{place[0] or ""}{path}"', problem, "join the two, or tell them apart"))
        for method in methods:
            seen.setdefault((*place, method), where)
    return faults


def _warnings(settings: Settings) -> Iterable[Fault]:
    instance, server = settings.instance, settings.server
    if instance.secret_key is None:
        problem = "without it there is no refresh, and no handshake by nonce"
        yield Fault("instance.secret_key", "", problem, "set it unless expired sessions may end at the sign-in page")
    if instance.clock_skew_s > _MUCH_SKEW_S:
        problem = "expired tokens count for so long"
        yield Fault("instance.clock_skew_s", f"{instance.clock_skew_s:g}", problem, "mend the clock, use 5")
    for network in server.trusted_proxies:
        if network.prefixlen == 0:
            problem = "anybody can pretend any host, scheme and address"
            yield Fault("server.trusted_proxies", f'"{network}"', problem, "name the networks of your own proxies")
    yield from satellite_warnings(instance)
    if instance.publishable_key.kind is InstanceKind.PRODUCTION:
        yield from _production_warnings(settings)


def _production_warnings(settings: Settings) -> Iterable[Fault]:
    if not settings.instance.authorized_parties:
        problem = "tokens of any site of the instance count"
        yield Fault(
            "instance.authorized_parties", "[]", problem, "name your site's origin, like https://app.example.com"
        )
    if not settings.server.allowed_hosts:
        problem = "any host name that a client sends is served and appears in redirects"
        yield Fault("server.allowed_hosts", "[]", problem, "name your hosts, like app.example.com")
