"""What holds a secret does not show it, whoever prints or logs it."""

import pytest
from starlette.requests import Request

from gateway.authenticator.refusals import Asker
from gateway.authority import AuthorityConfig, Founding
from gateway.authority.backend.refresh import RefreshOrder
from gateway.authority.control.answers import Answer
from gateway.authority.frontend.visitor import Visitor
from gateway.authority.lifecycle import SignedIn
from gateway.authority.models import Client
from gateway.authority.operations import Call
from gateway.authority.signing.template_form import parse_template
from gateway.authority.store.seed import Seed
from gateway.authority.versions import LATEST
from gateway.authority.webhooks.endpoints import Endpoint
from gateway.authority.webhooks.events import Cause
from gateway.core.secret import Secret

SECRET = "sTaPlEr" * 6
REQUEST = Request({"type": "http", "method": "POST", "path": "/", "headers": [(b"authorization", SECRET.encode())]})
OWN_KEY = {"custom_signing_key": True, "signing_algorithm": "HS256", "signing_key": SECRET}


@pytest.mark.parametrize(
    "holder",
    [
        Asker("sess_1", SECRET, ""),
        RefreshOrder(
            session_id="sess_1", expired_token=SECRET, refresh_token=SECRET, request_origin="http://a.test",
            as_cookies=True, suffixed=True, version=LATEST, cause=Cause("", ""),
        ),
        Answer(200, [(b"set-cookie", SECRET.encode())], SECRET.encode()),
        Visitor(None, SECRET, by_cookie=False),
        SignedIn(Client(id="client_1", created_at_ms=1, updated_at_ms=1), SECRET, None),
        Call(request=REQUEST, version=LATEST, query={"nonce": SECRET}, body={"token": SECRET}),
        Seed(passwords={"user_1": SECRET}),
        parse_template({"name": "own", "claims": {}, **OWN_KEY}, 1),
        Endpoint.new("http://a.test/", 1, Secret(SECRET)),
        AuthorityConfig(origin="http://127.0.0.1:8001", secret_key=Secret(f"sk_test_{SECRET}")),
        Founding("ins_1", Secret(SECRET), Secret(SECRET), Seed(passwords={"user_1": SECRET}), 1),
    ],
    ids=lambda holder: type(holder).__name__,
)  # fmt: skip
def test_its_text_does_not_hold_the_secret(holder):
    assert SECRET[:14] not in repr(holder)
    assert SECRET[:14] not in f"{holder}"
