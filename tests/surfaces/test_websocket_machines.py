"""WebSockets that a machine's token has opened: they end when it counts no more, and not while nobody can say so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import websockets

from gateway.core.reasons import Reason
from tests.authenticator.engine_kit import mint
from tests.surfaces.test_machines import M2M
from tests.surfaces.test_websockets import NOBODY, RECHECKED, World, ended, official

KINDS = pytest.mark.parametrize("token", ["ak_one", "mt_one", "oat_one"])
DOCUMENTS: dict[str, dict[str, object]] = {
    "ak_one": {},
    "mt_one": {"tag": "machine_to_machine_token", "subject": "mch_1"},
    "oat_one": {"tag": "clerk_idp_oauth_access_token"},
}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def opened_by(
    token: str, path: str = "/any", unchecked_s: float = 60
) -> AsyncIterator[tuple[World, websockets.ClientConnection]]:
    """A WebSocket that a machine's token has opened."""
    async with official(settings=replace(RECHECKED, unchecked_s=unchecked_s)) as found:
        found.api.machine = DOCUMENTS[token]
        async with found.connect(path, bearer(token)) as socket:
            await socket.recv()
            yield found, socket


async def works(socket: websockets.ClientConnection) -> None:
    await socket.send("still here")
    assert await socket.recv() == "still here"


async def until_asked(found: World, times: int = 3) -> None:
    """Wait until the API was asked so often from now on."""
    wanted = found.api.verified + times
    async with asyncio.timeout(10):
        while found.api.verified < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@KINDS
@pytest.mark.parametrize("change", [{"revoked": True}, {"expired": True}, {"expiration": 1000}])
async def test_a_machines_token_that_counts_no_more_closes_its_websocket(token, change):
    async with opened_by(token) as (found, socket):
        await until_asked(found)
        await works(socket)
        found.api.machine = DOCUMENTS[token] | change
        assert await ended(socket) == (4401, "session ended")
        assert (await found.entry()).reason == Reason.SESSION_ENDED
        assert (await found.refused("/any", bearer(token))).status_code == 401


async def test_a_machines_token_that_is_not_there_any_more_closes_its_websocket():
    async with opened_by("ak_one") as (found, socket):
        found.api.code, found.api.machine = 404, {"errors": [{"code": "resource_not_found", "message": "no"}]}
        assert await ended(socket) == (4401, "session ended")


async def test_a_key_that_lost_the_scope_that_its_route_asks_for_counts_no_more_there():
    async with opened_by("ak_one", "/scoped") as (found, socket), found.connect("/any", bearer("ak_one")) as other:
        await other.recv()
        found.api.machine = {"scopes": ["write"]}
        assert await ended(socket) == (4401, "session ended")
        await until_asked(found)
        await works(other)


@KINDS
async def test_while_the_api_does_not_say_a_machines_websocket_goes_on_and_then_ends_with_try_again(token):
    async with opened_by(token, unchecked_s=2) as (found, socket):
        found.api.code = 503
        await until_asked(found, 2)
        await works(socket)
        assert await ended(socket) == (1013, "session unknown")
        assert (await found.entry()).reason == Reason.WEBSOCKET_SESSION_UNKNOWN


async def test_an_api_that_is_back_in_time_is_believed_again():
    async with opened_by("ak_one") as (found, socket):
        for code in (500, 401, 429):
            found.api.code = code
            await until_asked(found, 1)
            found.api.code = 200
            await until_asked(found)
            await works(socket)
        found.api.machine = {"revoked": True}
        assert await ended(socket) == (4401, "session ended")


async def test_a_machines_jwt_closes_its_websocket_when_it_expires_and_nobody_is_asked():
    token = mint(sub="mch_1", sid=..., scopes="mch_2", header={"cat": M2M})
    async with official(settings=RECHECKED) as found, found.connect("/any", bearer(token)) as socket:
        await socket.recv()
        await works(socket)
        found.clock.advance(3600)
        assert await ended(socket) == (4401, "session ended")
        assert (found.api.verified, found.api.asked) == (0, 0)


async def test_a_machines_token_among_sub_protocols_is_judged_anew_too():
    offered = ["bearer", "ak_one", "app.v1"]
    async with official(settings=RECHECKED) as found, found.connect("/any", NOBODY, subprotocols=offered) as socket:
        assert "ak_one" not in await socket.recv()
        await until_asked(found)
        found.api.machine = {"revoked": True}
        assert await ended(socket) == (4401, "session ended")


async def test_a_session_is_asked_about_as_a_session_where_machines_count_too():
    async with official(settings=RECHECKED) as found, found.connect("/any") as socket:
        found.api.status = "revoked"
        assert await ended(socket) == (4401, "session ended")
        assert (found.api.verified, found.api.asked) == (0, 1)
