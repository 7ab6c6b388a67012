"""docs/sessions-api.md: its examples run, in order, against a running authority."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sessions import BlockingSessionsClient, SessionsClient
from tests.e2e.processes import Command, clean_environment

PAGE = (Path(__file__).parents[2] / "docs" / "sessions-api.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def described() -> Iterator[dict[str, object]]:
    with Command("authority", "--listen", "127.0.0.1:0", "--json") as authority:
        yield json.loads(authority.wait_for(r"^\{.*\}$")[0])


async def run(code: str, names: dict[str, object]) -> None:
    """Run an example that may await."""
    compiled = compile(code, "docs/sessions-api.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(compiled, names)
    if inspect.isawaitable(outcome):
        await outcome


@pytest.mark.e2e
async def test_the_asynchronous_examples_run(described, capsys):
    names = {
        "secret_key": described["secret_key"],
        "api_url": described["api_url"],
        "user_id": described["users"][0]["id"],
    }
    for code in (each for each in blocks("python") if "async with" in each):
        await run(code, names)
    told = capsys.readouterr().out
    assert "1 ['sess_" in told
    assert "Token()" in told
    assert "404 resource_not_found" in told
    assert str(described["secret_key"]) not in told


@pytest.mark.e2e
def test_the_blocking_example_runs(described, capsys):
    (code,) = (each for each in blocks("python") if "BlockingSessionsClient" in each)
    names = {
        "secret_key": described["secret_key"],
        "api_url": described["api_url"],
        "user_id": described["users"][1]["id"],
    }
    exec(compile(code, "docs/sessions-api.md", "exec"), names)
    assert capsys.readouterr().out == "revoked\n"


@pytest.mark.e2e
def test_the_commands_tell_one_story(described, tmp_path):
    (script,) = blocks("sh")
    with BlockingSessionsClient(described["secret_key"], api_url=described["api_url"]) as sessions:
        user_id = described["users"][2]["id"]
        made = sessions.create(user_id)
        environment = clean_environment(
            CLERK_SECRET_KEY=described["secret_key"],
            CLERK_API_URL=described["api_url"],
            USER_ID=user_id,
            SESSION_ID=made.id,
            TEMPLATE=described["jwt_templates"][0],
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        )
        done = subprocess.run(
            ["sh", "-euc", script], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        assert sessions.get(made.id).status == "revoked"
        assert [each.status for each in sessions.iterate(user_id=user_id)].count("active") == 1
    listed = json.loads((tmp_path / "sessions.json").read_text())
    assert (listed["total_count"], len(listed["data"])) == (2, 2)
    assert "2 of 2 sessions" in done.stderr
    assert described["secret_key"] not in done.stdout + done.stderr


def test_the_page_names_every_method():
    table = PAGE.partition("| operation |")[2].partition("\n\n")[0]
    methods = {name for name in vars(SessionsClient) if not name.startswith("_")} - {"aclose"}
    assert set(re.findall(r"`(\w+)\(", table)) == methods
