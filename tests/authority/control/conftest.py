"""An authority under control: the clock, the rules and the control API beside the world of the authority's tests."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import pytest

from gateway.authority import Authority, AuthorityConfig, Founding
from gateway.authority.control import Clock, Faults
from gateway.authority.control.api import Control
from gateway.core.settings_model import Address

ORIGIN = "http://127.0.0.1:8001"
CONTROL = "http://127.0.0.1:9001"
START_S = 1_800_000_000.25


@dataclass
class Controlled:
    """The authority, what turns it, and who asks."""

    authority: Authority
    clock: Clock
    control: Control
    api: httpx.AsyncClient
    turner: httpx.AsyncClient

    @property
    def faults(self) -> Faults:
        return self.control.faults

    @property
    def user_id(self) -> str:
        return self.authority.realm.directory.users()[0].id

    async def create_session(self) -> str:
        answer = await self.api.post("/v1/sessions", json={"user_id": self.user_id})
        return answer.json()["id"]


@pytest.fixture(scope="session")
def founding() -> Founding:
    return Founding.generate(AuthorityConfig(origin=ORIGIN), int(START_S * 1000))


@pytest.fixture
def authority(founding: Founding) -> Iterator[Authority]:
    opened = Authority.open(AuthorityConfig(origin=ORIGIN), Clock(lambda: START_S), founding)
    yield opened
    opened.close()


@pytest.fixture
async def controlled(authority: Authority) -> AsyncIterator[Controlled]:
    clock = authority.realm.clock
    assert isinstance(clock, Clock)
    control = Control(authority, clock, Address("127.0.0.1", 9001))
    key = {"Authorization": f"Bearer {authority.secret_key.reveal()}"}
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(control.app), base_url=ORIGIN, headers=key) as api,
        httpx.AsyncClient(transport=httpx.ASGITransport(control.api), base_url=CONTROL) as turner,
    ):
        yield Controlled(authority, clock, control, api, turner)
