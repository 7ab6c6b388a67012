"""What routes may say of paths and headers for their upstream."""

import pytest

from gateway.core.instance import InstanceKind, PublishableKey
from gateway.core.settings import RouteSettings, Settings, parse
from gateway.core.settings_model import EjectionSettings, HealthSettings
from gateway.errors import ConfigurationError, Fault

KEY = PublishableKey.encode(InstanceKind.DEVELOPMENT, "clerk.example.com").value
UPSTREAM = "http://127.0.0.1:9000"


def settings(*routes: dict[str, object], **sections: object) -> Settings:
    instance = {"publishable_key": KEY, "secret_key": "sk_test_GoodEnough"}
    return parse({"instance": instance, "routes": [{"upstream": UPSTREAM, **route} for route in routes], **sections})


def route(**given: object) -> RouteSettings:
    return settings(given).routes[0]


def fault(*routes: dict[str, object], **sections: object) -> Fault:
    with pytest.raises(ConfigurationError) as refused:
        settings(*routes, **sections)
    (found,) = refused.value.faults
    return found


@pytest.mark.parametrize(
    ("given", "good"),
    [
        ({"path": "/api", "strip_prefix": "/api"}, True),
        ({"path": "/api/v1", "strip_prefix": "/api"}, True),
        ({"path": "/@me", "strip_prefix": "/%40me"}, True),
        ({"path": "/api", "strip_prefix": "/"}, True),
        ({"path": "/api", "replace_prefix": "/v2"}, True),
        ({"path": "/apis", "strip_prefix": "/api"}, False),
        ({"path": "/api", "strip_prefix": "/api/v1"}, False),
        ({"strip_prefix": "/api"}, False),
        ({"path": "/api", "strip_prefix": "api"}, False),
        ({"path": "/api", "strip_prefix": "/api/"}, False),
        ({"path": "/api", "replace_prefix": "/v2/../v1"}, False),
        ({"path": "/api", "replace_prefix": "/a//b"}, False),
        ({"path": "/api", "replace_prefix": "/v2?x"}, False),
        ({"path": "/api", "replace_prefix": 2}, False),
    ],
)
def test_a_prefix_is_canonical_and_what_is_stripped_is_there(given: dict[str, object], good: bool) -> None:
    if good:
        found = route(**given)
        assert (found.strip_prefix, found.replace_prefix) == (given.get("strip_prefix"), given.get("replace_prefix"))
    else:
        found = fault(given)
        assert found.setting in {"routes[0].strip_prefix", "routes[0].replace_prefix"}
        assert found.fix


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("keep", "keep"),
        ("upstream", "upstream"),
        ("App.Internal", "app.internal"),
        ("a:81", "a:81"),
        ("[::1]", "[::1]"),
    ],
)
def test_the_host_header_is_a_word_or_a_host(written: str, read: str) -> None:
    assert route(host_header=written).host_header == read


@pytest.mark.parametrize("written", ["a b", "http://a", "a/b", "*.a", "a:0", 1, ""])
def test_another_host_header_is_a_fault(written: object) -> None:
    assert fault({"host_header": written}).setting == "routes[0].host_header"


def test_fixed_headers_are_read_in_order() -> None:
    assert route(headers={"X-Tenant": "acme", "X-B": ""}).headers == (("X-Tenant", "acme"), ("X-B", ""))


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ([], "not a table"),
        ({"X Tenant": "a"}, "letters, digits"),
        ({"X-Tenant": "a", "x-tenant": "b"}, "twice"),
        ({"Host": "a"}, "belongs to HTTP"),
        ({"X-Forwarded-Prefix": "a"}, "the gateway's to write"),
        ({"X-Clerk-User": "a"}, "the gateway's to write"),
        ({"X-Tenant": "a\r\nb"}, "no header can have"),
        ({"X-Tenant": " a"}, "no header can have"),
        ({"X-Tenant": "ä"}, "no header can have"),
        ({"X-Tenant": 5}, "no header can have"),
        ({"X-Session-User-Id": "user_1"}, "who it is"),
        ({"x-session-new": "user_1"}, "who it is"),
    ],
)
def test_a_header_that_cannot_be_fixed_is_a_fault(headers: object, problem: str) -> None:
    found = fault({"headers": headers})
    assert found.setting == "routes[0].headers"
    assert problem in found.problem


def test_a_fixed_header_is_no_claim() -> None:
    found = fault({"headers": {"X-Team": "a"}}, identity={"claims": {"x-team": "metadata.team"}})
    assert "who it is" in found.problem


@pytest.mark.parametrize(
    ("others", "is_fault"),
    [
        ({"path": "/api"}, True),
        ({"path": "/api", "methods": ["GET"]}, False),
        ({"path": "/api", "exact": True}, False),
        ({"path": "/api", "host": "a.example"}, False),
        ({"path": "/api/"}, True),
    ],
)
def test_two_routes_for_the_same_requests_are_a_fault(others: dict[str, object], is_fault: bool) -> None:
    if is_fault:
        assert fault({"path": "/api"}, others).setting.startswith("routes[1]")
    else:
        assert len(settings({"path": "/api"}, others).routes) == 2
    if others.get("exact"):
        assert fault({"path": "/api", "exact": True}, others).setting == "routes[1]"


def test_a_looser_route_is_warned_of_by_its_place_in_the_file() -> None:
    loose = {"path": "/health", "access": "public"}
    (warning,) = settings({}, loose).warnings
    assert (warning.setting, "public, inside of /" in warning.problem) == ("routes[1]", True)
    assert settings({}, {**loose, "loosens": True}).warnings == ()


# ── upstreams ──

TWO = ["http://a:1", {"url": "http://b:2", "weight": 3}]


def with_upstreams(*upstreams: object, route: str = "api") -> Settings:
    return settings({"upstream": route}, upstreams=list(upstreams))


def upstream_faults(*upstreams: object, route: str = UPSTREAM) -> list[Fault]:
    with pytest.raises(ConfigurationError) as refused:
        with_upstreams(*upstreams, route=route)
    return list(refused.value.faults)


def test_several_servers_have_one_name() -> None:
    health, ejection = {"path": "/up?deep=1", "interval_s": 3}, {"failures": 2, "share": 1}
    given = {"name": "api", "servers": TWO, "balance": "least_connections", "health": health, "ejection": ejection}
    found = with_upstreams(given)
    (api,) = found.upstreams
    assert [(server.url, server.weight) for server in api.servers] == [("http://a:1", 1), ("http://b:2", 3)]
    assert (api.balance, api.ejection) == ("least_connections", EjectionSettings(failures=2, share=1))
    assert api.health == HealthSettings(path="/up?deep=1", interval_s=3)
    assert found.routes[0].upstream == "api"
    typed = {"name": "api", "servers": api.servers, "health": api.health, "ejection": api.ejection}
    assert with_upstreams({**typed, "balance": "least_connections"}).upstreams == (api,)
    (plain,) = with_upstreams({"name": "api", "servers": ["http://a:1"]}).upstreams
    assert (plain.balance, plain.health, plain.ejection) == ("round_robin", None, EjectionSettings())


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({}, "upstreams[0].name"),
        ({"name": "Api"}, "upstreams[0].name"),
        ({"name": "a.b"}, "upstreams[0].name"),
        ({"servers": None}, "upstreams[0].servers"),
        ({"servers": []}, "upstreams[0].servers"),
        ({"servers": "http://a"}, "upstreams[0].servers"),
        ({"servers": ["api"]}, "upstreams[0].servers"),
        ({"servers": [5]}, "upstreams[0].servers"),
        ({"servers": ["http://a:1", {"url": "http://a:1", "weight": 2}]}, "upstreams[0].servers"),
        ({"servers": [{"url": "http://a", "weight": 0}]}, "upstreams[0].servers"),
        ({"servers": [{"url": "http://a", "wait": 0}]}, "upstreams[0].servers"),
        ({"servers": [{"weight": 2}]}, "upstreams[0].servers"),
        ({"balance": "random"}, "upstreams[0].balance"),
        ({"health": "/healthz"}, "upstreams[0].health"),
        ({"health": {"path": "healthz"}}, "upstreams[0].health.path"),
        ({"health": {"path": "/a b"}}, "upstreams[0].health.path"),
        ({"health": {"interval_s": 0}}, "upstreams[0].health.interval_s"),
        ({"health": {"intervals": 1}}, "upstreams[0].health.intervals"),
        ({"ejection": {"share": 2}}, "upstreams[0].ejection.share"),
        ({"names": "x"}, "upstreams[0].names"),
    ],
)
def test_an_upstream_that_cannot_be_is_a_fault(given: dict[str, object], setting: str) -> None:
    good = {"name": "api", "servers": TWO} if given else {"servers": TWO}
    found = upstream_faults({**good, **given})
    assert [fault.setting for fault in found] == [setting]
    assert found[0].fix


def test_upstreams_are_a_list_of_tables() -> None:
    for given in ({"name": "api"}, "api"):
        with pytest.raises(ConfigurationError) as refused:
            settings({}, upstreams=given)
        assert [fault.setting for fault in refused.value.faults] == ["upstreams"]
    assert [fault.setting for fault in upstream_faults("api")] == ["upstreams[0]"]


def test_a_name_means_one_upstream_that_is_there() -> None:
    api = {"name": "api", "servers": TWO}
    (twice,) = upstream_faults(api, api)
    assert (twice.setting, "has this name" in twice.problem) == ("upstreams[1].name", True)
    (unknown,) = upstream_faults(api, route="apo")
    assert (unknown.setting, unknown.fix.startswith("write one of api")) == ("routes[0].upstream", True)
    (none,) = upstream_faults(route="localhost")
    assert none.fix.startswith("add [[upstreams]]")


@pytest.mark.parametrize("upstream", ["api", "unix:/run/app.sock"])
def test_the_upstreams_own_host_is_asked_for_where_there_is_one(upstream: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings({"upstream": upstream, "host_header": "upstream"}, upstreams=[{"name": "api", "servers": TWO}])
    assert [fault.setting for fault in refused.value.faults] == ["routes[0].host_header"]


def test_certificates_count_for_the_servers_of_an_upstream_too() -> None:
    servers = {"name": "api", "servers": ["https://a:1", "https://b:1"]}
    assert settings({"upstream": "api", "tls_name": "service"}, upstreams=[servers]).warnings == ()
    (warning,) = settings({"tls_name": "service"}).warnings
    assert warning.setting == "routes[0].tls_name"
