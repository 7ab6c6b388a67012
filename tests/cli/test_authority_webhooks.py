"""``gateway authority webhooks …`` on the file of an authority, and ``--webhook`` of ``gateway authority``."""

import json
import time

import pytest

from gateway.authority import Authority, AuthorityConfig
from gateway.authority.webhooks.endpoints import new_signing_secret
from gateway.cli.authority_description import describe_for_people
from gateway.cli.authority_webhook_secrets import add_webhooks, webhooks_of
from gateway.cli.main import run
from gateway.core.instance import InstanceKind

URL = "http://127.0.0.1:3000/api/webhooks"


@pytest.fixture
def db(tmp_path):
    path = str(tmp_path / "authority.db")
    Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001", database=path)).close()
    return path


@pytest.fixture
def webhooks(db, capsys):
    """Run one of the commands on the file."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["authority", "webhooks", *arguments, "--db", db])
        return code, *capsys.readouterr()

    return call


def with_messages(db: str, count: int = 2) -> list[str]:
    """Record sessions that begin, and return the ids of the messages, the newest first."""
    authority = Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001", database=db))
    realm = authority.realm
    endpoints = realm.outbox.endpoints.all()
    for number in range(count):
        realm.outbox.record("session.created", f"sess_{number}", '{"a":1}', endpoints, int(time.time() * 1000))
    rows = realm.database.rows("SELECT id FROM webhook_messages ORDER BY seq DESC")
    authority.close()
    return [row["id"] for row in rows]


def test_an_endpoint_is_added_listed_shown_and_removed(webhooks):
    code, out, _ = webhooks("add", URL, "--event", "session.revoked", "--event", "session.ended")
    assert code == 0
    endpoint_id, line = out.splitlines()
    secret = line.removeprefix("CLERK_WEBHOOK_SIGNING_SECRET=")
    assert (endpoint_id[:3], secret[:6]) == ("ep_", "whsec_")
    code, out, _ = webhooks("list")
    assert code == 0
    assert all(text in out for text in (endpoint_id, URL, "session.ended, session.revoked", "enabled"))
    assert secret not in out
    (shown,) = json.loads(webhooks("list", "--json")[1])["data"]
    assert shown["events"] == ["session.ended", "session.revoked"]
    assert shown["deliveries"] == {"waiting": 0, "delivered": 0, "failed": 0}
    assert webhooks("secret", URL)[1] == f"{secret}\n"
    assert webhooks("remove", endpoint_id, "--yes")[::2] == (0, f"{endpoint_id} is removed\n")
    assert json.loads(webhooks("list", "--json")[1]) == {"data": []}


def test_a_given_secret_comes_from_a_file(webhooks, tmp_path):
    secret, file = new_signing_secret().reveal(), tmp_path / "secret"
    file.write_text(f"{secret}\n")
    code, out, _ = webhooks("add", URL, "--secret-file", str(file), "--json")
    assert (code, json.loads(out)["signing_secret"]) == (0, secret)


def test_what_cannot_be_added_is_exit_code_2_and_says_why(webhooks, tmp_path):
    binary, wrong = tmp_path / "binary", tmp_path / "wrong"
    binary.write_bytes(b"\xff\xfe")
    wrong.write_text("whsec_no")
    webhooks("add", URL)
    for arguments, said in (
        (("add", URL), "there is an endpoint with this URL"),
        (("add", "ftp://example.com"), "it is no http or https URL"),
        (("add", "http://127.0.0.1:4/", "--event", "user.created"), "user.created"),
        (("add", "http://127.0.0.1:4/", "--secret-file", str(tmp_path / "none")), "it cannot be read"),
        (("add", "http://127.0.0.1:4/", "--secret-file", str(binary)), "it is no text"),
        (("add", "http://127.0.0.1:4/", "--secret-file", str(wrong)), "it is not whsec_"),
        (("secret", "ep_unknown"), "there is no such endpoint"),
        (("replay",), "name a MESSAGE_ID, or give --failed"),
        (("replay", "msg_1", "--failed"), "name a MESSAGE_ID, or give --failed"),
    ):
        code, out, err = webhooks(*arguments)
        assert (code, out) == (2, ""), arguments
        assert said in err


def test_messages_are_listed_and_replayed(webhooks, db):
    endpoint_id = webhooks("add", URL)[1].splitlines()[0]
    newest, oldest = with_messages(db)
    shown = json.loads(webhooks("messages", "--json")[1])["data"]
    assert [(each["id"], each["state"], each["event"]) for each in shown] == [
        (newest, "waiting", {"a": 1}),
        (oldest, "waiting", {"a": 1}),
    ]
    assert webhooks("disable", endpoint_id)[0] == 0
    code, out, _ = webhooks("messages", "--state", "failed", "--endpoint", URL, "--limit", "1")
    assert code == 0
    assert newest in out
    assert oldest not in out
    assert "the endpoint was disabled" in out
    code, _, err = webhooks("replay", oldest)
    assert (code, "its endpoint is disabled" in err) == (1, True)
    assert webhooks("enable", endpoint_id)[0] == 0
    assert webhooks("replay", oldest)[::2] == (0, "1 to be sent again\n")
    assert webhooks("replay", "--failed", "--endpoint", endpoint_id)[::2] == (0, "1 to be sent again\n")
    assert webhooks("replay", "--failed")[::2] == (0, "0 to be sent again\n")
    assert webhooks("replay", "msg_unknown")[0] == 1


ORIGIN = "http://127.0.0.1:8001"


def test_without_a_file_both_processes_sign_with_the_secret_that_is_printed():
    wanted = webhooks_of((URL,), None, AuthorityConfig(origin=ORIGIN))
    told = []
    for _ in range(2):
        authority = Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001"))
        told.append(add_webhooks(authority, wanted))
        authority.close()
    assert told[0] == told[1]
    text = describe_for_people(authority_description(told[0]), InstanceKind.DEVELOPMENT)
    assert f"CLERK_WEBHOOK_SIGNING_SECRET={wanted[URL].reveal()}    # signs events for {URL}" in text


def authority_description(more: dict[str, object]) -> dict[str, object]:
    authority = Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001"))
    description = authority.describe() | more
    authority.close()
    return description


def test_a_file_keeps_the_secret_unless_one_is_given(db, tmp_path):
    file = tmp_path / "secret"
    file.write_text(new_signing_secret().reveal())
    told = []
    config = AuthorityConfig(origin=ORIGIN, database=db)
    for secret_file in (None, None, str(file)):
        authority = Authority.open(config)
        told.append(add_webhooks(authority, webhooks_of((URL,), secret_file, config)))
        authority.close()
    assert told[0] == told[1] != told[2]
    assert told[2] == {"webhooks": [{"url": URL, "signing_secret": file.read_text()}]}


def test_what_webhooks_of_serving_cannot_use_is_exit_code_2(capsys, tmp_path):
    for arguments, said in (
        (("--webhook", "https://ada:secret@example.com/"), "--webhook"),
        (("--instance", "production", "--sign-in-check", "password", "--webhook", "http://example.com/"), "use https"),
        (("--webhook-secret-file", str(tmp_path / "none")), "there is no --webhook to sign for"),
        (("--webhook", URL, "--webhook-secret-file", str(tmp_path / "none")), "it cannot be read"),
    ):
        assert run(["authority", "--listen", "127.0.0.1:0", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert said in err
        assert "secret@" not in err
