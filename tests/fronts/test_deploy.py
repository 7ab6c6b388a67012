"""What deploy/ holds beside the fronts can be used as it stands."""

import configparser
import tomllib

import yaml

from gateway.core.identity import IDENTITY_HEADERS
from gateway.core.original import Front
from gateway.core.settings import parse
from gateway.surfaces.decide import MAX_COOKIES
from tests.fronts.fronts_kit import DEPLOY
from tests.fronts.traefik_model import middlewares


def test_the_configuration_for_kubernetes_is_good() -> None:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yml").read_text("utf-8")))
    assert [document["kind"] for document in documents] == ["ConfigMap", "Deployment", "Service"]
    settings = tomllib.loads(documents[0]["data"]["config.toml"])
    settings["instance"]["secret_key"] = "sk_test_FromTheEnvironment"
    parsed = parse(settings)
    port = parsed.server.listen.port
    (container,) = documents[1]["spec"]["template"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == documents[2]["spec"]["ports"][0]["port"] == port
    assert parsed.decide.fronts == (Front.TRAEFIK,)


def test_the_unit_for_systemd_serves() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "gateway.service")
    assert unit["Service"]["ExecStart"].split()[1:] == ["serve", "--config", "/etc/session-gateway/config.toml"]


def test_every_identity_header_is_named_where_a_front_takes_names() -> None:
    nginx = (DEPLOY / "nginx" / "gateway-headers.conf").read_text("utf-8")
    asked = (DEPLOY / "nginx" / "gateway.conf").read_text("utf-8")
    caddy = (DEPLOY / "caddy" / "Caddyfile").read_text("utf-8")
    for name in IDENTITY_HEADERS:
        variable = f"$gateway_is_{name.lower().replace('-', '_')}"
        assert f"X-Session-{name} " in nginx
        assert f"{variable};" in nginx
        assert f"{variable} " in asked
        assert f"request_header X-Session-{name} {{rp.header.X-Session-{name}}}" in caddy


def test_every_numbered_cookie_is_handed_on() -> None:
    cookies = (DEPLOY / "nginx" / "gateway-cookies.conf").read_text("utf-8")
    caddy = (DEPLOY / "caddy" / "Caddyfile").read_text("utf-8")
    for number in range(1, MAX_COOKIES + 1):
        assert f"$gateway_cookie_{number} always;" in cookies
        assert f"import gateway_cookie {number}\n" in caddy


def test_traefik_believes_no_header_of_a_client() -> None:
    _, forward_auth = middlewares()
    assert forward_auth["trustForwardHeader"] is False
    assert "forwardedHeaders" not in (DEPLOY / "traefik" / "traefik.yml").read_text("utf-8")
