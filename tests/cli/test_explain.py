"""gateway explain: every way to give a request, every way to get it wrong, and what is printed."""

import io
import json
import re
import shlex
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.explain import MAX_BYTES, command
from gateway.cli.main import run
from gateway.core.instance import InstanceKind, PublishableKey
from tests.core.minting import NAMES as _NAMES
from tests.core.minting import b64, expired, jwk, mint, private_key

HOST = "clerk.example.test"
KEY = PublishableKey.encode(InstanceKind.PRODUCTION, HOST).value


def pem(name: str = "key_1") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


GOOD_FOR_LONG = mint(exp=4_000_000_000, nbf=0, iat=1_700_000_000)
AHEAD = mint(exp=4_000_000_000, nbf=0, iat=3_900_000_000)
EXPIRED = mint(exp=1_700_000_060, nbf=0, iat=1_700_000_000)
REQUEST = f"""GET /page?code=query-secret HTTP/1.1
Host: app.example.test
Accept: text/html
Sec-Fetch-Dest: document
Cookie: {_NAMES.session}={{token}}; {_NAMES.client_uat}=1600000000; {_NAMES.refresh}=refresh-secret-1
Cookie: other=foreign-secret

"""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "PUBLISHABLE_KEY", "JWT_KEY"):
        monkeypatch.delenv(f"CLERK_{name}", raising=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        f'[instance]\npublishable_key = "{KEY}"\nsecret_key = "sk_live_Private"\njwt_key = """\n{pem()}"""\n'
        '[[routes]]\npath = "/"\nupstream = "http://127.0.0.1:9"\n'
    )
    return path


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["explain", *arguments]) == 0
    shown = capsys.readouterr()
    return shown.out + shown.err


def test_a_good_request_is_explained_from_a_file(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "request.txt"
    file.write_text(REQUEST.format(token=GOOD_FOR_LONG))
    assert run(["explain", "--config", str(config), "--request", str(file)]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == "GET http://app.example.test/page?code=..."
    assert lines[1] == "  from 127.0.0.1"
    assert "  ok       signature" in lines
    assert "decision    signed-in" in lines
    assert "answer      goes on to http://127.0.0.1:9" in lines
    assert "header      x-session-user-id: user_1" in lines
    assert lines[-1] == "what to do  Nothing: the request goes on."
    assert shown.err == ""
    assert "\x1b" not in shown.out


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_request_is_read_from_standard_input(
    end: bytes, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = REQUEST.format(token=GOOD_FOR_LONG).encode().replace(b"\n", end)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert "signed-in" in explained(capsys, "--config", str(config), "--request", "-")


@pytest.mark.parametrize("is_piped", [True, False])
def test_a_curl_command_is_explained(
    is_piped: bool, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"curl https://app.example.test/api -u me:password -H 'Authorization: Bearer {GOOD_FOR_LONG}' -d a=1"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    shown = explained(capsys, "--config", str(config), "--curl", "-" if is_piped else text)
    assert "POST https://app.example.test/api" in shown
    assert "signed-in" in shown
    assert "warning: -u is ignored" in shown
    assert "password" not in shown


def test_the_peer_and_the_scheme_may_be_given(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text() + '[server]\ntrusted_proxies = ["10.0.0.0/8"]\n')
    text = "curl http://app.example.test -H 'X-Forwarded-For: 198.51.100.7'"
    assert "from 198.51.100.7" in explained(capsys, "--config", str(config), "--curl", text, "--peer", "10.0.0.1")
    assert "from 127.0.0.1" in explained(capsys, "--config", str(config), "--curl", text)
    assert "GET https://app" in explained(capsys, "--config", str(config), "--curl", text, "--scheme", "https")


@pytest.mark.parametrize("peer", ["nonsense", "10.0.0.1:443", ""])
def test_a_peer_that_is_no_address_is_named(peer: str, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--config", str(config), "--curl", "curl http://a.test", "--peer", peer]) == 2
    assert f"'{peer}' is no IP address" in capsys.readouterr().err


def test_json_is_one_document_for_programs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"curl http://app.example.test -H 'Authorization: Bearer {AHEAD}'"
    assert run(["explain", "--config", str(config), "--curl", text, "--json"]) == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert shown.err == ""
    assert (result["state"], result["status"], result["passes"]) == ("signed-out", 401, False)
    assert result["reason"] == "session-token-iat-in-the-future"
    assert {"what": "signature", "mark": "ok", "detail": ""} in result["steps"]
    assert result["not_asked"] == []
    assert result["identity"] == {}
    assert "NTP" in result["what_to_do"]
    (warning,) = result["warnings"]
    assert "in the future: this machine's clock is behind" in warning


def test_what_is_not_asked_is_said(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "request.txt"
    file.write_text(REQUEST.format(token=EXPIRED))
    shown = explained(capsys, "--config", str(config), "--request", str(file))
    assert "would be asked for refresh: POST /v1/sessions/sess_1/refresh" in shown
    assert "answer      307 (if the Sessions API refused; it was not asked)" in shown
    assert "warning: would be asked for refresh: POST /v1/sessions/sess_1/refresh; --live asks" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the request with --request or with --curl"),
        (["--request", "x", "--curl", "curl x"], "give the request with --request or with --curl"),
        (["--request", "/does/not/exist"], "/does/not/exist cannot be read: No such file or directory"),
        (["--request", "/"], "/ cannot be read: Is a directory"),
        (["--curl", "wget x"], 'does not begin with "curl"'),
        (["--curl", "curl x", "--scheme", "ftp"], "--scheme"),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: list[str], message: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "--config", str(config), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_request_that_is_too_large_or_no_request_ends_with_2(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "request.txt"
    file.write_bytes(b"x" * (MAX_BYTES + 1))
    assert run(["explain", "--config", str(config), "--request", str(file)]) == 2
    assert "larger than" in capsys.readouterr().err
    file.write_bytes(b"\xff\xfe\x00")
    assert run(["explain", "--config", str(config), "--request", str(file)]) == 2
    assert "line 1" in capsys.readouterr().err


def test_a_bad_configuration_ends_with_2_and_its_faults(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("[instance]\n")
    assert run(["explain", "--config", str(config), "--curl", "curl http://a.test"]) == 2
    assert "instance.publishable_key" in capsys.readouterr().err


def test_help_shows_examples() -> None:
    shown = CliRunner().invoke(command, ["--help"]).output
    assert "gateway explain --config config.toml --request request.txt" in shown
    assert "Copy as cURL (bash)" in shown


CASES = {
    "good": GOOD_FOR_LONG,
    "ahead": AHEAD,
    "expired": EXPIRED,
    "unsigned": f"{b64(b'{}')}.{b64(b'{}')}.{b64(b'signature')}",
    "another key's": mint("key_2", exp=4_000_000_000, nbf=0, iat=1_700_000_000),
    "old": expired(),
    "junk": "junk-that-is-no-token-at-all",
    "a JWK": b64(str(jwk("key_1")).encode()),
}


@pytest.mark.parametrize("place", ["cookie", "bearer", "nonce", "handshake", "dev browser", "curl"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_of_the_request_or_the_configuration_is_printed(
    case: str, place: str, as_json: bool, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = CASES[case]
    text = REQUEST.format(token=token if place == "cookie" else GOOD_FOR_LONG)
    parameters = {"nonce": "__clerk_handshake_nonce", "handshake": "__clerk_handshake", "dev browser": "__clerk_db_jwt"}
    if place in parameters:
        text = text.replace("code=", f"{parameters[place]}={token}&code=")
    if place == "bearer":
        text = text.replace("Accept:", f"Authorization: Bearer {token}\nAccept:")
    file = tmp_path / "request.txt"
    file.write_text(text)
    given = ["--request", str(file)]
    if place == "curl":
        given = [
            "--curl",
            f"curl https://app.example.test -b '{_NAMES.session}={token}; {_NAMES.client_uat}=1600000000'",
        ]
    shown = explained(capsys, "--config", str(config), *given, *(["--json"] if as_json else []))
    secrets = ("refresh-secret-1", "foreign-secret", "query-secret", "1600000000", "sk_live_Private", token)
    for secret in (*secrets, *(part for part in token.split(".") if len(part) > 7)):
        assert secret not in shown


def test_the_readme_shows_what_is_printed(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    block = readme[readme.index("    $ gateway explain --config") :]
    first, *shown = [line.removeprefix("    ") for line in block[: block.index("\nIt judges")].rstrip().splitlines()]
    own = PublishableKey.encode(InstanceKind.PRODUCTION, "clerk.example.com").value
    app = "https://app.example.com"
    config.write_text(
        config.read_text().replace(KEY, own).replace("[[routes]]", f"authorized_parties = ['{app}']\n[[routes]]", 1)
    )
    second = int(time.time()) - 3600
    token = mint(iss="https://clerk.example.com", azp=app, exp=second, iat=second - 60, nbf=second - 70)
    arguments = shlex.split(first.removeprefix("$ gateway explain --config config.toml ").replace("…", token))
    printed = explained(capsys, "--config", str(config), *arguments).splitlines()
    place = 0
    for line in shown:
        pattern = re.sub(r"\d+ s ago", r"\\d+ s ago", re.escape(line).replace("\\ ", " ").replace("…", ".*"))
        if line.strip() == "…":
            continue
        place = next(number for number in range(place, len(printed)) if re.fullmatch(pattern, printed[number].rstrip()))
