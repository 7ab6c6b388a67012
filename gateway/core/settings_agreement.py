"""Whether settings that are good by themselves agree with each other: faults, and what only deserves a look."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from gateway.core.identity import IDENTITY_HEADERS
from gateway.core.instance import InstanceKind
from gateway.core.loosening import covers_path, loosenings
from gateway.core.original import Front
from gateway.core.requirement import Requirement
from gateway.core.routes import RouteTable, spellings
from gateway.core.secret import Secret
from gateway.core.settings_model import Access, Address, IdentitySettings, RouteSettings, ServerSettings, Settings
from gateway.core.settings_satellites import satellite_faults, satellite_warnings
from gateway.core.settings_values import show
from gateway.core.token_class import SESSION_ONLY, Accepts, TokenType, has_machines
from gateway.errors import Fault

_MUCH_SKEW_S = 60
_TLS = ("tls_ca_file", "tls_certificate_file", "tls_key_file", "tls_name")

Routes = Sequence[tuple[str, Mapping[str, Any]]]
"""Each route's name in the document and its good values."""


def faults(
    sections: Mapping[str, Mapping[str, Any]], routes: Routes, *, given: frozenset[str], faulty: Collection[str]
) -> Iterable[Fault]:
    """Return what keeps settings from being used together.

    Args:
        sections: their good values by name.
        routes: the routes.
        given: the keys of ``[instance]`` that are there, good or not.
        faulty: the sections and routes that have a fault of their own, which are not compared.
    """
    instance = sections["instance"]
    good = [(where, route) for where, route in routes if where not in faulty]
    yield from _instance_faults(instance, given)
    yield from satellite_faults(instance, given, sections["server"])
    yield from _identity_faults(sections["identity"])
    if "decide" not in faulty:
        yield from _decide_faults(sections["decide"], sections["server"].get("listen", ServerSettings().listen))
    yield from _header_faults(sections["identity"], good)
    yield from _accepts_faults(routes, given)
    yield from _require_faults(good)
    yield from _tls_faults(good)
    yield from _prefix_faults(good)
    yield from _duplicate_faults(good)


def upstream_faults(upstreams: Routes, routes: Routes, faulty: Collection[str]) -> Iterable[Fault]:
    """Say which routes name an upstream that is not there, and which upstreams have one name."""
    names: set[str] = set()
    for where, values in upstreams:
        name = values.get("name")
        if name in names:
            yield Fault(f"{where}.name", show(name), "another upstream has this name", "choose another")
        names |= {name} if name else set()
    for where, values in routes:
        named = values.get("upstream", "")
        is_name = bool(named) and "://" not in named and not named.startswith("unix:")
        if values.get("host_header") == "upstream" and (is_name or named.startswith("unix:")):
            problem = "its upstream has no host name of its own"
            yield Fault(f"{where}.host_header", '"upstream"', problem, "write the name, or keep")
        if is_name and named not in names and where not in faulty:
            known = f"write one of {', '.join(sorted(names))}" if names else "add [[upstreams]] with this name"
            fix = f'{known}, or an address like "http://127.0.0.1:9000"'
            yield Fault(f"{where}.upstream", show(named), "there is no upstream of this name", fix)


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


def _decide_faults(found: Mapping[str, Any], listen: Address) -> Iterable[Fault]:
    """Say that fronts without addresses get no answer, and addresses without fronts ask in vain."""
    if found.get("fronts") and not found.get("trusted"):
        problem = "nobody may ask, so every request behind the fronts is denied"
        yield Fault("decide.trusted", "[]", problem, 'name the addresses that the fronts ask from, like "127.0.0.1/32"')
    if found.get("trusted") and not found.get("fronts"):
        problem = "no front is named, so nobody is answered"
        yield Fault("decide.fronts", "[]", problem, f"name one of {', '.join(Front)}, or leave decide.trusted out")
    if found.get("grpc_listen") and Front.ENVOY not in found.get("fronts", ()):
        problem = "it is Envoy that asks by gRPC, and it is not among the fronts"
        yield Fault("decide.grpc_listen", f'"{found["grpc_listen"]}"', problem, 'add "envoy" to decide.fronts')
    if listen.port and found.get("grpc_listen") == listen:
        problem = "it is server.listen, where HTTP is served"
        yield Fault("decide.grpc_listen", f'"{listen}"', problem, "choose another port, which is Envoy's alone")


def _header_faults(identity: Mapping[str, Any], routes: Routes) -> Iterable[Fault]:
    """Say which routes would always tell the upstream something that only a session may say."""
    prefix = identity.get("prefix", IdentitySettings().prefix).lower()
    claimed = {header.lower() for header, _ in identity.get("claims", ())}
    for where, values in routes:
        for header, _ in values.get("headers", ()):
            if header.lower().startswith(prefix) or header.lower() in claimed:
                problem = "by this header the upstream knows who it is"
                yield Fault(f"{where}.headers", f'"{header}"', problem, 'choose another name, like "X-Tenant"')


def _accepts_faults(routes: Routes, given: frozenset[str]) -> Iterable[Fault]:
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


def _require_faults(routes: Routes) -> Iterable[Fault]:
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


def _tls_faults(routes: Routes) -> Iterable[Fault]:
    """Say which keys have no certificate."""
    for where, values in routes:
        if "tls_key_file" in values and "tls_certificate_file" not in values:
            problem = "there is no certificate that it is the key of"
            yield Fault(f"{where}.tls_key_file", show(values["tls_key_file"]), problem, "set tls_certificate_file too")


def _prefix_faults(routes: Routes) -> Iterable[Fault]:
    """Say which routes take something from the front of their paths that is not there."""
    for where, values in routes:
        path, gone = values.get("path", RouteSettings().path), values.get("strip_prefix")
        if gone is not None and not covers_path(spellings(gone)[0].decode(), spellings(path)[0].decode()):
            problem = f'the paths of the route do not begin with it but with "{path}"'
            yield Fault(f"{where}.strip_prefix", show(gone), problem, f'write "{path}" or the first segments of it')


def _duplicate_faults(routes: Routes) -> list[Fault]:
    """Two routes for the same host, path and method: which one counts would be chance."""
    seen: dict[tuple[str | None, bool, str, str], str] = {}
    faults = []
    for where, values in routes:
        path = values.get("path", RouteSettings().path)
        # Their first spelling is common to all paths that upstreams read alike.
        place = values.get("host"), values.get("exact", False), spellings(path)[0].decode()
        methods = values.get("methods") or ("",)
        first = next((seen[*place, method] for method in methods if (*place, method) in seen), None)
        if first is not None:
            problem = f"it takes the same requests as {first}"
            faults.append(Fault(where, f'"{place[0] or ""}{path}"', problem, "join the two, or tell them apart"))
        for method in methods:
            seen.setdefault((*place, method), where)
    return faults


def warnings(settings: Settings) -> Iterable[Fault]:
    """Return what can be used but deserves a look."""
    instance = settings.instance
    if instance.secret_key is None:
        problem = "without it there is no refresh, and no handshake by nonce"
        yield Fault("instance.secret_key", "", problem, "set it unless expired sessions may end at the sign-in page")
    if instance.clock_skew_s > _MUCH_SKEW_S:
        problem = "expired tokens count for so long"
        yield Fault("instance.clock_skew_s", f"{instance.clock_skew_s:g}", problem, "mend the clock, use 5")
    yield from _server_warnings(settings.server)
    for network in settings.decide.trusted:
        if network.prefixlen == 0:
            problem = "anybody can ask about any request"
            yield Fault("decide.trusted", f'"{network}"', problem, "name the addresses of your own fronts")
    yield from satellite_warnings(instance)
    yield from _tls_warnings(settings.routes)
    yield from _loosening_warnings(settings)
    if instance.publishable_key.kind is InstanceKind.PRODUCTION:
        yield from _production_warnings(settings)


def _server_warnings(server: ServerSettings) -> Iterable[Fault]:
    for network in server.trusted_proxies:
        if network.prefixlen == 0:
            problem = "anybody can pretend any host, scheme and address"
            yield Fault("server.trusted_proxies", f'"{network}"', problem, "name the networks of your own proxies")
    if server.max_connections_per_address and server.trusted_proxies:
        problem = "the proxies in front are counted, not the clients behind them"
        value = str(server.max_connections_per_address)
        yield Fault(
            "server.max_connections_per_address", value, problem, "leave it out, and bound clients in the proxy"
        )


def _tls_warnings(routes: Iterable[RouteSettings]) -> Iterable[Fault]:
    for number, route in enumerate(routes):
        named = next((name for name in _TLS if getattr(route, name) is not None), None)
        is_address = ":" in (route.upstream or ":")  # of a name, each server has its own
        if named is not None and is_address and not (route.upstream or "").startswith("https:"):
            problem = "its upstream is not https, so no certificate is looked at"
            value = show(getattr(route, named))
            yield Fault(
                f"routes[{number}].{named}", value, problem, "write https:// before the upstream, or leave it out"
            )


def _loosening_warnings(settings: Settings) -> Iterable[Fault]:
    for found in loosenings(RouteTable.build(settings.routes).routes):
        fix = "ask for as much there, or write loosens = true if it is meant"
        yield Fault(f"routes[{found.position}]", "", found.text, fix)


def _production_warnings(settings: Settings) -> Iterable[Fault]:
    if not settings.instance.authorized_parties:
        problem = "tokens of any site of the instance count"
        yield Fault(
            "instance.authorized_parties", "[]", problem, "name your site's origin, like https://app.example.com"
        )
    if not settings.server.allowed_hosts:
        problem = "any host name that a client sends is served and appears in redirects"
        yield Fault("server.allowed_hosts", "[]", problem, "name your hosts, like app.example.com")
