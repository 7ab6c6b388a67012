"""``gateway sessions revoke``: whom it asks about what, and what becomes of many."""

import json

import pytest

from tests.cli.sessions_api import Terminal, refusal, run, session

UNKNOWN = refusal("resource_not_found", "No session was found")


def gone(session_id: str) -> dict[str, object]:
    return session(id=session_id, status="revoked")


def sent(api) -> list[tuple[str, str]]:
    return [(request.method, request.path.removeprefix("/v1/sessions/")) for request in api.requests]


def test_revoke_shows_whose_session_it_is_and_acts_on_yes(api):
    api.will_answer(session(user_id="user_\x1b[2J1"))
    api.will_answer(gone("sess_1"))
    result = run("revoke", "sess_1", api=api, typed=Terminal(b"y\n"))
    assert result.exit_code == 0
    assert "user          user_\ufffd[2J1\n" in result.stderr
    assert "last active   2024-05-28 08:00:00Z\n" in result.stderr
    assert "Revoke this session? Its user must sign in again." in result.stderr
    assert "revoked" in result.stdout
    assert sent(api) == [("GET", "sess_1"), ("POST", "sess_1/revoke")]


@pytest.mark.parametrize("typed", [b"n\n", b"\n"])
def test_revoke_does_nothing_without_a_yes(api, typed):
    api.will_answer(session())
    result = run("revoke", "sess_1", api=api, typed=Terminal(typed))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("error: nothing was revoked\n")
    assert sent(api) == [("GET", "sess_1")]


def test_revoke_asks_once_about_several(api):
    for answer in (session(), session(id="sess_2"), gone("sess_1"), gone("sess_2")):
        api.will_answer(answer)
    result = run("revoke", "sess_1", "sess_2", "sess_1", api=api, typed=Terminal(b"y\n"))
    assert result.exit_code == 0
    assert "Revoke these 2 sessions? Their users must sign in again." in result.stderr
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [
        ["sess_1", "revoked"],
        ["sess_2", "revoked"],
    ]
    assert result.stderr.endswith("2 of 2 sessions revoked\n")


def test_revoke_asks_nobody_about_a_session_that_is_not_there(api):
    api.will_answer(UNKNOWN, 404)
    result = run("revoke", "sess_1", api=api, typed=Terminal(b"y\n"))
    assert result.exit_code == 1
    assert "Revoke" not in result.stderr
    assert sent(api) == [("GET", "sess_1")]


@pytest.mark.parametrize(("args", "typed"), [(["--yes"], Terminal()), ([], None)])
def test_revoke_does_not_ask_when_told_or_in_a_script(api, args, typed):
    api.will_answer(gone("sess_1"))
    result = run("revoke", "sess_1", *args, api=api, typed=typed)
    assert (result.exit_code, result.stderr) == (0, "")


def test_revoke_takes_identifiers_from_standard_input(api):
    api.will_answer(gone("sess_1"))
    api.will_answer(gone("sess_2"))
    result = run("revoke", "-", "--yes", "--json", api=api, typed="sess_1\n\nsess_2\n")
    assert [item["id"] for item in json.loads(result.stdout)["data"]] == ["sess_1", "sess_2"]
    assert sent(api) == [("POST", "sess_1/revoke"), ("POST", "sess_2/revoke")]


def test_revoke_goes_on_after_a_session_that_is_not_there(api):
    api.will_answer(UNKNOWN, 404)
    api.will_answer(gone("sess_2"))
    result = run("revoke", "sess_1", "sess_2", api=api)
    assert result.exit_code == 1
    assert "error: sess_1: HTTP 404 resource_not_found: No session was found\n" in result.stderr
    assert result.stderr.endswith("1 of 2 sessions revoked\n")
    assert "sess_2" in result.stdout


def test_revoke_stops_where_the_api_fails_and_says_what_was_not_tried(api):
    api.will_answer(gone("sess_1"))
    api.will_answer(refusal("too_many_requests", "Slow down"), 429)
    result = run("revoke", "sess_1", "sess_2", "sess_3", "sess_4", "--json", api=api)
    assert result.exit_code == 1
    assert [item["id"] for item in json.loads(result.stdout)["data"]] == ["sess_1"]
    told, summary = result.stderr.splitlines()
    assert json.loads(told)["session_id"] == "sess_2"
    assert summary == "1 of 4 sessions revoked; not tried: sess_3 sess_4"


def test_one_session_that_cannot_be_revoked_leaves_no_document(api):
    api.will_answer(UNKNOWN, 404)
    result = run("revoke", "sess_1", "--json", api=api)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "session_id" not in json.loads(result.stderr)


@pytest.mark.parametrize(
    ("args", "typed", "problem"),
    [
        (["-"], "sess_1\n", "add --yes"),
        (["-", "--yes"], "\n", "no identifier"),
        (["-", "--yes", "--secret-key-file", "-"], "sk_test_a\n", "both the secret key and the identifiers"),
        (["sess_1", "../users"], None, "path segment"),
        ([], None, "Missing argument"),
    ],
)
def test_nothing_is_revoked_unless_all_of_it_can_be(api, args, typed, problem):
    result = run("revoke", *args, api=api, typed=typed)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert api.requests == []
