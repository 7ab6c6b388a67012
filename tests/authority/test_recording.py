"""Which changes of a session are told, with what in it, and that change and event happen together or not at all."""

import json

import pytest

from gateway.authority import AuthorityConfig, lifecycle
from gateway.authority.errors import Refusal
from gateway.authority.webhooks.endpoints import Endpoint
from gateway.authority.webhooks.events import EventType
from gateway.core.session_status import SessionStatus
from tests.authority.conftest import ORIGIN

RECEIVER = "http://127.0.0.1:3000/webhooks"

# every key of the user in the official example of a session event
USER_KEYS = (
    "object id external_id primary_email_address_id primary_phone_number_id primary_web3_wallet_id username first_name"
    " last_name profile_image_url image_url has_image public_metadata private_metadata unsafe_metadata email_addresses"
    " phone_numbers web3_wallets passkeys password_enabled two_factor_enabled totp_enabled backup_code_enabled"
    " mfa_enabled_at mfa_disabled_at external_accounts saml_accounts enterprise_accounts last_sign_in_at banned locked"
    " lockout_expires_in_seconds verification_attempts_remaining updated_at created_at delete_self_enabled"
    " create_organization_enabled create_organizations_limit last_active_at legal_accepted_at"
)


def subscribe(world, *event_types: EventType, url: str = RECEIVER) -> Endpoint:
    endpoint = Endpoint.new(url, world.authority.realm.now_ms(), event_types=event_types)
    assert world.authority.realm.outbox.endpoints.add(endpoint)
    return endpoint


def recorded(world) -> list[dict]:
    rows = world.authority.realm.database.rows("SELECT body FROM webhook_messages ORDER BY seq")
    return [json.loads(row["body"]) for row in rows]


def types(world) -> list[str]:
    return [event["type"] for event in recorded(world)]


async def test_a_session_that_begins_is_told_with_its_user_and_the_request_that_began_it(world):
    subscribe(world)
    session = await world.create("Ada")
    (event,) = recorded(world)
    assert (event["object"], event["type"]) == ("event", "session.created")
    assert event["timestamp"] == int(world.clock.now_s * 1000)
    assert event["instance_id"] == world.authority.realm.instance_id
    assert event["event_attributes"]["http_request"]["client_ip"] == "127.0.0.1"
    assert event["event_attributes"]["http_request"]["user_agent"].startswith("python-httpx")
    data = event["data"]
    assert {key: data[key] for key in session if key != "latest_activity"} == {
        key: value for key, value in session.items() if key != "latest_activity"
    }
    assert set(data) == set(session) | {"user"}
    assert (data["latest_activity"]["is_mobile"], data["latest_activity"]["ip_address"]) == (False, "127.0.0.1")
    assert set(data["user"]) == set(USER_KEYS.split())
    assert data["user"]["id"] == session["user_id"]
    assert data["user"]["email_addresses"][0]["id"] == data["user"]["primary_email_address_id"]
    assert data["user"]["last_sign_in_at"] == session["created_at"]
    assert data["user"]["private_metadata"] == {}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (SessionStatus.ENDED, "session.ended"),
        (SessionStatus.REMOVED, "session.removed"),
        (SessionStatus.REVOKED, "session.revoked"),
        (SessionStatus.REPLACED, None),
        (SessionStatus.EXPIRED, None),
        (SessionStatus.ABANDONED, None),
    ],
)
async def test_how_a_session_ended_decides_what_is_told_and_it_is_told_once(world, status, told):
    realm = world.authority.realm
    made = await world.create("Ada")
    subscribe(world)
    session = realm.ledger.session(made["id"], realm.now_ms())
    lifecycle.finish(realm, session, status)
    lifecycle.finish(realm, session, status)
    assert types(world) == ([told] if told else [])
    for event in recorded(world):
        assert event["data"]["status"] == status
        assert event["data"]["latest_activity"] is None
        assert "event_attributes" not in event


async def test_every_session_of_a_client_that_ends_is_told_in_the_order_of_their_beginning(world):
    realm = world.authority.realm
    client, _ = realm.ledger.add_client(realm.now_ms())
    subscribe(world, EventType.SESSION_ENDED)
    begun = [lifecycle.start_session(realm, world.users["Ada"], "", client).id for _ in range(3)]
    lifecycle.finish_all(realm, client, SessionStatus.ENDED)
    lifecycle.finish_all(realm, client, SessionStatus.ENDED)
    assert [event["data"]["id"] for event in recorded(world)] == begun
    assert types(world) == ["session.ended"] * 3


async def test_signing_in_again_tells_of_the_new_session_alone(world):
    realm = world.authority.realm
    subscribe(world)
    first = lifecycle.sign_in(realm, world.users["Ada"], "", None)
    lifecycle.sign_in(realm, world.users["Grace"], "", first.client)
    assert types(world) == ["session.created", "session.created"]


async def test_an_operation_that_revokes_is_the_cause(world):
    made = await world.create("Ada")
    subscribe(world)
    headers = {"user-agent": "backend/1 Mobile " + "x" * 1000}
    assert (await world.api.post(f"/v1/sessions/{made['id']}/revoke", headers=headers)).status_code == 200
    (event,) = recorded(world)
    assert event["event_attributes"]["http_request"]["user_agent"] == headers["user-agent"][:512]


@pytest.mark.parametrize(
    ("config", "address"),
    [
        (AuthorityConfig(origin=ORIGIN), "127.0.0.1"),
        (AuthorityConfig(origin=ORIGIN, trusted_proxies=("127.0.0.0/8",)), "192.0.2.7"),
        (AuthorityConfig(origin=ORIGIN, trusted_proxies=("10.0.0.0/8",)), "127.0.0.1"),
    ],
    ids=["no proxy", "behind a proxy", "behind another"],
)
async def test_the_address_of_the_cause_is_what_a_trusted_proxy_says_and_nobody_else(world, address):
    subscribe(world)
    world.browser.headers["X-Forwarded-For"] = "198.51.100.1, 192.0.2.7"
    await world.sign_in()
    await world.browser.post("/sign-out")
    began, ended = recorded(world)
    for event in (began, ended):
        assert event["event_attributes"]["http_request"]["client_ip"] == address
    assert began["data"]["latest_activity"]["ip_address"] == address


async def test_what_was_rolled_back_is_not_told(world):
    realm = world.authority.realm
    subscribe(world)

    def sign_in_and_fail() -> None:
        with realm.database.transaction():
            signed_in = lifecycle.sign_in(realm, world.users["Ada"], "", None)
            assert types(world) == ["session.created"]
            lifecycle.switch_organization(realm, signed_in.session, "nowhere")

    with pytest.raises(Refusal):
        sign_in_and_fail()
    assert recorded(world) == []


async def test_without_somebody_who_wants_it_nothing_is_kept(world):
    await world.create("Ada")
    subscribe(world, EventType.SESSION_REVOKED)
    disabled = subscribe(world, url="http://127.0.0.1:3000/gone")
    world.authority.realm.outbox.endpoints.disable(disabled.id, "410")
    await world.create("Ada")
    assert recorded(world) == []


async def test_a_user_who_is_gone_is_null(world):
    made = await world.create("Ada")
    subscribe(world)
    world.authority.realm.directory.remove_user(made["user_id"])
    await world.api.post(f"/v1/sessions/{made['id']}/revoke")
    (event,) = recorded(world)
    assert event["data"]["user"] is None


async def test_an_event_goes_to_each_endpoint_that_wants_it_under_one_id(world):
    both = {
        subscribe(world).id,
        subscribe(world, EventType.SESSION_CREATED, EventType.SESSION_ENDED, url="https://example.com/hook").id,
    }
    await world.create("Ada")
    rows = world.authority.realm.database.rows("SELECT * FROM webhook_deliveries")
    assert {row["endpoint_id"] for row in rows} == both
    assert len({row["message_seq"] for row in rows}) == 1


@pytest.mark.parametrize("config", [AuthorityConfig(origin=ORIGIN, requires_organization=True)])
async def test_a_session_that_begins_with_an_open_task_is_told_as_pending_with_its_task(world):
    subscribe(world)
    await world.create("Ada")
    (event,) = recorded(world)
    assert (event["type"], event["data"]["status"]) == ("session.pending", "pending")
    assert event["data"]["tasks"] == [{"key": "choose-organization"}]
    assert event["data"]["latest_activity"] is None
