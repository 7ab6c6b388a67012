"""``--seed``: of ``gateway authority`` and of ``gateway dev``."""

import json
import signal
from pathlib import Path

import pytest

from gateway.cli.main import run
from gateway.cli.serving import reserve
from gateway.core.settings_model import Address
from tests.e2e.processes import Command

PEOPLE = """
[[users]]
first_name = "Milton"
email_address = "milton@initech.test"
"""
WRONG = """
[[users]]
email_adress = "milton@initech.test"
"""


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLERK_SECRET_KEY", "CLERK_PUBLISHABLE_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.e2e
def test_a_new_authority_has_the_people_of_the_file_and_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "people.toml").write_text(PEOPLE)
    started = ("authority", "--listen", "127.0.0.1:0", "--json", "--seed", "people.toml")
    with Command(*started, cwd=tmp_path) as authority:
        described = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        assert [user["email_address"] for user in described["users"]] == ["milton@initech.test"]
        assert described["jwt_templates"] == []
        authority.signal(signal.SIGTERM)
        assert authority.wait() == 0


def test_a_file_that_cannot_be_used_is_exit_code_2_with_every_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "people.toml"
    path.write_text(WRONG)
    port = str(reserve(Address("127.0.0.1", 0)).port)
    for command in (["authority", "--listen", "127.0.0.1:0"], ["dev", "--port", port]):
        assert run([*command, "--seed", str(path)]) == 2
        err = capsys.readouterr().err
        assert "users[1].email_address" in err
        assert 'did you mean "email_address"?' in err
    assert run(["authority", "--listen", "127.0.0.1:0", "--seed", str(tmp_path / "none.toml")]) == 2
    assert "--seed = " in capsys.readouterr().err
