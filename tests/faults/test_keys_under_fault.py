"""Keys when the source, or the client, is at fault: through the whole engine, over real sockets."""

import asyncio
import json

import pytest

from gateway.adapters.jwks import DEFAULTS, LIFETIME_S
from gateway.core.reasons import Reason
from gateway.core.settings_model import KeysSettings
from gateway.core.verdict import How, State
from tests.authenticator.engine_kit import mint, settle, signer
from tests.faults.bad_server import hang_up, speak_otherwise
from tests.faults.fault_kit import (
    FOREVER,
    HTML,
    HUGE,
    FaultyApi,
    at_once,
    browser,
    refused,
    status_of,
    stop_short,
    whole,
    with_kid,
    world_of,
)

# Floods


async def test_a_thousand_requests_on_a_cold_start_make_one_call():
    tokens = [mint(sub=f"user_{number}", sid=f"sess_{number}") for number in range(50)]
    async with world_of() as world:
        asking = [asyncio.create_task(world.ask(tokens[number % 50])) for number in range(1000)]
        admissions = await asyncio.gather(*asking)
        assert {status_of(admission) for admission in admissions} == {0}
        assert world.api.calls == {"/jwks": 1}


async def test_ten_thousand_random_key_ids_cost_no_more_loads_than_the_cool_down_allows_and_good_tokens_never_wait():
    known = mint(exp=FOREVER)
    unseen = iter([mint(exp=FOREVER, sub=f"user_{number}") for number in range(25)])
    async with world_of() as world:
        assert status_of(await world.ask(known)) == 0
        for second in range(25):
            flood = [
                asyncio.create_task(world.ask(with_kid(f"random_{second}_{number}", known))) for number in range(400)
            ]
            await settle(3)  # the flood is on its way, or waits for the source
            assert status_of(at_once(world.ask(known))) == 0
            assert status_of(at_once(world.ask(next(unseen)))) == 0
            for admission in await asyncio.gather(*flood):
                assert (status_of(admission), admission.verdict.reason) == (401, Reason.JWK_KID_MISMATCH)
            world.advance(1)
        assert world.api.calls["/jwks"] <= 1 + 25 / DEFAULTS.cool_down_s


async def test_while_the_source_hangs_on_a_random_key_id_good_tokens_do_not():
    known, unseen = mint(exp=FOREVER), mint(exp=FOREVER, sub="user_2")
    async with world_of() as world:
        assert status_of(await world.ask(known)) == 0
        world.api.gate = asyncio.Event()
        world.advance(DEFAULTS.cool_down_s)
        waiting = asyncio.create_task(world.ask(with_kid("random", known)))
        await settle()
        assert status_of(at_once(world.ask(known))) == 0
        assert status_of(at_once(world.ask(unseen))) == 0
        assert not waiting.done()
        world.api.gate.set()
        assert (await waiting).verdict.reason == Reason.JWK_KID_MISMATCH


# Outages


@pytest.mark.parametrize("secret_key", [True, False], ids=["Backend API", "Frontend API"])
async def test_half_an_hour_after_the_source_died_tokens_are_verified_and_after_the_limit_it_is_503(secret_key):
    async with world_of(secret_key=secret_key) as world:
        assert status_of(await world.ask(mint(exp=FOREVER))) == 0
        await world.api.stop()
        for number in range(5):
            world.advance(360)
            assert status_of(await world.ask(mint(exp=FOREVER, sub=f"user_{number}"))) == 0
        status, keys = await world.readyz()
        assert (status, keys["state"], keys["stale"], keys["reason"]) == (200, "stale", True, "jwk-remote-unreachable")
        assert (keys["age_s"], keys["usable_for_s"]) == (1800, 1800)
        world.advance(1801)
        admission = await world.ask(mint(exp=FOREVER, sub="user_late"))
        assert (status_of(admission), admission.verdict.state) == (503, State.UNKNOWN)
        assert dict(admission.answer.headers)[b"retry-after"] == b"5"
        assert (await world.readyz())[0] == 503


async def test_a_remembered_token_does_not_outlive_the_keys_either():
    token = mint(exp=FOREVER)
    async with world_of(secret_key=False) as world:
        assert status_of(await world.ask(token)) == 0
        await world.api.stop()
        for _ in range(int(DEFAULTS.stale_s) // 60):
            world.advance(60)
            assert status_of(await world.ask(token)) == 0
        world.advance(61)
        assert status_of(await world.ask(token)) == 503


FAULTS = {
    "dead": hang_up,
    "stops short": stop_short,
    "no HTTP": speak_otherwise,
    "HTML": HTML,
    "10 MiB": HUGE,
    "keys: []": whole({"keys": []}),
    "keys: {}": whole({"keys": {}}),
    "keys of another kind": whole({"keys": [{"kty": "oct", "k": "AAAA", "kid": "key_1"}]}),
    "404": whole(b"nothing here", "404 Not Found", "text/plain"),
    "500": whole({}, "500 Internal Server Error"),
    "refused": refused("forbidden", "403 Forbidden"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("secret_key", [True, False], ids=["Backend API", "Frontend API"])
async def test_a_faulty_source_leaves_the_good_set_in_use(fault, secret_key):
    async with world_of(secret_key=secret_key) as world:
        assert status_of(await world.ask(mint(exp=FOREVER))) == 0
        world.api.behaviour.update({"/jwks": fault, "/jwks.json": fault})
        world.advance(LIFETIME_S + 1)
        assert status_of(await world.ask(mint(exp=FOREVER, sub="user_2"))) == 0
        status, keys = await world.readyz()
        assert (status, keys["state"]) == (200, "stale")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_on_a_cold_start_a_faulty_source_is_503_with_a_reason_of_the_keys_and_never_401(fault):
    async with world_of(secret_key=False) as world:
        world.api.behaviour["/jwks.json"] = fault
        admission = await world.ask(mint())
        assert (status_of(admission), admission.verdict.state) == (503, State.UNKNOWN)
        assert admission.verdict.reason.startswith("jwk-remote-")
        assert b"retry-after" in dict(admission.answer.headers)


@pytest.mark.parametrize("secret_key", [True, False], ids=["Backend API", "Frontend API"])
async def test_a_redirect_is_not_followed_anywhere(secret_key):
    elsewhere = FaultyApi()
    await elsewhere.start()
    async with world_of(secret_key=secret_key) as world:
        away = whole(b"", "302 Found", "text/plain", f"Location: {elsewhere.origin}/v1/jwks")
        world.api.behaviour.update({"/jwks": away, "/jwks.json": away})
        admission = await world.ask(mint())
        assert (status_of(admission), admission.verdict.reason) == (503, Reason.JWK_REMOTE_FAILED_TO_LOAD)
    assert elsewhere.calls == {}
    await elsewhere.stop()


async def test_a_wrong_secret_key_is_said_by_readiness_and_in_the_log(caplog):
    async with world_of() as world:
        world.api.behaviour["/jwks"] = refused("clerk_key_invalid")
        status, keys = await world.readyz()
        assert (status, keys["reason"]) == (503, Reason.SECRET_KEY_INVALID)
        assert "instance.secret_key" in keys["detail"]
        assert "secret-key-invalid" in caplog.text
        assert "donotprintme" not in caplog.text + json.dumps(keys)
        admission = await world.ask(mint())
        assert (status_of(admission), dict(admission.answer.headers)[b"retry-after"]) == (503, b"30")


# Keys that come and go


async def test_a_key_that_vanished_is_refused_within_the_lifetime_of_a_set_with_every_token_that_it_signed():
    old = [mint("key_1", exp=FOREVER, sid=f"sess_{number}") for number in range(30)]
    new = mint("key_2", exp=FOREVER, sid="sess_new")
    both, one = ({"keys": [signer(kid).to_jwk() for kid in kids]} for kids in (("key_1", "key_2"), ("key_2",)))
    async with world_of() as world:
        world.api.behaviour["/jwks"] = whole(both)
        for token in (*old, new):
            assert status_of(await world.ask(token)) == 0
            assert status_of(await world.ask(cookies=browser(token))) == 0
        world.api.behaviour["/jwks"] = whole(one)
        refused_after_s = 0
        while status_of(await world.ask(old[0])) == 0:
            # Remembered tokens alone: nobody brings a new one.
            assert at_once(world.ask(new)).verdict.how is not How.NOTHING
            world.advance(5)
            refused_after_s += 5
            assert refused_after_s <= LIFETIME_S
            await world.settled()
        for token in old:
            for admission in (await world.ask(token), await world.ask(cookies=browser(token))):
                assert (status_of(admission), admission.verdict.reason) == (401, Reason.JWK_KID_MISMATCH)
        assert status_of(await world.ask(new)) == 0


async def test_a_rotation_with_overlap_makes_no_token_be_verified_again():
    token = mint(exp=FOREVER)
    async with world_of() as world:
        assert (await world.ask(token)).verdict.how is How.SIGNATURE
        world.api.behaviour["/jwks"] = whole({"keys": [signer(kid).to_jwk() for kid in ("key_1", "key_2")]})
        world.advance(DEFAULTS.cool_down_s)
        assert status_of(await world.ask(mint("key_2", exp=FOREVER))) == 0
        assert world.api.calls["/jwks"] == 2
        assert (await world.ask(token)).verdict.how is How.CACHE


async def test_another_key_under_the_same_id_forgets_what_the_first_one_signed():
    token = mint(exp=FOREVER)
    async with world_of() as world:
        assert status_of(await world.ask(token)) == 0
        world.api.behaviour["/jwks"] = whole({"keys": [signer("key_2").to_jwk() | {"kid": "key_1"}]})
        world.advance(DEFAULTS.cool_down_s)
        await world.ask(with_kid("random", token))
        assert (await world.ask(token)).verdict.reason == Reason.TOKEN_INVALID_SIGNATURE


async def test_two_instances_whose_keys_have_one_id_do_not_share_them():
    async with world_of() as one, world_of() as other:
        other.api.behaviour["/jwks"] = whole({"keys": [signer("key_2").to_jwk() | {"kid": "key_1"}]})
        of_one, of_other = mint("key_1"), mint("key_2", header={"kid": "key_1"})
        for _ in range(2):
            assert status_of(await one.ask(of_one)) == 0
            assert status_of(await other.ask(of_other)) == 0
            assert (await one.ask(of_other)).verdict.reason == Reason.TOKEN_INVALID_SIGNATURE
            assert (await other.ask(of_one)).verdict.reason == Reason.TOKEN_INVALID_SIGNATURE


# A restart during an outage


async def test_a_restart_during_an_outage_comes_up_with_the_keys_of_the_file(tmp_path):
    path = tmp_path / "keys.json"
    async with world_of(keys=KeysSettings(cache_file=str(path))) as world:
        assert status_of(await world.ask(mint(exp=FOREVER))) == 0
        await world.api.stop()
        world.advance(1200)
        await world.restart()
        assert status_of(await world.ask(mint(exp=FOREVER))) == 0
        status, keys = await world.readyz()
        assert (status, keys["state"], keys["age_s"]) == (200, "from-file", 1200)
        world.advance(DEFAULTS.stale_s - 1200 + 1)
        assert status_of(await world.ask(mint(exp=FOREVER))) == 503
        await world.restart()
        assert status_of(await world.ask(mint(exp=FOREVER))) == 503


async def test_a_key_that_was_removed_meanwhile_counts_no_more_once_the_source_answers(tmp_path):
    token = mint(exp=FOREVER)
    async with world_of(keys=KeysSettings(cache_file=str(tmp_path / "keys.json"))) as world:
        assert status_of(await world.ask(token)) == 0
        world.api.behaviour["/jwks"] = whole({"keys": [signer("key_2").to_jwk()]})
        await world.restart()
        assert status_of(at_once(world.ask(token))) == 0
        await world.settled()
        admission = await world.ask(token)
        assert (status_of(admission), admission.verdict.reason) == (401, Reason.JWK_KID_MISMATCH)
        await world.restart()
        assert (await world.ask(token)).verdict.reason == Reason.JWK_KID_MISMATCH
