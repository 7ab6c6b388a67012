"""What an authority refuses and warns of before it listens: keys of others, public names, an open sign-in."""

import pytest

from gateway.cli.authority_start import ANYBODY, is_loopback, judge_keys, judge_origin, warn_anybody
from gateway.core.secret import Secret
from gateway.errors import ConfigurationError

OWN_SECRET, OWN_PUBLISHABLE = "sk_test_own_own_own", "pk_test_own_own_own"
LIVE, TEST = "donotshowmelive", "donotshowmetest"


def judge(**environment: str) -> None:
    judge_keys(environment, Secret(OWN_SECRET), OWN_PUBLISHABLE)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CLERK_SECRET_KEY", "sk"),
        ("CLERK_PUBLISHABLE_KEY", "pk"),
        ("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "pk"),
        ("VITE_CLERK_PUBLISHABLE_KEY", "pk"),
        ("GATEWAY_INSTANCE_SECRET_KEY", "sk"),
        ("GATEWAY_INSTANCE_PUBLISHABLE_KEY", "pk"),
    ],
)
def test_live_keys_of_others_are_refused_and_test_keys_warned_of_wherever_they_are_exported(name, kind, capsys):
    with pytest.raises(ConfigurationError) as refused:
        judge(**{name: f" {kind}_live_{LIVE} "})
    (fault,) = refused.value.faults
    assert (fault.setting, fault.seen) == (name, f"{kind}_live_…")
    assert f"unset {name}" in fault.fix
    judge(**{name: f"{kind}_test_{TEST}"})
    warned = capsys.readouterr().err
    assert warned.startswith(f"warning: {name} = {kind}_test_…\n")
    assert "asks that one, not this authority" in warned
    for secret in (LIVE, TEST):
        assert secret not in str(refused.value) + warned


def test_every_live_key_is_named_at_once():
    with pytest.raises(ConfigurationError) as refused:
        judge(CLERK_SECRET_KEY=f"sk_live_{LIVE}", CLERK_PUBLISHABLE_KEY=f"pk_live_{LIVE}")
    assert [fault.setting for fault in refused.value.faults] == ["CLERK_PUBLISHABLE_KEY", "CLERK_SECRET_KEY"]


def test_a_file_with_a_live_key_is_as_good_as_the_key(tmp_path):
    file = tmp_path / "key"
    file.write_text(f"sk_live_{LIVE}\n")
    with pytest.raises(ConfigurationError, match="CLERK_SECRET_KEY_FILE"):
        judge(CLERK_SECRET_KEY_FILE=str(file))


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"CLERK_SECRET_KEY": OWN_SECRET, "CLERK_PUBLISHABLE_KEY": OWN_PUBLISHABLE},
        {"CLERK_SECRET_KEY": ""},
        {"CLERK_SECRET_KEY": "something else"},
        {"CLERK_API_URL": "https://api.clerk.com"},
        {"CLERK_SECRET_KEY_FILE": "/nonexistent/key"},
        {"STRIPE_SECRET_KEY": f"sk_live_{LIVE}"},
    ],
)
def test_own_keys_and_those_of_other_services_are_nobodys_matter(environment, capsys):
    judge(**environment)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "origin",
    [None, "http://127.0.0.1:8001", "http://localhost:8001", "http://accounts.localhost:8001", "http://[::1]:8001"],
)
def test_an_origin_of_this_machine_is_fine(origin):
    judge_origin(origin, is_remote_allowed=False, has_check=False)


@pytest.mark.parametrize(
    "origin", ["https://auth.example.com", "http://192.0.2.1:8001", "http://localhost.example.com"]
)
def test_an_open_sign_in_has_no_public_name_unless_that_is_allowed(origin):
    with pytest.raises(ConfigurationError) as refused:
        judge_origin(origin, is_remote_allowed=False, has_check=False)
    (fault,) = refused.value.faults
    assert (fault.setting, fault.seen) == ("--origin", origin)
    assert ANYBODY in fault.problem
    assert "--allow-remote" in fault.fix
    judge_origin(origin, is_remote_allowed=True, has_check=False)
    judge_origin(origin, is_remote_allowed=False, has_check=True)


def test_the_warning_takes_several_lines_and_says_who_can_reach_it(capsys):
    warn_anybody("http://127.0.0.1:8001/sign-in")
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == f"warning: {ANYBODY}"
    assert len(lines) == 3
    assert all(line.startswith("  ! ") for line in lines)
    assert "http://127.0.0.1:8001/sign-in" in lines[0]
    warn_anybody("http://192.0.2.1:8001/sign-in", remote="0.0.0.0:8001")
    assert "Other machines reach it at 0.0.0.0:8001" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback_is_what_only_this_machine_reaches(host, expected):
    assert is_loopback(host) is expected
