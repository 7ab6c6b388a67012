"""``gateway sessions``: what is sent, what is printed where, and which exit code tells of what."""

import json
import socket
from pathlib import Path

import pytest

from gateway.core.instance import InstanceKind, PublishableKey
from tests.cli.sessions_api import TOKEN, Terminal, refusal, run, session


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
        ["list", "--user", ""],
        ["get", "sess_1", "--timeout", "0"],
        ["verify", "sess_1"],
        ["refresh", "sess_1", "--origin", "https://a.example", "--header", "nocolon"],
    ],
)
def test_wrong_usage_is_2_and_nothing_is_sent(api, args):
    result = run(*args, api=api)
    assert result.exit_code == 2
    assert result.stderr.lower().count("error: ") == 1
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
    api.will_answer(refusal("bad", "gone\nerror: a line that looks like ours"), 400)
    assert len(run("get", "sess_1", api=api).stderr.splitlines()) == 2  # the error, and the trace id


def test_create_sends_user_and_organization(api):
    api.will_answer(session())
    result = run("create", "user_1", "--organization", "org_1", "--json", api=api)
    assert json.loads(result.stdout)["id"] == "sess_1"
    assert api.request.sent == {"user_id": "user_1", "active_organization_id": "org_1"}


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
    assert flags or f"the API at http://127.0.0.1:{port} does not answer" in result.stderr
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
