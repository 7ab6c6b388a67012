"""Handshake nonces: asked for once, and by nobody without end."""

import pytest

from gateway.authenticator.nonces import MAX_CHARS, MAX_USELESS, MEMORY_S, Nonces
from gateway.errors import ApiErrorItem, ApiFailed, ApiRefused, ApiUnreachable
from tests.authenticator.engine_kit import Api, Clock

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
