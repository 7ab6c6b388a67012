"""``gateway authority keys …``: what it says, what it asks before it signs people out, and how it ends."""

import json
import time

import pytest

from gateway.authority import Authority, AuthorityConfig, Founding
from gateway.authority.signing.keyring import Category
from gateway.cli.main import run

ORIGIN = "http://127.0.0.1:8001"


@pytest.fixture
def db(tmp_path, founding) -> str:
    path = str(tmp_path / "authority.db")
    Authority.open(AuthorityConfig(origin=ORIGIN, database=path), founding=founding).close()
    return path


@pytest.fixture(scope="module")
def founding():
    return Founding.generate(AuthorityConfig(origin=ORIGIN), int(time.time() * 1000))


@pytest.fixture
def keys(db, capsys):
    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["authority", "keys", *arguments, "--db", db])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def listed(keys):
    def call(*arguments: str) -> dict[str, str]:
        return {key["kid"]: key["stage"] for key in json.loads(keys("list", "--json", *arguments)[1])["data"]}

    return call


def use(db: str) -> str:
    """Sign something that is good for an hour; returns the id of the key."""
    authority = Authority.open(AuthorityConfig(origin=ORIGIN, database=db))
    authority.realm.keys.sign({"exp": int(time.time()) + 3600}, Category.TEMPLATE)
    kid = authority.realm.keys.jwks()["keys"][0]["kid"]
    authority.close()
    return kid


def test_a_rotation_is_announced_and_a_second_one_refused(keys, listed):
    (first,) = listed()
    code, out, err = keys("rotate")
    second = next(kid for kid in listed() if kid != first)
    assert code == 0
    assert f"{second} signs from " in err
    assert "published" in out
    assert listed() == {first: "signing", second: "published"}
    code, out, err = keys("rotate")
    assert (code, out) == (1, "")
    assert f"error: {second} takes over at" in err


def test_a_generated_key_is_taken_by_the_rotation(keys, listed):
    code, out, err = keys("generate", "--json")
    new = json.loads(out)["data"][-1]
    assert (code, new["stage"], new["sign_at"]) == (0, "published", None)
    assert f"{new['kid']} is published" in err
    assert "signs from now on" in keys("rotate", "--sign-after", "0")[2]
    assert listed()[new["kid"]] == "signing"


def test_a_key_that_is_needed_is_kept_and_the_refusal_says_until_when(keys, listed, db):
    old = use(db)
    keys("rotate", "--sign-after", "0")
    code, out, err = keys("retire", old)
    assert (code, out) == (1, "")
    assert f"error: {old} is needed until " in err
    code, out, err = keys("retire")
    assert code == 0
    assert "no key can be retired yet" in err
    assert "until 2" in out
    assert keys("retire", old, "--force")[0] == 0
    assert old not in listed()
    assert listed("--all")[old] == "retired"
    assert "no longer" in keys("list", "--all")[1]


def test_a_key_that_signed_nothing_goes_without_force(keys, listed):
    (first,) = listed()
    keys("rotate", "--sign-after", "0")
    assert "no longer" in keys("list")[1]
    assert f"retired: {first}" in keys("retire")[2]
    assert first not in listed()


@pytest.fixture
def terminal(monkeypatch):
    """Standard input is a terminal on which somebody types this."""

    def at(answer: str) -> None:
        class Terminal:
            def isatty(self) -> bool:
                return True

            def readline(self, *_: object) -> str:
                return f"{answer}\n"

        monkeypatch.setattr("sys.stdin", Terminal())

    return at


def test_a_terminal_is_asked_before_somebody_is_signed_out(keys, listed, db, terminal):
    old = use(db)
    keys("rotate", "--sign-after", "0")
    terminal("n")
    code, _, err = keys("retire", old, "--force")
    assert code == 1
    assert "error: nothing was changed" in err
    assert f"{old} is needed until" in err
    assert "Sessions: 0. Go on?" in err
    assert listed()[old] == "retiring"
    assert keys("replace")[0] == 1
    assert old in listed()
    terminal("y")
    assert keys("replace")[0] == 0
    assert list(listed().values()) == ["signing"]
    assert "Go on?" not in keys("replace", "--yes")[2]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["retire", "--force"], 2, "--force needs a KID"),
        (["retire", "unknown"], 2, "KID = unknown\n  there is no key with that id"),
        (["rotate", "--sign-after", "-1"], 2, "--sign-after"),
    ],
)
def test_what_makes_no_sense_is_refused(keys, arguments, code, said):
    ended, out, err = keys(*arguments)
    assert (ended, out) == (code, "")
    assert said in err
