"""``gateway authority users|organizations|roles``: on the file of an authority, while it runs or not."""

import json

import pytest

from gateway.authority import Authority, AuthorityConfig, lifecycle
from gateway.authority.store.passwords import is_password
from gateway.cli.main import run
from gateway.core.secret import Secret


@pytest.fixture
def authority(tmp_path):
    """Open all the time, as one that serves."""
    opened = Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001", database=str(tmp_path / "authority.db")))
    yield opened
    opened.close()


@pytest.fixture
def call(authority, capsys):
    def invoke(*arguments: str, code: int = 0) -> tuple[str, str]:
        got = run(["authority", *arguments, "--db", authority.realm.config.database])
        out, err = capsys.readouterr()
        assert got == code, err
        return out, err

    return invoke


def test_users_are_listed_and_searched(call):
    out, err = call("users", "list")
    assert "Ada Lovelace" in out
    assert "acme (org:admin), globex (org:member)" in out
    assert "4 of 4 users" in err
    found = json.loads(call("users", "list", "--query", "HOPPER", "--json")[0])
    assert (found["total_count"], found["data"][0]["email_address"]) == (1, "grace@example.com")
    assert found["data"][0]["has_password"] is False
    assert json.loads(call("users", "list", "--limit", "1", "--offset", "1", "--json")[0])["data"] == found["data"]


def test_a_user_is_added_with_a_password_and_the_authority_knows_it_at_once(call, authority, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("correct horse battery\n")
    arguments = ("--first-name", "Radia", "--plan", "pro", "--feature", "trees", "--password-file", str(secret))
    out, err = call("users", "add", "radia@example.com", *arguments)
    user = authority.realm.directory.user(out.strip())
    assert user is not None
    assert (user.first_name, user.plan, user.features) == ("Radia", "pro", ("trees",))
    kept = authority.realm.passwords.of(user.id)
    assert kept is not None
    assert is_password(Secret("correct horse battery"), kept)
    assert "correct horse" not in out + err
    secret.write_text("another good one")
    call("users", "set-password", "RADIA@example.com", "--password-file", str(secret))
    assert authority.realm.passwords.of(user.id) != kept
    shown = json.loads(call("users", "add", "barbara@example.com", "--json")[0])
    assert (shown["has_password"], shown["organizations"]) == (False, [])


def test_a_removed_user_is_gone_and_so_are_the_sessions(call, authority):
    ada = authority.realm.directory.users()[0]
    client, _ = authority.realm.ledger.add_client(authority.realm.now_ms())
    session = lifecycle.start_session(authority.realm, ada.id, "", client)
    _, err = call("users", "remove", "ada@example.com", "--yes")
    assert "1 sessions ended" in err
    now = authority.realm.ledger.session(session.id, authority.realm.now_ms())
    assert now is not None
    assert now.status == "removed"
    assert authority.realm.directory.user(ada.id) is None


def test_organizations_and_members_come_and_go(call, authority):
    made = call("organizations", "add", "Initech", "--slug", "initech", "--plan", "pro", "--feature", "pages")[
        0
    ].strip()
    call("roles", "add", "org:editor", "--permission", "org:pages:write")
    assert "org:pages:write" in call("roles", "list")[0]
    assert json.loads(call("roles", "list", "--json")[0])["data"][-1] == {
        "key": "org:editor", "name": "Editor", "permissions": ["org:pages:write"],
    }  # fmt: skip
    call("organizations", "add-member", "initech", "alan@example.com", "--role", "org:member")
    call("organizations", "add-member", made, "alan@example.com", "--role", "org:editor")
    assert "org:editor" in call("organizations", "members", "initech")[0]
    (member,) = json.loads(call("organizations", "members", "initech", "--json")[0])["data"]
    assert (member["email_address"], member["role"]) == ("alan@example.com", "org:editor")
    assert "initech" in call("organizations", "list")[0]
    listed = json.loads(call("organizations", "list", "--json")[0])["data"]
    assert [(each["slug"], each["members"]) for each in listed] == [("acme", 2), ("globex", 2), ("initech", 1)]
    call("organizations", "remove-member", "initech", "alan@example.com")
    assert json.loads(call("organizations", "members", made, "--json")[0]) == {"data": []}
    assert json.loads(call("organizations", "add", "B", "--slug", "b", "--json")[0])["slug"] == "b"
    call("organizations", "remove", "initech", "--yes")
    assert authority.realm.directory.organization(made) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("users", "add", "ADA@example.com"), "a user has it already"),
        (("users", "add", "ada"), "it is not an email address"),
        (("users", "add", "x@example.com", "--password-file", "/nonexistent"), "--password-file = /nonexistent"),
        (("users", "add", "x@example.com", "--with-password"), "--password-file is missing"),
        (("users", "remove", "user_none"), "there is no such user"),
        (("users", "remove", "none@example.com"), "there is no such user"),
        (("organizations", "add", "Acme", "--slug", "acme"), "an organization has it already"),
        (("organizations", "add", "Acme", "--slug", "A c"), "it is not a slug"),
        (("organizations", "remove", "none"), "there is no such organization"),
        (("organizations", "add-member", "acme", "alan@example.com", "--role", "org:none"), "org:admin, org:member"),
        (("organizations", "remove-member", "acme", "alan@example.com"), "the user is not a member of acme"),
        (("roles", "add", "admin"), "it is not the key of a role"),
        (("roles", "add", "org:admin"), "there is such a role already"),
        (("roles", "add", "org:editor", "--permission", "articles"), "--permission = articles\n  it is no permission"),
    ],
)
def test_what_cannot_be_done_is_exit_code_2_and_changes_nothing(call, authority, arguments, said):
    before = authority.describe()
    _, err = call(*arguments, code=2)
    assert said in err
    assert authority.describe() == before


def test_a_password_that_is_too_short_is_not_taken_and_not_shown(call, authority, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("short1\n")
    _, err = call("users", "add", "x@example.com", "--password-file", str(secret), code=2)
    assert "8 to 1024 characters, not 6" in err
    assert "short1" not in err
    secret.write_bytes(b"\xff" * 9)
    assert "not UTF-8" in call("users", "add", "x@example.com", "--password-file", str(secret), code=2)[1]


def test_what_stands_on_the_command_line_is_not_called_configuration(call):
    _, err = call("users", "add", "ada", code=2)
    assert err == "EMAIL_ADDRESS = ada\n  it is not an email address\n  fix: write one like ada@example.com\n"


def test_users_beyond_the_page_are_told_how_to_be_seen(call):
    assert "2 of 4 users; more with --offset 3" in call("users", "list", "--limit", "2", "--offset", "1")[1]
    assert call("users", "list", "--offset", "3")[1] == "1 of 4 users\n"
