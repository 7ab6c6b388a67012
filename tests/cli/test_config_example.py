"""config.example.toml teaches every key, and is good."""

import re
import tomllib
from pathlib import Path

import pytest

from gateway.cli.main import run
from gateway.core.settings import parse
from gateway.core.settings_keys import ROUTE, SECTIONS, UPSTREAM, Section

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")
# A commented key, or a line of the commented multi-line value of jwt_key.
_COMMENTED = re.compile(r'^# (?=[a-z_]+ = |\[\[|-----|[A-Za-z0-9+/=]{8,64}$|"""$)', re.MULTILINE)
UNCOMMENTED = _COMMENTED.sub("", TEXT)
KEYS = [(section, name) for section in (*SECTIONS, UPSTREAM, ROUTE) for name in section.keys]
# These have no default, so the file shows an example; two are needed anyway.
_EXAMPLES = {"publishable_key", "secret_key", "secret_key_file", "jwt_key", "jwt_key_file", "sign_in_url", "proxy_url"}
_EXAMPLES |= {"machine_secret_key", "machine_secret_key_file", "claims", "methods", "host", "upstream", "require"}
_EXAMPLES |= {
    "cache_file",
    "grpc_listen",
    "domain",
    "store",
    "websocket_token_protocol",
    "strip_prefix",
    "replace_prefix",
    "headers",
    "name",
    "servers",
    "health",
    "cors",
    "max_body_bytes",
    "max_header_bytes",
}
_EXAMPLES |= {"tls_ca_file", "tls_certificate_file", "tls_key_file", "tls_name"}


def table(section: Section, text: str = UNCOMMENTED) -> dict[str, object]:
    found = tomllib.loads(text)[section.name]
    return dict(found[0] if isinstance(found, list) else found)


def test_the_file_is_good_as_it_stands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "MACHINE_SECRET_KEY", "PUBLISHABLE_KEY", "JWT_KEY"):
        monkeypatch.delenv(f"CLERK_{name}", raising=False)
    assert run(["check", "--config", str(EXAMPLE)]) == 0
    assert "good: 2 routes" in capsys.readouterr().err


def test_the_file_is_good_with_every_key_uncommented() -> None:
    document = tomllib.loads(UNCOMMENTED)
    # The other way to give the same value; both at once are a fault by design.
    for name in ("secret_key", "machine_secret_key", "jwt_key"):
        del document["instance"][f"{name}_file"]
    del document["decide"]["grpc_listen"]  # the file names no front that asks
    assert len(parse(document).routes) == 2


@pytest.mark.parametrize(("section", "name"), KEYS, ids=[f"{section.name}.{name}" for section, name in KEYS])
def test_every_key_stands_there_with_meaning_unit_and_hazard(section: Section, name: str) -> None:
    assert name in table(section)
    prose = " ".join(line.removeprefix("# ") for line in TEXT.splitlines() if line.startswith("# "))
    key = section.keys[name]
    assert key.meaning in prose
    assert not key.unit or f"{key.meaning} Unit: {key.unit}." in prose
    assert not key.hazard or f"Hazard: {key.hazard}." in prose


@pytest.mark.parametrize("section", [*SECTIONS, UPSTREAM, ROUTE], ids=lambda section: section.name)
def test_no_unknown_key_stands_there(section: Section) -> None:
    assert set(table(section)) == set(section.keys)


@pytest.mark.parametrize(("section", "name"), [each for each in KEYS if each[1] not in _EXAMPLES])
def test_the_shown_value_is_the_default(section: Section, name: str) -> None:
    assert section.keys[name].read(table(section)[name]) == section.default(name)
