"""``gateway sessions``: what is sent, what is printed where, and which exit code tells of what."""

import io
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from click.testing import CliRunner, Result

from gateway.cli.sessions import command
from gateway.core.instance import InstanceKind, PublishableKey

KEY = "sk_test_donotprintmedonotprintme"
TIME_MS = 1716883200000
SESSION = {
    "object": "session",
    "id": "sess_1",
    "client_id": "client_1",
    "user_id": "user_1",
    "actor": None,
    "status": "active",
    "last_active_organization_id": None,
    "last_active_at": TIME_MS,
    "latest_activity": None,
    "expire_at": TIME_MS + 604800000,
    "abandon_at": TIME_MS,
    "created_at": TIME_MS,
    "updated_at": TIME_MS,
    "tasks": [],
}
TOKEN = {"object": "token", "jwt": "ey.a.b"}


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def sent(self) -> dict[str, object]:
        return json.loads(self.body)


@dataclass
class Api:
    """A real HTTP server on a free port that answers from a list."""

    url: str = ""
    answers: list[tuple[int, object]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def will_answer(self, body: object, status: int = 200) -> None:
        self.answers.append((status, body))

    @property
    def request(self) -> Request:
        (only,) = self.requests
        return only


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            api.requests.append(Request(self.command, url.path, dict(parse_qsl(url.query)), headers, body))
            status, document = api.answers.pop(0)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield api
    server.shutdown()
    server.server_close()
    thread.join()


class Terminal(io.BytesIO):
    """Standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


def run(*args: str, api: Api | None = None, typed: Terminal | str | None = None, **environ: str) -> Result:
    settings = {"CLERK_SECRET_KEY": KEY, "CLERK_API_URL": api.url if api else "http://127.0.0.1:1", **environ}
    result = CliRunner(env=settings).invoke(command, list(args), input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert KEY not in result.output
    return result


def session(**changes: object) -> dict[str, object]:
    return {**SESSION, **changes}


def refusal(code: str, message: str, **more: object) -> dict[str, object]:
    return {"errors": [{"code": code, "message": message, "long_message": message, **more}], "clerk_trace_id": "t1"}


def test_list_shows_a_table_and_how_to_see_more(api):
    api.will_answer({"data": [session(), session(id="sess_2", status="revoked")], "total_count": 5})
    result = run("list", "--user", "user_1", "--status", "active", "--limit", "2", api=api)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["ID", "STATUS", "USER", "CLIENT", "LAST", "ACTIVE", "CREATED"]
    assert lines[1].split()[:4] == ["sess_1", "active", "user_1", "client_1"]
    assert lines[1].rstrip().endswith("2024-05-28 08:00:00Z")
    assert lines[2].split()[:2] == ["sess_2", "revoked"]
    assert "\x1b" not in result.stdout
    assert result.stderr == "2 of 5 sessions; more with --offset 2 or --all\n"
    assert api.request.query == {
        "user_id": "user_1",
        "status": "active",
        "paginated": "true",
        "limit": "2",
        "offset": "0",
    }
    assert api.request.headers["authorization"] == f"Bearer {KEY}"


def test_list_never_cuts_an_identifier_however_narrow_the_terminal(api):
    long_id = "sess_" + "x" * 200
    api.will_answer({"data": [session(id=long_id)], "total_count": 1})
    result = run("list", "--client", "client_1", api=api, COLUMNS="40")
    assert long_id in result.stdout


def test_list_colours_only_when_colour_is_forced(api):
    api.will_answer({"data": [session()], "total_count": 1})
    assert "\x1b[32mactive" in run("list", api=api, FORCE_COLOR="1").stdout


def test_list_as_json_is_the_api_s_own_form(api):
    api.will_answer({"data": [session()], "total_count": 1})
    result = run("list", "--user", "user_1", "--offset", "3", "--json", api=api)
    assert json.loads(result.stdout) == {"data": [SESSION], "total_count": 1}
    assert result.stderr == ""
    assert api.request.query["offset"] == "3"


def test_list_all_fetches_every_page(api):
    api.will_answer({"data": [session(id="sess_1")], "total_count": 2})
    api.will_answer({"data": [session(id="sess_2")], "total_count": 2})
    result = run("list", "--user", "user_1", "--all", "--json", api=api)
    assert [item["id"] for item in json.loads(result.stdout)["data"]] == ["sess_1", "sess_2"]
    assert [request.query["offset"] for request in api.requests] == ["0", "1"]


def test_list_of_nothing_says_so_and_prints_no_table(api):
    api.will_answer({"data": [], "total_count": 0})
    result = run("list", "--user", "user_1", api=api)
    assert (result.stdout, result.stderr) == ("", "0 of 0 sessions\n")


@pytest.mark.parametrize(
    "args",
    [
        ["list", "--all", "--limit", "5"],
        ["list", "--all", "--offset", "0"],
        ["list", "--limit", "501"],
        ["list", "--offset", "-1"],
        ["list", "--status", "pending"],
        ["token", "sess_1", "--expires-in", "29"],
        ["get"],
        ["get", "sess_1", "--timeout", "0"],
        ["verify", "sess_1"],
        ["refresh", "sess_1", "--origin", "https://a.example", "--header", "nocolon"],
    ],
)
def test_wrong_usage_is_2_and_nothing_is_sent(api, args):
    result = run(*args, api=api)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert api.requests == []


def test_get_shows_what_is_known_and_leaves_out_the_rest(api):
    activity = {"object": "session_activity", "id": "a", "is_mobile": True, "browser_name": "Safari", "city": "Bonn"}
    api.will_answer(
        session(
            status="pending",
            tasks=[{"key": "choose-organization"}],
            latest_activity=activity,
            actor={"sub": "user_admin"},
            last_active_organization_id="org_1",
        )
    )
    result = run("get", "sess_1", api=api)
    rows = dict(line.strip().split("  ", 1) for line in result.stdout.splitlines())
    shown = {name: value.strip() for name, value in rows.items()}
    assert shown["status"] == "pending"
    assert shown["tasks"] == "choose-organization"
    assert shown["organization"] == "org_1"
    assert shown["actor"] == '{"sub": "user_admin"}'
    assert shown["expires"] == "2024-06-04 08:00:00Z"
    assert (shown["device"], shown["browser"], shown["place"]) == ("mobile", "Safari", "Bonn")
    api.will_answer(session())
    assert not {"tasks", "device", "actor"} & set(run("get", "sess_1", api=api).stdout.split())


def test_a_time_beyond_the_calendar_is_shown_as_a_number(api):
    api.will_answer(session(expire_at=10**18))
    assert str(10**18) in run("get", "sess_1", api=api).stdout


def test_control_characters_and_markup_of_an_answer_do_not_reach_the_terminal(api):
    api.will_answer(session(user_id="\x1b]0;owned\x07[red]user[/red]"))
    result = run("get", "sess_1", api=api)
    assert "\x1b" not in result.stdout
    assert "\ufffd]0;owned\ufffd[red]user[/red]" in result.stdout
    api.will_answer(refusal("bad", "\x1b[2Jgone"), 400)
    assert "\x1b" not in run("get", "sess_1", api=api).stderr


def test_create_sends_user_and_organization(api):
    api.will_answer(session())
    result = run("create", "user_1", "--organization", "org_1", "--json", api=api)
    assert json.loads(result.stdout)["id"] == "sess_1"
    assert api.request.sent == {"user_id": "user_1", "active_organization_id": "org_1"}


def test_revoke_asks_on_a_terminal_and_acts_on_yes(api):
    api.will_answer(session(status="revoked"))
    result = run("revoke", "sess_1", api=api, typed=Terminal(b"y\n"))
    assert result.exit_code == 0
    assert "Revoke session sess_1?" in result.stderr
    assert "revoked" in result.stdout
    assert (api.request.method, api.request.path) == ("POST", "/v1/sessions/sess_1/revoke")


def test_revoke_does_nothing_on_no(api):
    result = run("revoke", "sess_1", api=api, typed=Terminal(b"n\n"))
    assert result.exit_code == 1
    assert "Aborted" in result.stderr
    assert api.requests == []


@pytest.mark.parametrize(("args", "typed"), [(["--yes"], Terminal()), ([], None)])
def test_revoke_does_not_ask_when_told_or_in_a_script(api, args, typed):
    api.will_answer(session(status="revoked"))
    result = run("revoke", "sess_1", *args, api=api, typed=typed)
    assert (result.exit_code, result.stderr) == (0, "")


def test_token_prints_the_token_and_nothing_else(api):
    api.will_answer(TOKEN)
    result = run("token", "sess_1", "--expires-in", "60", "--origin", "https://a.example", api=api)
    assert result.output == "ey.a.b\n"
    assert (api.request.path, api.request.sent) == ("/v1/sessions/sess_1/tokens", {"expires_in_seconds": 60})
    assert api.request.headers["origin"] == "https://a.example"


def test_token_from_a_template_as_json(api):
    api.will_answer(TOKEN)
    result = run("token", "sess_1", "--template", "hasura", "--json", api=api)
    assert json.loads(result.stdout) == TOKEN
    assert (api.request.path, api.request.body) == ("/v1/sessions/sess_1/tokens/hasura", b"")


def test_verify_says_that_it_is_deprecated_and_reads_the_token_from_a_file(api, tmp_path):
    file = tmp_path / "token.txt"
    file.write_text("ey.a.b\n")
    api.will_answer(session())
    result = run("verify", "sess_1", "--token-file", str(file), api=api)
    assert result.exit_code == 0
    assert "deprecated" in result.stderr
    assert api.request.sent == {"token": "ey.a.b"}
    assert "ey.a.b" not in result.output


def test_verify_asks_for_the_token_on_a_terminal(api):
    api.will_answer(session())
    result = run("verify", "sess_1", api=api, typed=Terminal(b"ey.a.b\n"))
    assert result.exit_code == 0
    assert api.request.sent == {"token": "ey.a.b"}


def test_refresh_trades_two_tokens_for_one(api, tmp_path):
    file = tmp_path / "expired.jwt"
    file.write_text("ey.old")
    api.will_answer(TOKEN)
    result = run(
        *["refresh", "sess_1", "--origin", "https://a.example", "--header", "Cookie: a=b", "--header", "cookie: c=d"],
        *["--expired-token-file", str(file), "--refresh-token-file", "-"],
        api=api,
        typed="refresh-secret\n",
    )
    assert result.output == "ey.a.b\n"
    assert api.request.sent == {
        "format": "token",
        "expired_token": "ey.old",
        "refresh_token": "refresh-secret",
        "request_origin": "https://a.example",
        "request_headers": {"cookie": ["a=b", "c=d"]},
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_refresh_prints_cookies_a_line_each(api, tmp_path, as_json):
    file = tmp_path / "token"
    file.write_text("value")
    api.will_answer({"object": "cookies", "cookies": ["__session=a", "__refresh_x=b"]})
    files = ["--expired-token-file", str(file), "--refresh-token-file", str(file)]
    form = ["--format", "cookie", "--suffixed-cookies", *(["--json"] if as_json else [])]
    result = run("refresh", "sess_1", "--origin", "https://a.example", *files, *form, api=api)
    expected = {"object": "cookies", "cookies": ["__session=a", "__refresh_x=b"]}
    if as_json:
        assert json.loads(result.stdout) == expected
    else:
        assert result.stdout == "__session=a\n__refresh_x=b\n"
    assert api.request.query == {"suffixed_cookies": "true"}


def test_the_api_s_own_error_is_shown_plainly_with_exit_code_1(api):
    body = refusal("resource_not_found", "No session was found with id sess_1", meta={"session_id": "sess_1"})
    api.will_answer(body, 404)
    result = run("get", "sess_1", api=api)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "error: HTTP 404 resource_not_found: No session was found with id sess_1 (session_id: sess_1)\n"
        "       trace id: t1\n"
    )


def test_every_error_of_the_list_is_shown(api):
    body = {"errors": [{"code": "a", "message": "A", "long_message": "Long A"}, {"message": "B"}]}
    api.will_answer(body, 422)
    result = run("create", "user_1", api=api)
    assert result.stderr == "error: HTTP 422 a: A - Long A\n       no code: B\n"


def test_errors_as_json_go_to_standard_error(api):
    api.will_answer(refusal("clerk_key_invalid", "The key is wrong"), 401)
    result = run("get", "sess_1", "--json", api=api)
    assert (result.exit_code, result.stdout) == (1, "")
    told = json.loads(result.stderr)
    assert (told["status"], told["errors"][0]["code"], told["clerk_trace_id"]) == (401, "clerk_key_invalid", "t1")


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_failure_without_a_list_of_errors_is_1_too(api, flags):
    api.will_answer(b"", 500)
    result = run("create", "user_1", *flags, api=api)
    assert result.exit_code == 1
    assert "HTTP 500" in result.stderr


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_an_api_that_does_not_answer_is_4(flags):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    result = run("create", "user_1", "--api-url", f"http://127.0.0.1:{port}", *flags)
    assert result.exit_code == 4
    assert "no connection to the API" in result.stderr
    if flags:
        assert json.loads(result.stderr)["cause"] == "connect"


def test_a_bad_identifier_is_2_and_nothing_is_sent(api):
    result = run("get", "../users", api=api)
    assert (result.exit_code, api.requests) == (2, [])
    assert "path segment" in result.stderr


def test_without_a_key_the_ways_to_give_one_are_named():
    result = run("get", "sess_1", CLERK_SECRET_KEY="")
    assert result.exit_code == 2
    assert "CLERK_SECRET_KEY" in result.stderr
    assert "--secret-key-file" in result.stderr


def test_a_key_that_cannot_be_sent_is_2():
    result = run("get", "sess_1", CLERK_SECRET_KEY="sk_test_a b")
    assert result.exit_code == 2
    assert "secret_key" in result.stderr


def test_a_key_file_wins_over_the_environment(api, tmp_path):
    file = tmp_path / "key"
    file.write_text("sk_test_fromfile\n")
    api.will_answer(session())
    assert run("get", "sess_1", "--secret-key-file", str(file), api=api).exit_code == 0
    assert api.request.headers["authorization"] == "Bearer sk_test_fromfile"


def test_a_key_file_named_by_the_environment_is_read(api, tmp_path):
    file = tmp_path / "key"
    file.write_text("sk_test_fromfile\n")
    api.will_answer(session())
    assert run("get", "sess_1", api=api, CLERK_SECRET_KEY_FILE=str(file)).exit_code == 0
    assert api.request.headers["authorization"] == "Bearer sk_test_fromfile"


def write_config(directory: Path, api_url: str) -> str:
    key = PublishableKey.encode(InstanceKind.DEVELOPMENT, "127.0.0.1:8001").value
    file = directory / "gateway.toml"
    file.write_text(
        f'[instance]\npublishable_key = "{key}"\nsecret_key = "sk_test_fromconfig"\napi_url = "{api_url}"\n'
    )
    file.chmod(0o600)
    return str(file)


def test_key_and_url_come_from_the_configuration_before_the_environment(api, tmp_path):
    api.will_answer(session())
    config = write_config(tmp_path, api.url)
    result = run("get", "sess_1", "--config", config)
    assert result.exit_code == 0, result.output
    assert api.request.headers["authorization"] == "Bearer sk_test_fromconfig"


def test_options_win_over_the_configuration(api, tmp_path):
    file = tmp_path / "key"
    file.write_text("sk_test_fromfile")
    api.will_answer(session())
    config = write_config(tmp_path, "http://127.0.0.1:1")
    result = run("get", "sess_1", "--config", config, "--secret-key-file", str(file), "--api-url", api.url)
    assert result.exit_code == 0, result.output
    assert api.request.headers["authorization"] == "Bearer sk_test_fromfile"


def test_a_configuration_with_faults_is_2(tmp_path):
    result = run("get", "sess_1", "--config", str(tmp_path / "absent.toml"))
    assert result.exit_code == 2
    assert "absent.toml" in result.stderr


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "No such file"), (b"", "one word"), (b"two words", "one word"), (b"\xff", "UTF-8")]
)
def test_a_key_file_that_cannot_be_used_is_2(tmp_path, content, problem):
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    result = run("get", "sess_1", "--secret-key-file", str(file))
    assert result.exit_code == 2
    assert problem in result.stderr
    token = run("verify", "sess_1", "--token-file", str(file))
    assert token.exit_code == 2
    assert problem in token.stderr


@pytest.mark.parametrize("name", ["", "list", "get", "create", "revoke", "token", "verify", "refresh"])
def test_help_of_every_command_has_an_example(name):
    result = run(*filter(None, [name]), "--help")
    assert result.exit_code == 0
    assert f"gateway sessions {name}" in result.stdout
    assert "Example" in result.stdout
