"""What ``gateway dev`` makes of its options, without starting servers."""

import pytest
from click.testing import CliRunner

from gateway.cli.dev import command, judged_upstream
from gateway.cli.main import run
from gateway.cli.serving import reserve
from gateway.core.settings_model import Address
from gateway.errors import ConfigurationError


@pytest.mark.parametrize("upstream", ["localhost:3000", "http://127.0.0.1:3000/app", "ftp://127.0.0.1", "nothing"])
def test_an_upstream_that_cannot_be_forwarded_to_is_a_fault_with_a_fix(upstream: str) -> None:
    result = CliRunner().invoke(command, ["--upstream", upstream])
    assert isinstance(result.exception, ConfigurationError)
    (fault,) = result.exception.faults
    assert (fault.setting, fault.seen) == ("--upstream", f'"{upstream}"')
    assert fault.problem
    assert "http://" in fault.fix


def test_a_live_key_of_another_instance_is_refused_and_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLERK_SECRET_KEY", "sk_live_donotshowme")
    assert run(["dev", "--port", str(reserve(Address("127.0.0.1", 0)).port)]) == 2
    out, err = capsys.readouterr()
    assert "CLERK_SECRET_KEY = sk_live_…" in err
    assert "donotshowme" not in out + err


def test_the_control_port_of_dev_is_of_this_machine_too(capsys: pytest.CaptureFixture[str]) -> None:
    port = reserve(Address("127.0.0.1", 0)).port
    assert run(["dev", "--port", str(port), "--control", "0.0.0.0:0"]) == 2
    assert run(["dev", "--port", str(port), "--control", f"127.0.0.1:{port}"]) == 2
    err = capsys.readouterr().err
    assert "other machines could reach it" in err
    assert "this command listens there already" in err


def test_an_upstream_loses_its_trailing_slash_and_none_means_the_demo() -> None:
    assert judged_upstream("http://127.0.0.1:3000/") == "http://127.0.0.1:3000"
    assert judged_upstream(None) is None
