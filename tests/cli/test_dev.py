"""What ``gateway dev`` makes of its options, without starting servers."""

import pytest
from click.testing import CliRunner

from gateway.cli.dev import command, judged_upstream
from gateway.errors import ConfigurationError


@pytest.mark.parametrize("upstream", ["localhost:3000", "http://127.0.0.1:3000/app", "ftp://127.0.0.1", "nothing"])
def test_an_upstream_that_cannot_be_forwarded_to_is_a_fault_with_a_fix(upstream: str) -> None:
    result = CliRunner().invoke(command, ["--upstream", upstream])
    assert isinstance(result.exception, ConfigurationError)
    (fault,) = result.exception.faults
    assert (fault.setting, fault.seen) == ("--upstream", f'"{upstream}"')
    assert fault.problem
    assert "http://" in fault.fix


def test_an_upstream_loses_its_trailing_slash_and_none_means_the_demo() -> None:
    assert judged_upstream("http://127.0.0.1:3000/") == "http://127.0.0.1:3000"
    assert judged_upstream(None) is None
