"""Settings: every fault at once, each with the key, the value seen and the fix."""

import base64
import math
from collections.abc import Callable
from functools import cache
from ipaddress import ip_network

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import settings_model
from gateway.core.authorization import Reverification
from gateway.core.instance import InstanceKind, PublishableKey
from gateway.core.original import Front
from gateway.core.requirement import Requirement
from gateway.core.secret import Secret
from gateway.core.settings import Access, Address, MachineSettings, OnSignedOut, RouteSettings, Settings, parse
from gateway.core.settings_keys import ROUTE, SECTIONS
from gateway.core.settings_values import show
from gateway.core.token_class import ANY, SESSION_ONLY, Accepts, TokenType
from gateway.errors import ConfigurationError, Fault

TEST_KEY = PublishableKey.encode(InstanceKind.DEVELOPMENT, "clerk.example.com").value
LIVE_KEY = PublishableKey.encode(InstanceKind.PRODUCTION, "clerk.example.com").value
SECRET = "sk_test_GoodEnough"
INSTANCE = {"publishable_key": TEST_KEY, "secret_key": SECRET}
ROUTES = [{"upstream": "http://127.0.0.1:9000"}]


def document(**sections: object) -> dict[str, object]:
    """A good document with the given sections laid over; a mapping adds to its section."""
    good: dict[str, object] = {"instance": INSTANCE, "routes": ROUTES}
    for name, section in sections.items():
        base = good.get(name)
        good[name] = {**base, **section} if isinstance(base, dict) and isinstance(section, dict) else section
    return good


def faults(**sections: object) -> tuple[Fault, ...]:
    with pytest.raises(ConfigurationError) as refused:
        parse(document(**sections))
    return refused.value.faults


def the_fault(**sections: object) -> Fault:
    (fault,) = faults(**sections)
    return fault


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None, form: PublicFormat | None = None) -> str:
    key = key or rsa_key()
    return key.public_key().public_bytes(Encoding.PEM, form or PublicFormat.SubjectPublicKeyInfo).decode()


def test_the_least_document_gives_every_default() -> None:
    settings = parse(document())
    assert settings.instance.publishable_key.value == TEST_KEY
    assert settings.instance.secret_key == Secret(SECRET)
    assert settings.instance.api_url == "https://api.clerk.com"
    assert settings.server == settings_model.ServerSettings()
    assert str(settings.server.listen) == "127.0.0.1:8000"
    assert settings.identity.prefix == "X-Session-"
    assert settings.refresh == settings_model.RefreshSettings(enabled=True, budget_ms=2000, methods=None)
    assert settings.log == settings_model.LogSettings(access=False, format="text", level="info")
    assert settings.routes == (
        RouteSettings(
            path="/", upstream="http://127.0.0.1:9000", access=Access.REQUIRED, on_signed_out=OnSignedOut.AUTO
        ),
    )
    assert settings.warnings == ()


def test_a_full_document_is_read() -> None:
    settings = parse(
        {
            "instance": {
                **INSTANCE,
                "api_url": "http://127.0.0.1:8001/",
                "jwt_key": pem(),
                "authorized_parties": ["https://app.example.com", "http://localhost:3000", "chrome-extension://abc"],
                "sign_in_url": "http://accounts.example.com/sign-in?a=b",
                "proxy_url": "http://localhost:8001/__clerk/",
                "clock_skew_s": 0,
            },
            "server": {
                "listen": "[::1]:0",
                "workers": 4,
                "trusted_proxies": ["10.0.0.0/8", "127.0.0.1", "fd00::/8"],
                "allowed_hosts": ["App.example.com", "*.Example.com", "[::1]"],
                "drain_s": 1.5,
                "max_requests": 10,
                "head_timeout_s": 2.5,
                "keep_alive_s": 5,
                "max_connections": 100,
                "max_connections_per_address": 3,
                "forwarded": True,
            },
            "identity": {"prefix": "X-My-", "claims": {"X-My-Team": "metadata.team", "Plan": "pla"}},
            "keys": {"stale_s": 300, "cool_down_s": 60, "cache_file": "/var/lib/gateway/keys.json"},
            "refresh": {"enabled": False, "budget_ms": 100, "methods": ["GET", "POST"], "max_concurrent": 8},
            "machines": {"cache_s": 0, "negative_cache_s": 2.5, "budget_ms": 500, "new_tokens_per_s": 0.5},
            "log": {"access": True, "format": "json", "level": "debug"},
            "routes": [
                {
                    "path": "/api/caf%C3%A9",
                    "host": "*.Example.com.",
                    "methods": ["GET", "QUERY"],
                    "upstream": "https://Backend:9000/",
                    "access": "optional",
                    "on_signed_out": "401",
                    "keep_credentials": True,
                }
            ],
        }
    )
    assert settings.instance.api_url == "http://127.0.0.1:8001"
    assert settings.instance.jwt_key == pem()
    assert settings.instance.proxy_url == "http://localhost:8001/__clerk"
    assert settings.instance.clock_skew_s == 0
    assert settings.server.listen == Address("::1", 0)
    assert str(settings.server.listen) == "[::1]:0"
    assert settings.server.trusted_proxies[1] == ip_network("127.0.0.1/32")
    assert settings.server.allowed_hosts == ("app.example.com", "*.example.com", "[::1]")
    assert settings.identity.claims == (("X-My-Team", "metadata.team"), ("Plan", "pla"))
    assert settings.keys == settings_model.KeysSettings(
        stale_s=300, cool_down_s=60, cache_file="/var/lib/gateway/keys.json"
    )
    assert (settings.refresh.methods, settings.refresh.max_concurrent) == (("GET", "POST"), 8)
    assert settings.machines == MachineSettings(cache_s=0, negative_cache_s=2.5, budget_ms=500, new_tokens_per_s=0.5)
    (route,) = settings.routes
    assert (route.host, route.upstream) == ("*.example.com", "https://backend:9000")
    assert (route.access, route.on_signed_out) == (Access.OPTIONAL, OnSignedOut.UNAUTHORIZED)


def test_programs_may_give_typed_values_and_leave_routes_out() -> None:
    typed = {"publishable_key": PublishableKey.parse(TEST_KEY), "secret_key": Secret(SECRET), "jwt_key": None}
    settings = parse({"instance": typed, "server": {"listen": Address("::1", 1)}}, needs_upstream=False)
    assert settings.routes == (RouteSettings(path="/", access=Access.REQUIRED),)
    assert settings.server.listen == Address("::1", 1)
    only_paths = parse({"instance": typed, "routes": ({"path": "/x", "access": "public"},)}, needs_upstream=False)
    assert only_paths.routes == (RouteSettings(path="/x", access=Access.PUBLIC),)


def test_all_faults_come_at_once_in_the_order_of_the_keys() -> None:
    found = faults(
        instance={"publishable_key": "x", "api_url": "nope"},
        server={"listen": "80", "workers": 0},
        routes=[{"path": "api"}],
        sever={},
    )
    assert [fault.setting for fault in found] == [
        "sever",
        "instance.publishable_key",
        "instance.api_url",
        "server.listen",
        "server.workers",
        "routes[0].path",
        "routes[0].upstream",
    ]
    assert all(fault.problem and fault.fix for fault in found)


def test_an_unknown_key_is_a_fault_that_names_the_nearest_and_shows_no_value() -> None:
    fault = the_fault(instance={"secret_kye": "sk_live_VeryPrivate"})
    assert fault == Fault("instance.secret_kye", "", "there is no such key", 'did you mean "secret_key"?')
    assert the_fault(log={"zzz": 1}).fix == "the known keys are access, format, level"
    assert the_fault(routes=[{**ROUTES[0], "acess": "public"}]).setting == "routes[0].acess"
    assert the_fault(zzz=1).fix.endswith("log, upstreams, routes")


@pytest.mark.parametrize(
    ("instance", "missing"),
    [
        ({}, ["instance.publishable_key", "instance.secret_key"]),
        ({"publishable_key": TEST_KEY}, ["instance.secret_key"]),
        ({"secret_key": SECRET, "publishable_key": None}, ["instance.publishable_key"]),
        (None, ["instance.publishable_key", "instance.secret_key"]),
    ],
)
def test_the_keys_of_the_instance_are_required(instance: object, missing: list[str]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse({"instance": instance, "routes": ROUTES})
    assert [fault.setting for fault in refused.value.faults] == missing


@pytest.mark.parametrize("secret", ["sk_live_Private1", "live_Private1"])
def test_keys_of_two_instances_are_a_fault_that_hides_the_secret(secret: str) -> None:
    fault = the_fault(instance={"secret_key": secret})
    assert fault.setting == "instance.secret_key"
    assert "development" in fault.problem
    assert "Private1" not in str(fault)


def test_a_test_secret_beside_a_live_key_is_a_fault() -> None:
    assert "production" in the_fault(instance={"publishable_key": LIVE_KEY}).problem


@pytest.mark.parametrize(
    ("secret", "seen"),
    [
        ("sk_test_", "sk_test_…"),
        ("sk_test_a b", "sk_test_…"),
        ("hunter2_is_my_password", "…"),
        (TEST_KEY, "pk_test_…"),
        (Secret("sk_live_a b"), "sk_live_…"),
        (12345678, "…"),
        ("", "…"),
    ],
)
def test_a_faulty_secret_key_is_never_shown(secret: object, seen: str) -> None:
    fault = the_fault(instance={"secret_key": secret})
    assert (fault.setting, fault.seen) == ("instance.secret_key", seen)


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("ak_a b", "blank"),
        ("ak_ä", "ASCII"),
        (TEST_KEY, "publishable"),
        ("sk_test_x", "of an instance"),
        ("", "empty"),
        (5, "text"),
    ],
)
def test_a_faulty_machine_secret_key_is_never_shown(secret: object, problem: str) -> None:
    fault = the_fault(instance={"machine_secret_key": secret})
    assert fault.setting == "instance.machine_secret_key"
    assert problem in fault.problem
    assert "ak_" not in fault.seen


def test_a_machine_secret_key_is_kept_as_a_secret() -> None:
    settings = parse(document(instance={"machine_secret_key": "ak_GoodEnough"}))
    assert settings.instance.machine_secret_key == Secret("ak_GoodEnough")
    assert "GoodEnough" not in repr(settings)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("any", ANY),
        ("api_key", (TokenType.API_KEY,)),
        (["session_token"], SESSION_ONLY),
        (["m2m_token", "session_token"], (TokenType.M2M_TOKEN, TokenType.SESSION_TOKEN)),
        (list(TokenType), ANY),
        (None, SESSION_ONLY),
    ],
)
def test_a_route_accepts_one_type_several_or_any(written: object, read: Accepts) -> None:
    (route,) = parse(document(routes=[{**ROUTES[0], "accepts": written}])).routes
    assert route.accepts == read


PINNED = {"publishable_key": TEST_KEY, "jwt_key": pem()}
BY_MACHINE = {**PINNED, "machine_secret_key": "ak_1"}


@pytest.mark.parametrize(
    ("instance", "accepts", "missing"),
    [
        (PINNED, ["api_key"], ["api_keys"]),
        (PINNED, ["m2m_token"], ["m2m_tokens"]),
        (PINNED, "any", ["api_keys", "m2m_tokens", "oauth_tokens"]),
        (BY_MACHINE, "any", ["api_keys", "oauth_tokens"]),
        (BY_MACHINE, ["m2m_token", "session_token"], []),
        (PINNED, ["session_token"], []),
        (INSTANCE, "any", []),
        ({**PINNED, "secret_key_file": "/run/secrets/key"}, "any", []),
    ],
)
def test_tokens_that_nobody_could_verify_are_a_fault(instance: object, accepts: object, missing: list[str]) -> None:
    try:
        parse({"instance": instance, "routes": [{**ROUTES[0], "accepts": accepts}]})
        found = ()
    except ConfigurationError as error:
        found = tuple(fault for fault in error.faults if fault.setting == "routes[0].accepts")
    assert [fault.problem for fault in found] == [f"no key is set that verifies {kind}" for kind in missing]
    assert all("set instance." in fault.fix for fault in found)


@pytest.mark.parametrize("accepts", ["any", ["session_token"]])
def test_a_public_route_accepts_nothing(accepts: object) -> None:
    fault = the_fault(routes=[{**ROUTES[0], "access": "public", "accepts": accepts}])
    assert (fault.setting, "public" in fault.problem) == ("routes[0].accepts", True)


def test_a_pinned_key_suffices_with_a_warning() -> None:
    settings = parse({"instance": {"publishable_key": TEST_KEY, "jwt_key": pem()}, "routes": ROUTES})
    assert settings.instance.secret_key is None
    assert [warning.setting for warning in settings.warnings] == ["instance.secret_key"]


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text.replace("\n", "\\n"),
        lambda text: text.replace("\n", "\\r\\n"),
        lambda text: "".join(text.splitlines()[1:-1]),
        lambda text: "\n".join(f"   {line}  " for line in text.splitlines()),
        lambda text: pem(form=PublicFormat.PKCS1),
    ],
)
def test_a_pinned_key_is_mended_to_one_form(spell: Callable[[str], str]) -> None:
    assert parse(document(instance={"jwt_key": spell(pem())})).instance.jwt_key == pem()


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("AAAA", "PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "PEM"),
        (base64.b64encode(b"x" * 300).decode(), "PEM"),
        (pem(rsa_key(1024)), "1024 bits"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "RSA"),
        (rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), "private"),
        (1, "not a text"),
    ],
)
def test_a_key_that_cannot_verify_is_a_fault(key: object, problem: str) -> None:
    fault = the_fault(instance={"jwt_key": key})
    assert problem in fault.problem
    assert fault.seen in {f"a text of {len(str(key))} characters", "int"}


@pytest.mark.parametrize("name", ["secret_key_file", "machine_secret_key_file", "jwt_key_file"])
def test_files_are_not_read_here(name: str) -> None:
    assert "loader" in the_fault(instance={name: "/run/secrets/key"}).problem


# Section, key, bad value, a word of the problem, a word of the fix.
BAD_VALUES = [
    ("instance", "publishable_key", 5, "text", "quotes"),
    ("instance", "publishable_key", "pk_test_YS5iLmM", "$", "pk_test_"),
    ("instance", "api_url", "api.clerk.com", "absolute", "https://api.clerk.com"),
    ("instance", "api_url", "ftp://api.clerk.com", "absolute", "https://"),
    ("instance", "api_url", "HTTPS://api.clerk.com", "absolute", "https://"),
    ("instance", "api_url", "https://", "absolute", "https://"),
    ("instance", "api_url", "https://a b", "absolute", "https://"),
    ("instance", "api_url", "https://a.example:99999", "absolute", "https://"),
    ("instance", "api_url", "https://[::1", "absolute", "https://"),
    ("instance", "api_url", "https://é.example", "absolute", "https://"),
    ("instance", "api_url", "http://api.example.com", "plain http", "https://"),
    ("instance", "api_url", "http://127.0.0.1.example", "plain http", "https://"),
    ("instance", "api_url", "https://api.clerk.com/v1", "/v1", '"https://api.clerk.com"'),
    ("instance", "api_url", "https://api.clerk.com?x", "query", "scheme, host and path"),
    ("instance", "proxy_url", "//evil.example", "absolute", "https://"),
    ("instance", "proxy_url", "__clerk", "absolute", "https://"),
    ("instance", "proxy_url", "/", "no plain path", '"/__clerk"'),
    ("instance", "proxy_url", "/a/../b", "no plain path", '"/__clerk"'),
    ("instance", "proxy_url", "/a?b", "no plain path", '"/__clerk"'),
    ("instance", "proxy_url", "/a\\b", "no plain path", '"/__clerk"'),
    ("instance", "proxy_url", "/a//b", "no plain path", '"/__clerk"'),
    ("instance", "is_satellite", "yes", "neither", "true or false"),
    ("instance", "domain", "https://satellite.example", "not a domain", '"satellite.example"'),
    ("instance", "domain", "satellite.example:443", "not a domain", '"satellite.example"'),
    ("instance", "domain", "satellite", "not a domain", '"satellite.example"'),
    ("instance", "domain", "[::1]", "not a domain", '"satellite.example"'),
    ("instance", "domain", "clerk.satellite.example", "put in front", '"satellite.example"'),
    ("instance", "satellite_origins", ["https://a.test/x"], "origin", '"https://a.test"'),
    ("instance", "proxy_url", "http://app.example.com", "plain http", "https://"),
    ("instance", "sign_in_url", "/sign-in", "absolute", "https://"),
    ("instance", "sign_in_url", "javascript:alert(1)", "absolute", "https://"),
    ("instance", "authorized_parties", "https://a.example", "not a list", "["),
    ("instance", "authorized_parties", ["a.example"], "element 1: it is not an origin", "https://app.example.com"),
    ("instance", "authorized_parties", ["https://a.example/"], "element 1", '"https://a.example"'),
    ("instance", "authorized_parties", ["https://a.example/x?y"], "element 1", '"https://a.example"'),
    ("instance", "authorized_parties", ["https://A.example:443"], "element 1", '"https://a.example"'),
    ("instance", "authorized_parties", ["HTTP://a.example:8000"], "element 1", '"http://a.example:8000"'),
    ("instance", "authorized_parties", ["https://a..example"], "host", "https://app.example.com"),
    ("instance", "authorized_parties", ["https://a.example", "https://a.example"], "repeats", "once"),
    ("instance", "authorized_parties", ["https://a.example", 1], "element 2: it is not a text", "quotes"),
    ("instance", "clock_skew_s", True, "number", "0 to 300"),
    ("instance", "clock_skew_s", -1, "number", "0 to 300"),
    ("instance", "clock_skew_s", math.nan, "number", "0 to 300"),
    ("instance", "clock_skew_s", "5", "number", "without quotes"),
    ("server", "listen", "8000", "host", "127.0.0.1:8000"),
    ("server", "listen", ":8000", "host", "0.0.0.0:8000"),
    ("server", "listen", "localhost", "port", "127.0.0.1:8000"),
    ("server", "listen", "127.0.0.1:65536", "port", "127.0.0.1:8000"),
    ("server", "listen", "127.0.0.1:²", "port", "127.0.0.1:8000"),
    ("server", "listen", "::1:8000", "host", "[::1]:8000"),
    ("server", "listen", "127.0.0.1:80:90", "two ports", "127.0.0.1:8000"),
    ("server", "workers", 0, "whole number", "1 to 256"),
    ("server", "workers", True, "whole number", "1 to 256"),
    ("server", "workers", 1.5, "whole number", "1 to 256"),
    ("server", "trusted_proxies", ["10.0.0.1/8"], "bits", '"10.0.0.0/8"'),
    ("server", "trusted_proxies", ["proxy.example"], "no network", "10.0.0.0/8"),
    ("server", "allowed_hosts", ["a.example:80"], "port", '"a.example"'),
    ("server", "allowed_hosts", ["*.a.example:80"], "port", '"*.a.example"'),
    ("server", "allowed_hosts", ["https://a.example"], "host name", "app.example.com"),
    ("server", "drain_s", 0, "number", "1 to 1800"),
    ("server", "max_requests", 0, "number", "1 to 16000"),
    ("server", "head_timeout_s", 0, "number", "0.1 to 300"),
    ("server", "keep_alive_s", 0.5, "number", "1 to 3600"),
    ("server", "max_connections", 0, "number", "1 to 1000000"),
    ("server", "max_connections_per_address", -1, "number", "0 to 1000000"),
    ("identity", "prefix", "X_Session_", "letters", "X-Session-"),
    ("identity", "prefix", "X-Session", "letters", "X-Session-"),
    ("identity", "prefix", "X-", "x-forwarded-for", "longer"),
    ("identity", "prefix", "sec-", "sec-fetch-dest", "longer"),
    ("identity", "claims", ["team"], "table", "metadata.team"),
    ("identity", "claims", {"X_Team": "team"}, "letters, digits", "X-Session-Team"),
    ("identity", "claims", {"Connection": "team"}, "HTTP", "another"),
    ("identity", "claims", {"cookie": "team"}, "HTTP", "another"),
    ("identity", "claims", {"X-Team": "a..b"}, "claim path", "dots"),
    ("identity", "claims", {"X-Team": ""}, "claim path", "dots"),
    ("identity", "claims", {"X-Team": "a\nb"}, "claim path", "dots"),
    ("identity", "claims", {"X-Team": 5}, "claim path", "dots"),
    ("identity", "claims", {"X-Team": "a", "x-team": "b"}, "twice", "one"),
    ("identity", "claims", {"x-session-user-id": "a"}, "itself", "another"),
    ("keys", "stale_s", 60, "number", "300 to 86400"),
    ("keys", "cool_down_s", 0, "number", "1 to 300"),
    ("keys", "cache_file", "", "empty", "leave"),
    ("refresh", "max_concurrent", 0, "whole number", "1 to 10000"),
    ("refresh", "enabled", "true", "neither", "without quotes"),
    ("refresh", "budget_ms", 10, "whole number", "50"),
    ("refresh", "methods", [], "empty", "leave"),
    ("refresh", "methods", ["get"], '"get" is not', '"GET"'),
    ("refresh", "methods", ["BREW"], "BREW", "QUERY"),
    ("log", "format", "xml", "known", '"text", "json"'),
    ("log", "level", ["info"], "known", '"warning"'),
]


@pytest.mark.parametrize(("section", "key", "value", "problem", "fix"), BAD_VALUES)
def test_a_bad_value_is_named_with_its_fix(section: str, key: str, value: object, problem: str, fix: str) -> None:
    fault = the_fault(**{section: {key: value}})
    assert fault.setting == f"{section}.{key}"
    assert problem in fault.problem
    assert fix in fault.fix


BAD_ROUTE_VALUES = [
    ("path", "", "empty", "value"),
    ("path", "api", '"/"', '"/api"'),
    ("path", "https://a.example/x", '"/"', "path only"),
    ("path", "/api/", "canonical", '"/api"'),
    ("path", "//api", "canonical", '"/api"'),
    ("path", "/%61pi", "canonical", '"/api"'),
    ("path", "/café", "canonical", '"/caf%C3%A9"'),
    ("path", "/a b", "canonical", '"/a%20b"'),
    ("path", "/api/*", "wildcard", '"/api"'),
    ("path", "/*", "wildcard", '"/"'),
    ("path", "/api?x=1", "query", '"/api"'),
    ("path", "/api#x", "fragment", '"/api"'),
    ("path", "/a/../b", "dot-segment", "dot segments"),
    ("path", "/a%2fb", "encoded-slash", "escapes"),
    ("path", "/.gateway", "own", "another"),
    ("path", "/.gateway/healthz", "own", "another"),
    ("path", "/a@b:c;d,e=f+g%40", "more than 6", "shorter"),
    ("host", "*", "wildcard", "leave host out"),
    ("host", "a.*.example", "wildcard", "*.example.com"),
    ("host", "a.example:80", "port", '"a.example"'),
    ("methods", [], "empty", "leave"),
    ("methods", "GET", "not a list", "["),
    ("upstream", "127.0.0.1:9000", "absolute", "http://127.0.0.1:9000"),
    ("upstream", "http://127.0.0.1:9000/api", "path", '"http://127.0.0.1:9000"'),
    ("upstream", "http://127.0.0.1:9000?", "query", '"http://127.0.0.1:9000"'),
    ("upstream", "http://user:hunter2@Backend", "password", '"http://backend"'),
    ("upstream", "unix:relative.sock", "absolute", "http://127.0.0.1:9000"),
    ("tls_name", "service.internal:443", "port", '"service.internal"'),
    ("tls_name", "a b", "not a host name", "service.internal"),
    ("tls_key_file", "key.pem", "no certificate", "tls_certificate_file"),
    ("first_byte_timeout_s", 0, "range", "0.1"),
    ("max_connections", 0, "range", "1"),
    ("accepts", [], "empty", "session_token, api_key, m2m_token, oauth_token"),
    ("accepts", "all", "element 1", '"any"'),
    ("accepts", ["any"], "element 1", '"any"'),
    ("accepts", ["session_token", "session_token"], "repeats", "list"),
    ("accepts", ["jwt"], "element 1", "api_key"),
    ("accepts", True, "not a list", "list"),
    ("access", "private", "known", '"public", "optional", "required"'),
    ("require", "org:admin", "not a table", '{ role = "org:admin" }'),
    ("require", [], "not a table", '{ role = "org:admin" }'),
    ("require", {}, "asks for nothing", "leave the key out"),
    ("websocket_token_protocol", "a token", "cannot be offered", "letters"),
    ("websocket_token_protocol", "", "empty", "leave the key out"),
    ("on_signed_out", 401, "known", '"auto", "redirect", "401"'),
    ("keep_credentials", 1, "neither", "true or false"),
]


@pytest.mark.parametrize(("key", "value", "problem", "fix"), BAD_ROUTE_VALUES)
def test_a_bad_value_of_a_route_is_named_with_its_fix(key: str, value: object, problem: str, fix: str) -> None:
    fault = the_fault(routes=[*ROUTES, {"upstream": "http://127.0.0.1:9000", "path": "/x", key: value}])
    assert fault.setting == f"routes[1].{key}"
    assert problem in fault.problem
    assert fix in fault.fix
    assert "hunter2" not in str(fault)


@pytest.mark.parametrize(
    ("table", "requirement"),
    [
        ({"role": "org:admin"}, Requirement(role="org:admin")),
        ({"permission": "articles:publish"}, Requirement(permission="articles:publish")),
        ({"feature": "org:dashboard", "plan": "u:gold"}, Requirement(feature="org:dashboard", plan="u:gold")),
        ({"reverification": "strict"}, Requirement(reverification="strict")),
        (
            {"reverification": {"level": "second_factor", "after_minutes": 10}},
            Requirement(reverification=Reverification("second_factor", 10)),
        ),
        (
            {"reverification": Reverification("multi_factor", 0.5)},
            Requirement(reverification=Reverification("multi_factor", 0.5)),
        ),
        ({"no_impersonation": True}, Requirement(no_impersonation=True)),
        (Requirement(role="org:admin"), Requirement(role="org:admin")),
    ],
)
def test_a_requirement_is_read(table: object, requirement: Requirement) -> None:
    (route,) = parse(document(routes=[{**ROUTES[0], "require": table}])).routes
    assert route.require == requirement


def test_scopes_are_asked_where_machines_are_accepted() -> None:
    (route,) = parse(
        document(routes=[{**ROUTES[0], "accepts": ["oauth_token"], "require": {"scopes": ["read:users", "write"]}}])
    ).routes
    assert route.require == Requirement(scopes=("read:users", "write"))


@pytest.mark.parametrize(
    ("accepts", "require", "setting", "problem"),
    [
        (["session_token"], {"scopes": ["read"]}, "routes[0].require.scopes", "only machine tokens have scopes"),
        (["api_key"], {"role": "org:admin"}, "routes[0].require", "only sessions have this"),
        (["api_key", "session_token"], {"role": "org:admin"}, "", ""),
        (["api_key", "session_token"], {"scopes": ["read"]}, "", ""),
        (["api_key"], {"no_impersonation": True}, "", ""),
        (["api_keys"], {"scopes": ["read"]}, "routes[0].accepts", "element 1"),
    ],
)
def test_what_no_accepted_token_could_have_is_a_fault(
    accepts: list[str], require: dict[str, object], setting: str, problem: str
) -> None:
    routes = [{**ROUTES[0], "accepts": accepts, "require": require}]
    if not setting:
        assert parse(document(routes=routes)).routes[0].require
        return
    fault = the_fault(routes=routes)
    assert fault.setting == setting
    assert problem in fault.problem


BAD_REQUIREMENTS = [
    ("rol", "org:admin", "", "no such key", 'did you mean "role"?'),
    ("x", "secret", "", "no such key", "the known keys are role, permission"),
    ("role", None, "null", "not a text", "quotes"),
    ("role", "", '""', "empty", "value"),
    ("role", "org:admin org:owner", '"org:admin org:owner"', "more than one", "one name"),
    ("permission", "a,b", '"a,b"', "more than one", "one name"),
    ("permission", ["org:a:b"], '["org:a:b"]', "not a text", "quotes"),
    ("feature", "team:dashboard", '"team:dashboard"', '"team" is no scope', '"org:name"'),
    ("feature", "org:a:b", '"org:a:b"', "one scope and one name", '"user:name"'),
    ("plan", "org:", '"org:"', "one scope and one name", '"user:name"'),
    ("reverification", "stricter", '"stricter"', "known", '"strict_mfa", "strict", "moderate", "lax"'),
    ("reverification", 10, "10", "known", '"strict_mfa"'),
    ("reverification", None, "null", "known", '"strict_mfa"'),
    ("scopes", [], "[]", "empty", "value"),
    ("scopes", "read", '"read"', "not a list", "["),
    ("scopes", ["read write"], '["read write"]', "element 1: it is not one scope", "quotes of its own"),
    ("no_impersonation", False, "false", "only true", "leave the key out"),
    ("no_impersonation", 1, "1", "only true", "leave the key out"),
]


@pytest.mark.parametrize(("key", "value", "seen", "problem", "fix"), BAD_REQUIREMENTS)
def test_a_bad_requirement_is_named_with_its_fix(key: str, value: object, seen: str, problem: str, fix: str) -> None:
    fault = the_fault(routes=[{**ROUTES[0], "require": {key: value}}])
    assert (fault.setting, fault.seen) == (f"routes[0].require.{key}", seen)
    assert problem in fault.problem
    assert fix in fault.fix


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            {"role": 1, "plan": 2, "color": 3},
            [("role", "1", "text"), ("plan", "2", "text"), ("color", "", "no such key")],
        ),
        (
            {"reverification": {"level": "third", "after_minutes": 0, "afterMinutes": 10}},
            [
                ("reverification.level", '"third"', "known"),
                ("reverification.after_minutes", "0", "number above 0"),
                ("reverification.afterMinutes", "", "no such key"),
            ],
        ),
        ({"reverification": {"level": "first_factor"}}, [("reverification.after_minutes", "", "missing")]),
        ({"reverification": {}}, [("reverification.level", "", "missing")]),
        ({"scopes": ["read"], "role": "org:admin"}, [("scopes", '["read"]', "no token has both scopes and a role")]),
    ],
)
def test_everything_that_is_wrong_in_a_requirement_is_named(
    table: object, expected: list[tuple[str, str, str]]
) -> None:
    found = faults(routes=[{**ROUTES[0], "require": table}])
    assert [(fault.setting, fault.seen) for fault in found] == [
        (f"routes[0].require.{key}", seen) for key, seen, _ in expected
    ]
    assert all(problem in fault.problem for fault, (_, _, problem) in zip(found, expected, strict=True))


@pytest.mark.parametrize("access", ["public", "optional"])
def test_a_requirement_where_nobody_has_to_sign_in_is_a_fault(access: str) -> None:
    fault = the_fault(routes=[{**ROUTES[0], "access": access, "require": {"role": "org:admin"}}])
    assert (fault.setting, fault.seen) == ("routes[0].require", "role org:admin")
    assert f"a route with access {access} lets people pass without one" in fault.problem
    assert 'access = "required"' in fault.fix


@pytest.mark.parametrize("path", ["/", "/.well-known", "/.gatewayx", "/a@b:c;d,e=f+g", "/api/v1.0/x_y~z"])
def test_good_paths_are_taken_as_they_are(path: str) -> None:
    assert parse(document(routes=[{**ROUTES[0], "path": path}])).routes[0].path == path


@pytest.mark.parametrize(
    ("sections", "setting", "problem"),
    [
        ({"server": 3}, "server", "not a table"),
        ({"server": []}, "server", "not a table"),
        ({"routes": {}}, "routes", "not a list"),
        ({"routes": "x"}, "routes", "not a list"),
        ({"routes": []}, "routes", "no route"),
        ({"routes": None}, "routes", "no route"),
        ({"routes": ["/"]}, "routes[0]", "not a table"),
    ],
)
def test_wrong_shapes_are_faults(sections: dict[str, object], setting: str, problem: str) -> None:
    fault = the_fault(**sections)
    assert fault.setting == setting
    assert problem in fault.problem


def test_an_empty_list_of_routes_is_a_fault_for_the_middleware_too() -> None:
    with pytest.raises(ConfigurationError, match="there is no route"):
        parse({"instance": INSTANCE, "routes": []}, needs_upstream=False)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({}, {}, True),
        ({"path": "/a"}, {"path": "/a", "access": "public"}, True),
        ({"host": "a.example"}, {"host": "A.example."}, True),
        ({"methods": ["GET"]}, {"methods": ["POST", "GET"]}, True),
        ({"methods": ["GET"]}, {"methods": ["HEAD"]}, False),
        ({"methods": ["GET"]}, {}, False),
        ({"path": "/a"}, {"path": "/A"}, False),
        ({"host": "a.example"}, {"host": "*.example"}, False),
    ],
)
def test_two_routes_for_the_same_requests_are_a_fault(
    one: dict[str, object], other: dict[str, object], is_same: bool
) -> None:
    routes = [{**ROUTES[0], **one}, {**ROUTES[0], **other}]
    if not is_same:
        assert len(parse(document(routes=routes)).routes) == 2
        return
    fault = the_fault(routes=routes)
    assert fault.setting == "routes[1]"
    assert "routes[0]" in fault.problem


def test_paths_that_upstreams_read_alike_are_the_same_route() -> None:
    assert "routes[0]" in the_fault(routes=[{**ROUTES[0], "path": path} for path in ("/@me", "/%40me")]).problem


def warned(**sections: object) -> list[str]:
    return [warning.setting for warning in parse(document(**sections)).warnings]


def test_what_is_risky_is_a_warning() -> None:
    assert warned(server={"trusted_proxies": ["0.0.0.0/0", "10.0.0.0/8", "::/0"]}) == ["server.trusted_proxies"] * 2
    assert warned(instance={"clock_skew_s": 61}) == ["instance.clock_skew_s"]
    live = {"publishable_key": LIVE_KEY, "secret_key": "sk_live_x"}
    assert warned(instance=live) == ["instance.authorized_parties", "server.allowed_hosts"]
    careful = {**live, "authorized_parties": ["https://app.example.com"]}
    assert warned(instance=careful, server={"allowed_hosts": ["app.example.com"]}) == []


def test_every_field_has_a_key_and_every_key_a_field_or_a_twin() -> None:
    for section in (*SECTIONS, ROUTE):
        fields = set(section.model.__dataclass_fields__)
        files = {key.name for key in section.keys.values() if key.kind == "file"}
        assert set(section.keys) == fields | files
        assert {name.removesuffix("_file") for name in files} <= fields
        for key in section.keys.values():
            assert key.meaning.endswith(".")
            assert key.unit or key.kind != "number"


def test_defaults_are_those_of_the_records() -> None:
    defaults = {f"{section.name}.{name}": section.default(name) for section in SECTIONS for name in section.keys}
    assert defaults["server.listen"] == Address("127.0.0.1", 8000)
    assert defaults["refresh.budget_ms"] == 2000
    assert defaults["instance.publishable_key"] is None
    assert defaults["instance.secret_key_file"] is None


def test_no_secret_is_in_the_repr() -> None:
    assert "GoodEnough" not in repr(parse(document()))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\x1b[31m\n", '"a\\u001b[31m\\n"'),
        ("x" * 100, '"' + "x" * 78 + "…"),
        (True, "true"),
        ({"a": "secret"}, "a table"),
        (object(), "object"),
        ("https://u:p@h/", '"https://…@h/"'),
        (["http://u:p@h"], '["http://…@h"]'),
    ],
)
def test_values_are_shown_short_and_without_passwords(value: object, shown: str) -> None:
    assert show(value) == shown


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from([(section.name, name) for section in (*SECTIONS, ROUTE) for name in section.keys])


@given(KEYS, values | st.from_regex(r"(https?://|/|\*\.|sk_test_|pk_test_)?[ -~]{0,12}", fullmatch=True))
def test_any_value_is_read_or_a_fault(key: tuple[str, str], value: object) -> None:
    section, name = key
    changed = {name: value}
    sections = {section: [{**ROUTES[0], **changed}] if section == "routes" else changed}
    found: tuple[Fault, ...] = ()
    try:
        assert isinstance(parse(document(**sections)), Settings)
    except ConfigurationError as error:
        found = error.faults
    assert all(fault.setting and fault.problem and fault.fix for fault in found)


DOCUMENTS = st.dictionaries(
    st.sampled_from([*(section.name for section in SECTIONS), "routes", "x"]),
    values
    | st.dictionaries(st.sampled_from([name for section in SECTIONS for name in section.keys]), values, max_size=4),
    max_size=6,
)


@given(DOCUMENTS, st.booleans())
def test_any_document_is_settings_or_faults_that_name_the_fix(
    anything: dict[str, object], needs_upstream: bool
) -> None:
    faults: tuple[Fault, ...] = ()
    try:
        assert isinstance(parse(anything, needs_upstream=needs_upstream), Settings)
    except ConfigurationError as error:
        faults = error.faults
    assert all(fault.setting and fault.problem and fault.fix for fault in faults)


DECIDE = {"fronts": ["nginx", "envoy"], "trusted": ["127.0.0.1/32", "10.0.0.0/8"]}


def test_where_other_proxies_ask_routes_need_no_upstream_and_may_be_left_out() -> None:
    settings = parse(document(decide=DECIDE, routes=[{"path": "/a"}, {"upstream": "http://127.0.0.1:9000"}]))
    assert settings.decide.fronts == (Front.NGINX, Front.ENVOY)
    assert settings.decide.trusted == (ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"))
    assert [route.upstream for route in settings.routes] == [None, "http://127.0.0.1:9000"]
    assert parse({"instance": INSTANCE, "decide": DECIDE}).routes == (RouteSettings(),)
    assert the_fault(routes=[{"path": "/a"}]).setting == "routes[0].upstream"


def test_fronts_without_addresses_and_addresses_without_fronts_are_faults() -> None:
    assert the_fault(decide={"fronts": ["caddy"]}).setting == "decide.trusted"
    assert the_fault(decide={"trusted": ["127.0.0.1"]}).setting == "decide.fronts"
    assert "traefik" in the_fault(decide={**DECIDE, "fronts": ["apache"]}).fix
    without_envoy = {**DECIDE, "fronts": ["nginx"], "grpc_listen": "127.0.0.1:8001"}
    assert the_fault(decide=without_envoy).setting == "decide.grpc_listen"
    taken = {**DECIDE, "fronts": ["envoy"], "grpc_listen": "127.0.0.1:8000"}
    assert the_fault(decide=taken).setting == "decide.grpc_listen"
    assert str(parse(document(decide={**without_envoy, "fronts": ["envoy"]})).decide.grpc_listen) == "127.0.0.1:8001"


def test_a_warning_where_connections_of_proxies_are_counted_for_those_of_clients() -> None:
    (warning,) = parse(document(server={"max_connections_per_address": 5, "trusted_proxies": ["10.0.0.0/8"]})).warnings
    assert (warning.setting, warning.seen) == ("server.max_connections_per_address", "5")
    assert parse(document(server={"max_connections_per_address": 5})).warnings == ()


def test_a_warning_where_anybody_may_ask() -> None:
    (warning,) = parse(document(decide={"fronts": ["caddy"], "trusted": ["0.0.0.0/0"]})).warnings
    assert (warning.setting, warning.seen) == ("decide.trusted", '"0.0.0.0/0"')


def test_an_upstream_is_reached_as_its_route_says() -> None:
    tls = {"tls_ca_file": "ca.pem", "tls_certificate_file": "own.pem", "tls_key_file": "key.pem", "tls_name": "[::1]"}
    routes = [
        {"path": "/a", "upstream": "unix:/run/app.sock", "total_timeout_s": 30},
        {"path": "/b", "upstream": "https://up.internal", **tls},
    ]
    settings = parse(document(routes=routes))
    socket, secure = settings.routes
    assert (socket.upstream, socket.total_timeout_s) == ("unix:/run/app.sock", 30)
    assert (secure.tls_ca_file, secure.tls_certificate_file, secure.tls_key_file) == ("ca.pem", "own.pem", "key.pem")
    assert secure.tls_name == "::1"
    assert not [warning for warning in settings.warnings if "tls" in warning.setting]


def test_certificates_for_an_upstream_in_plain_text_are_warned_of() -> None:
    warned = parse(document(routes=[{"upstream": "http://up.internal", "tls_ca_file": "ca.pem"}])).warnings
    (warning,) = [warning for warning in warned if "tls" in warning.setting]
    assert (warning.setting, warning.seen) == ("routes[0].tls_ca_file", '"ca.pem"')
