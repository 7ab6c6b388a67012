"""``gateway sessions list``: pages, tables for people, JSON for programs."""

import io
import json

import pytest
from rich.console import Console

from gateway.cli.sessions_table import SessionTable
from gateway.sessions.models import read_session, session_json
from tests.cli.sessions_api import KEY, SESSION, refusal, run, session


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


def test_list_without_a_count_says_how_to_go_on(api):
    api.will_answer([session()])
    result = run("list", "--user", "user_1", api=api)
    assert result.stderr == "1 sessions; more with --offset 1 or --all\n"
    api.will_answer([session()])
    assert json.loads(run("list", "--json", api=api).stdout)["total_count"] is None


@pytest.mark.parametrize("data", [[], [session()], [session(), session(id="sess_2")]])
def test_list_as_json_is_written_as_it_comes_and_is_whole_in_the_end(api, data):
    api.will_answer({"data": data, "total_count": len(data)})
    result = run("list", "--user", "user_1", "--json", api=api)
    written = [session_json(read_session(each)) for each in data]
    assert result.stdout == json.dumps({"data": written, "total_count": len(data)}, indent=2) + "\n"


def test_list_all_prints_what_came_before_a_failure(api):
    first = [session(id=f"sess_{number}") for number in range(500)]
    api.will_answer({"data": first, "total_count": 501})
    api.will_answer(refusal("internal_clerk_error", "Oops"), 500)
    result = run("list", "--user", "user_1", "--all", api=api)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 501
    assert result.stderr == "error: HTTP 500 internal_clerk_error: Oops\n       trace id: t1\n"


def test_list_all_puts_every_page_under_one_heading(api):
    first = [session(id=f"sess_{number}") for number in range(500)]
    api.will_answer({"data": first, "total_count": 501})
    api.will_answer({"data": [session(id="sess_the_last_one")], "total_count": 501})
    lines = run("list", "--user", "user_1", "--all", api=api).stdout.splitlines()
    assert (len(lines), lines[-1].split()[0]) == (502, "sess_the_last_one")
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (200, []),
        (120, ["CREATED"]),
        (80, ["CREATED", "CLIENT"]),
        (65, ["CREATED", "CLIENT", "USER"]),
        (20, ["CREATED", "CLIENT", "USER", "LAST ACTIVE"]),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns_and_whole_identifiers(width, left_out):
    out = io.StringIO()
    table = SessionTable(Console(file=out, force_terminal=True, color_system=None, width=width))
    long = session(id="sess_" + "x" * 27, user_id="user_" + "x" * 11, client_id="client_" + "x" * 27)
    table.print([read_session(long)])
    lines = out.getvalue().splitlines()
    assert table.left_out == left_out
    assert long["id"] in lines[1]
    assert width < 40 or max(map(len, lines)) <= width


def test_colours_are_left_out_where_nobody_wants_them(api):
    api.will_answer({"data": [session()], "total_count": 1})
    assert "\x1b" not in run("list", api=api, FORCE_COLOR="1", NO_COLOR="1").stdout
