"""What is sent is what the official libraries accept: the published vector, standardwebhooks and @clerk/backend."""

import asyncio
import json
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gateway.authority.webhooks.endpoints import Endpoint, new_signing_secret
from gateway.authority.webhooks.sending import signed_headers
from gateway.core.secret import Secret
from tests.authority.webhooks.webhooks_kit import receiver
from tests.conformance import engines

VECTOR_SECRET = Secret("whsec_c2Vzc2lvbnMtcmVzZWFyY2gtdGVzdC1rZXktMDAwMDE=")
VECTOR_BODY = (
    '{"data":{"id":"sess_1","object":"session","status":"revoked"},"instance_id":"ins_1","object":"event",'
    '"timestamp":1716883200000,"type":"session.revoked"}'
)


def test_the_vector_is_signed_as_svix_signs_it():
    headers = signed_headers(VECTOR_SECRET, "msg_1", VECTOR_BODY, 1716883200)
    assert headers["svix-id"] == "msg_1"
    assert headers["svix-timestamp"] == "1716883200"
    assert headers["svix-signature"] == "v1,HgWFbON6jyMkAfcM3rKBA30ZugBQJCzMJhsJ18BTHxc="


@given(st.text(), st.integers(-250, 250))
def test_every_body_is_accepted_by_standardwebhooks_and_no_other_body(body, skew_s):
    body = json.dumps({"text": body})
    secret = new_signing_secret()
    headers = signed_headers(secret, "msg_1", body, int(time.time()) + skew_s)
    assert Webhook(secret.reveal()).verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.reveal()).verify(body + " ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_signing_secret().reveal()).verify(body, headers)


@pytest.fixture
def clock():
    return time.time


async def test_clerks_own_verification_accepts_what_arrives(world):
    if reason := engines.missing():
        pytest.skip(reason)
    realm = world.authority.realm
    async with receiver() as server:
        endpoint = Endpoint.new(server.url, realm.now_ms())
        realm.outbox.endpoints.add(endpoint)
        made = await world.create("Zoë")
        await world.api.post(f"/v1/sessions/{made['id']}/revoke")
        await world.authority.deliver_webhooks()
    arrived = [
        {"url": server.url, "headers": got.headers, "body": got.body, "secret": endpoint.secret.reveal()}
        for got in server.taken
    ]
    forged = [{**message, "body": message["body"].replace("Zo", "Za")} for message in arrived]
    modules = engines.HERE / "node_modules"
    script = str(engines.HERE.parent / "authority" / "webhooks" / "verify.mjs")
    lines = "".join(f"{json.dumps(message)}\n" for message in [*arrived, *forged])
    process = await asyncio.create_subprocess_exec(
        "node", script, str(modules), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(lines.encode()), 60)
    created, revoked, *refused = [json.loads(line) for line in said.decode().splitlines()]
    assert created["event"]["type"] == "session.created"
    assert created["event"]["data"]["user"]["first_name"] == "Zoë"
    assert created["event"]["event_attributes"]["http_request"]["client_ip"] == "127.0.0.1"
    assert (revoked["event"]["type"], revoked["event"]["data"]["id"]) == ("session.revoked", made["id"])
    assert all("No matching signature found" in answer["error"] for answer in refused)
