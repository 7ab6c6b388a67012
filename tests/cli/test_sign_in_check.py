"""``--sign-in-check``: what can be named, and what is said of the rest."""

import sys

import pytest

from gateway.cli.main import run
from gateway.cli.sign_in_check import load_check
from gateway.errors import ConfigurationError

MODULE = """
class Check:
    async def __call__(self, credentials):
        return None

    async def method(self, credentials):
        return None

async def check(credentials):
    return None

async def two(credentials, more):
    return None

def plain(credentials):
    return None

value = 3
instance = Check()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own_sign_in.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "own_sign_in"
    sys.modules.pop("own_sign_in", None)


def test_nothing_and_the_built_in_check_are_taken_as_they_are():
    assert (load_check(None), load_check("password")) == (None, "password")


@pytest.mark.parametrize("name", ["check", "instance", "instance.method"])
def test_an_async_function_is_a_check(module, name):
    assert callable(load_check(f"{module}:{name}"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("two", "not an async function of one argument"),
        ("plain", "not an async function of one argument"),
        ("value", "not an async function of one argument"),
        ("Check", "not an async function of one argument"),
        ("none", "cannot be loaded"),
        ("", "names no check"),
    ],
)
def test_anything_else_is_refused_by_name(module, name, said):
    with pytest.raises(ConfigurationError) as error:
        load_check(f"{module}:{name}")
    (fault,) = error.value.faults
    assert (fault.setting, fault.seen) == ("--sign-in-check", f"{module}:{name}")
    assert said in fault.problem


@pytest.mark.parametrize("name", ["passwords", "no.such.module:check", ":check"])
def test_names_of_no_module_are_refused(module, name):
    with pytest.raises(ConfigurationError):
        load_check(name)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--instance", "production"], "--sign-in-check = none: a production instance cannot let anybody be anybody"),
        (["--sign-in-check", "nothing"], "--sign-in-check = nothing"),
        (["--allow-origin", "https://app.example/path"], "--allow-origin = https://app.example/path"),
        (["--trust-proxy", "proxy"], "--trust-proxy = proxy"),
        (["--listen", "0.0.0.0:0", "--sign-in-check", "password"], "it speaks http without encryption"),
    ],
)
def test_options_of_the_sign_in_that_cannot_be_used_are_exit_code_2(capsys, monkeypatch, arguments, said):
    monkeypatch.delenv("CLERK_SECRET_KEY", raising=False)
    monkeypatch.delenv("CLERK_PUBLISHABLE_KEY", raising=False)
    listen = [] if "--listen" in arguments else ["--listen", "127.0.0.1:0"]
    assert run(["authority", *listen, *arguments]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert said.split(":")[0] in err
    assert said.partition(": ")[2] in err
