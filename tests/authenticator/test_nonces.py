"""Handshake nonces: asked for once, and by nobody without end."""

import asyncio

import pytest

from gateway.authenticator.nonces import MAX_CALLS, MAX_CHARS, MAX_USELESS, MEMORY_S, Nonces
from gateway.errors import ApiErrorItem, ApiFailed, ApiRefused, ApiUnreachable
from tests.authenticator.engine_kit import Api, Clock, settle

REFUSED = ApiRefused(404, (ApiErrorItem("resource_not_found", "not found"),), "")


async def test_a_nonce_is_asked_for_once():
    api = Api(("__session=x",))
    nonces = Nonces(api, Clock())
    assert await nonces.answer("n1", "192.0.2.1") == ("__session=x",)
    assert await nonces.answer("n1", "192.0.2.2") is None
    assert api.nonces == ["n1"]


async def test_what_no_api_made_is_not_asked_for_nor_kept():
    api = Api(("__session=x",))
    nonces = Nonces(api, Clock())
    assert await nonces.answer("n" * (MAX_CHARS + 1), "192.0.2.1") is None
    assert await nonces.answer("n" * MAX_CHARS, "192.0.2.1") is not None
    assert [len(nonce) for nonce in api.nonces] == [MAX_CHARS]


@pytest.mark.parametrize("refusal", [REFUSED, ApiFailed(404, "not found"), ApiFailed(410, "gone")], ids=repr)
async def test_an_address_that_invents_nonces_is_held_back_and_no_other(refusal):
    api, timer = Api(refusal), Clock()
    nonces = Nonces(api, timer)
    for number in range(1000):
        assert await nonces.answer(f"invented-{number}", "192.0.2.1") is None
    assert len(api.nonces) == MAX_USELESS
    api.answer = ("__session=x",)
    assert await nonces.answer("good", "192.0.2.2") == ("__session=x",)
    assert await nonces.answer("another", "192.0.2.1") is None
    timer.advance(MEMORY_S + 1)
    assert await nonces.answer("another", "192.0.2.1") == ("__session=x",)


@pytest.mark.parametrize(
    "failure", [ApiUnreachable("timeout", "slow"), *(ApiFailed(status, "odd") for status in (204, 401, 429, 500))]
)
async def test_an_api_that_is_down_is_held_against_nobody(failure):
    api = Api(failure)
    nonces = Nonces(api, Clock())
    for number in range(MAX_USELESS + 5):
        assert await nonces.answer(f"n{number}", "192.0.2.1") is None
    assert len(api.nonces) == MAX_USELESS + 5


@pytest.mark.parametrize("nonce", ["", "\0", "a\0b", "a b", "a\nb", "\x80", "\u20ac"])
async def test_what_an_api_may_stumble_over_is_not_asked_for(nonce):
    """An API that fails is held against nobody, so nobody may have it fail as they like."""
    api = Api(("__session=x",))
    assert await Nonces(api, Clock()).answer(nonce, "192.0.2.1") is None
    assert api.nonces == []


async def test_an_address_that_invents_them_all_at_once_gains_nothing():
    api = Api(REFUSED, gate=asyncio.Event())
    nonces = Nonces(api, Clock())
    waiting = [asyncio.create_task(nonces.answer(f"invented-{number}", "192.0.2.1")) for number in range(1000)]
    await settle()
    assert len(api.nonces) == MAX_CALLS
    api.gate.set()
    assert set(await asyncio.gather(*waiting)) == {None}
    assert len(api.nonces) == MAX_USELESS


async def test_what_is_still_running_is_held_against_nobody_afterwards():
    api = Api(("__session=x",), gate=asyncio.Event())
    nonces = Nonces(api, Clock())
    waiting = [asyncio.create_task(nonces.answer(f"n{number}", "192.0.2.1")) for number in range(MAX_USELESS)]
    await settle()
    waiting[0].cancel()
    api.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert answers[1:] == [("__session=x",)] * (MAX_USELESS - 1)
    assert await nonces.answer("another", "192.0.2.1") == ("__session=x",)
    assert nonces._running == {}
