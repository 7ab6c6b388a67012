"""The command line: help, exit codes, and no traceback for what is known to fail."""

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import gateway
from gateway.cli.exit_codes import MEANINGS, ExitCode
from gateway.cli.groups import Group
from gateway.cli.main import SUBCOMMANDS, command, run
from gateway.errors import ApiUnreachable, ConfigurationError, Fault, GatewayError


def ending(error: BaseException | None = None, result: object = None) -> int:
    """Run a subcommand that ends like this."""

    @click.command("check")
    def ends() -> object:
        if error:
            raise error
        return result

    group = click.Group("gateway", commands=[ends])
    return run(["check"], group)


def test_help_groups_the_commands_with_an_example_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == ExitCode.OK
    shown = capsys.readouterr().out
    for text in (*SUBCOMMANDS, "Try it:", "Run it:", "Operate it:", "gateway dev", "Exit codes:", *MEANINGS.values()):
        assert text in shown


def test_help_imports_no_subcommand_and_no_server() -> None:
    script = (
        "import sys; from gateway.cli.main import run; run(['--help'])\n"
        "print(sorted(set(sys.modules) & {'uvloop', 'rich', 'httpx', 'gateway.cli.serve', 'gateway.core.settings'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("authority", {"uvloop", "gateway.authority", "cryptography", "rich", "httpx", "starlette"}),
        ("authority_keys", {"uvloop", "gateway.authority.app", "httpx", "jinja2"}),
        ("sessions", {"uvloop", "gateway.authority", "cryptography", "jwt"}),
    ],
)
def test_a_command_imports_only_what_it_needs(module: str, absent: set[str]) -> None:
    script = f"import sys, gateway.cli.{module}; print(sorted(set(sys.modules) & {absent!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == ExitCode.OK
    assert gateway.__version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["chekc"], "check"),
        (["sessions", "lst"], "list"),
        (["authority", "usrs"], "users"),
        (["authority", "organizations", "ad"], "add"),
        (["authority", "roles", "lits"], "list"),
        (["authority", "keys", "rotat"], "rotate"),
        (["authority", "users", "remov"], "remove"),
        (["authority", "webhooks", "lst"], "list"),
    ],
)
def test_an_unknown_command_of_every_group_names_the_nearest(
    capsys: pytest.CaptureFixture[str], arguments: list[str], near: str
) -> None:
    assert run(arguments) == ExitCode.CONFIGURATION
    assert f"Did you mean '{near}'?" in capsys.readouterr().err


@pytest.mark.parametrize("group", [[], ["sessions"], ["authority"], ["authority", "keys"]])
def test_a_command_that_is_like_no_other_is_named(capsys: pytest.CaptureFixture[str], group: list[str]) -> None:
    assert run([*group, "zzz"]) == ExitCode.CONFIGURATION
    assert "No such command 'zzz'" in capsys.readouterr().err


def groups_below(group: click.Group) -> Iterator[click.Group]:
    yield group
    context = click.Context(group)
    for found in (group.get_command(context, name) for name in group.list_commands(context)):
        if isinstance(found, click.Group):
            yield from groups_below(found)


def test_every_group_suggests() -> None:
    found = list(groups_below(command))
    assert len(found) == 8
    assert all(isinstance(group, Group) for group in found)


@pytest.mark.parametrize("name", command.list_commands(click.Context(command)))
def test_each_subcommand_is_found_in_its_module(name: str) -> None:
    found = command.get_command(click.Context(command), name)
    assert isinstance(found, click.Command)
    assert found.name == name


@pytest.mark.parametrize(("result", "code"), [(None, 0), (3, 3), (ExitCode.FAILED, 1), ("text", 0)])
def test_a_subcommand_returns_its_exit_code(result: object, code: int) -> None:
    assert ending(result=result) == code


class RefusedPortError(GatewayError):
    exit_code = ExitCode.CANNOT_LISTEN


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (GatewayError("it broke"), 1, "error: it broke"),
        (RefusedPortError("in use"), 3, "error: in use"),
        (ApiUnreachable("dns", "no such host"), 4, "error: dns: no such host"),
        (OSError(errno.ENOENT, "No such file", "a.db"), 1, "error: a.db: No such file"),
        (OSError("odd"), 1, "error: odd"),
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
        (click.UsageError("wrong"), 2, "wrong"),
    ],
)
def test_known_failures_end_in_a_line_and_a_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(error) == code
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


def test_faults_are_listed_with_key_value_problem_and_fix(capsys: pytest.CaptureFixture[str]) -> None:
    faults = [
        Fault("server.workers", "0", "too few", "write [red]1[/red]"),
        Fault("a\x1b[31mb", "", "unknown", "drop it"),
    ]
    assert ending(ConfigurationError(faults)) == ExitCode.CONFIGURATION
    shown = capsys.readouterr().err
    assert "server.workers = 0\n  too few\n  fix: write [red]1[/red]\n" in shown
    assert "a�[31mb\n  unknown\n" in shown
    assert "2 faults" in shown
    assert ending(ConfigurationError(faults[:1])) == ExitCode.CONFIGURATION
    assert "1 fault in" in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m gateway --help | true",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    script = (
        "import errno; from gateway.cli.main import run\nimport click\n"
        "def end(): raise BrokenPipeError(errno.EPIPE, 'Broken pipe')\n"
        "raise SystemExit(run(['x'], click.Group('g', commands=[click.Command('x', callback=end)])))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (ExitCode.FAILED, "")


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--version"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0
    assert done.stdout == f"gateway, version {gateway.__version__}\n"


def test_without_the_extra_the_command_says_what_to_install() -> None:
    script = "import sys; sys.modules['click'] = None\nfrom gateway.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == ExitCode.FAILED
    assert "session-gateway[serve]" in done.stderr
    assert "Traceback" not in done.stderr
