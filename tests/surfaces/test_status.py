"""The gateway's own endpoints: alive, ready, and who is asking."""

import json

import httpx
import pytest

from gateway.adapters.jwks import RemoteKeys
from gateway.core.claims import SessionClaims
from gateway.core.reasons import Reason
from gateway.core.settings_model import Access, RouteSettings
from gateway.core.trust import Trust
from gateway.core.verdict import How
from gateway.errors import ApiUnreachable, KeysUnavailable
from gateway.surfaces.answers import Answer
from gateway.surfaces.gate import Gate
from gateway.surfaces.status import PREFIX, Status, describe
from tests.authenticator.engine_kit import NAMES, Api, Clock, Keys, directives, expired, jwks, mint
from tests.surfaces.surfaces_kit import gate_of, scope_of

ORGANIZATION = {"id": "org_1", "slg": "acme", "rol": "admin", "per": "read,manage", "fpm": "3"}


class Source:
    def __init__(self) -> None:
        self.error: Exception | None = None

    async def __call__(self) -> object:
        if self.error is not None:
            raise self.error
        return jwks("key_1")


class Setting:
    def __init__(self, gate: Gate | None = None) -> None:
        self.source, self.clock = Source(), Clock()
        self.keys = RemoteKeys(self.source, lambda: None, self.clock)
        self.status = Status(gate or gate_of(), self.keys.warm)

    async def ask(self, name: str, *headers: tuple[str, str], method: str = "GET", **changes: object) -> Answer:
        path = PREFIX + name.encode()
        admission = await self.status.admit(scope_of(path.decode(), *headers, method=method, **changes), path)
        assert admission.answer is not None
        return admission.answer


def document(answer: Answer) -> dict[str, object]:
    return json.loads(answer.body)


def headers_of(answer: Answer) -> httpx.Headers:
    return httpx.Headers(list(answer.headers))


async def test_healthz_is_200_whatever_the_keys_are():
    setting = Setting()
    setting.source.error = ApiUnreachable("connect", "refused")
    answer = await setting.ask("healthz")
    assert (answer.status, document(answer)) == (200, {"status": "ok"})
    assert headers_of(answer)["cache-control"] == "no-store"


async def test_readyz_is_200_as_soon_as_keys_can_be_had():
    answer = await Setting().ask("readyz")
    assert (answer.status, document(answer)) == (
        200,
        {"status": "ready", "keys": {"state": "fresh", "stale": False, "age_s": 0, "usable_for_s": 3600}},
    )


async def test_readyz_is_503_and_says_why_while_there_are_no_keys():
    setting = Setting()
    setting.source.error = ApiUnreachable("dns", "the API's host name cannot be resolved")
    answer = await setting.ask("readyz")
    assert answer.status == 503
    assert document(answer) == {
        "status": "not ready",
        "keys": {
            "state": "missing",
            "stale": False,
            "reason": "jwk-remote-dns",
            "detail": "the API's host name cannot be resolved",
        },
    }
    setting.source.error = None
    setting.clock.advance(1)
    assert (await setting.ask("readyz")).status == 200


async def test_readyz_stays_200_on_old_keys_and_says_that_they_are_old():
    setting = Setting()
    await setting.ask("readyz")
    setting.source.error = ApiUnreachable("connect", "no connection to the API")
    setting.clock.advance(301)
    with pytest.raises(KeysUnavailable):
        await setting.keys.find("key_2")
    answer = await setting.ask("readyz")
    assert (answer.status, document(answer)["keys"]) == (
        200,
        {
            "state": "stale",
            "stale": True,
            "age_s": 301,
            "usable_for_s": 3299,
            "reason": "jwk-remote-unreachable",
            "detail": "no connection to the API",
        },
    )


async def test_whoami_tells_who_is_signed_in_and_no_token():
    setting, token = Setting(), mint(fea="o:teams", o=ORGANIZATION)
    answer = await setting.ask("whoami", ("authorization", f"Bearer {token}"))
    assert answer.status == 200
    assert document(answer) == {
        "status": "signed-in",
        "how": "signature",
        "user_id": "user_1",
        "session_id": "sess_1",
        "actor": None,
        "expires_at_s": 1_800_000_055,
        "organization": {
            "id": "org_1",
            "slug": "acme",
            "role": "org:admin",
            "permissions": ["org:teams:read", "org:teams:manage"],
        },
    }
    assert token not in answer.body.decode()


def test_whoami_tells_the_end_in_whole_seconds_however_it_is_held():
    claims = SessionClaims("user_1", "sess_1", "", "", issued_at_s=0.0, expires_at_s=1_800_000_055.0)
    assert '"expires_at_s": 1800000055,' in json.dumps(describe(claims, How.CACHE))


async def test_whoami_tells_who_impersonates_the_user():
    token = mint(act={"sub": "user_9"})
    assert document(await Setting().ask("whoami", ("authorization", f"Bearer {token}")))["actor"] == "user_9"


async def test_whoami_of_a_personal_session_has_no_organization():
    answer = await Setting().ask("whoami", ("authorization", f"Bearer {mint()}"))
    assert document(answer)["organization"] is None


async def test_whoami_is_judged_on_whatever_route_it_would_be():
    gate = gate_of(RouteSettings(access=Access.PUBLIC))
    assert (await Setting(gate).ask("whoami")).status == 401


@pytest.mark.parametrize(
    ("headers", "reason", "message"),
    [
        ([], "session-token-and-uat-missing", "You are not signed in."),
        ([("authorization", "Bearer junk")], "token-invalid", "it does not have three parts"),
    ],
)
async def test_whoami_tells_why_nobody_is_signed_in(headers, reason, message):
    answer = await Setting().ask("whoami", *headers)
    assert (answer.status, document(answer)["reason"]) == (401, reason)
    assert headers_of(answer)["content-type"] == "application/problem+json"
    assert headers_of(answer)["x-clerk-auth-message"] == message
    assert headers_of(answer)["www-authenticate"].startswith('Bearer realm="gateway"')
    assert headers_of(answer)["x-clerk-auth-reason"] == reason
    assert headers_of(answer)["cache-control"] == "no-store"


async def test_whoami_is_503_while_nothing_can_be_said():
    keys = Keys(error=KeysUnavailable(Reason.SECRET_KEY_INVALID, "the API refuses it", 30))
    answer = await Setting(gate_of(keys=keys)).ask("whoami", ("authorization", f"Bearer {mint()}"))
    assert (answer.status, document(answer)["reason"]) == (503, "secret-key-invalid")
    assert headers_of(answer)["retry-after"] == "30"


async def test_whoami_passes_refreshed_cookies_on():
    gate = gate_of(api=Api(directives(mint())))
    cookies = f"{NAMES.session}={expired()}; {NAMES.client_uat}=1700000000; {NAMES.refresh}=rt_1"
    answer = await Setting(gate).ask("whoami", ("cookie", cookies))
    assert (answer.status, document(answer)["how"]) == (200, "refresh")
    assert len(headers_of(answer).get_list("set-cookie")) == 2


async def test_a_fault_of_ours_is_a_500_that_says_nothing(caplog):
    answer = await Setting(gate_of(keys=Keys(error=RuntimeError("a secret")))).ask(
        "whoami", ("authorization", f"Bearer {mint('key_2')}")
    )
    assert (answer.status, document(answer)["reason"]) == (500, "unexpected-error")
    assert b"a secret" not in answer.body
    assert "deciding about a request failed" in caplog.text


async def test_whoami_never_redirects_a_browser():
    answer = await Setting().ask("whoami", ("accept", "text/html"), ("sec-fetch-dest", "document"))
    assert (answer.status, headers_of(answer)["content-type"]) == (401, "text/html; charset=utf-8")
    assert "location" not in headers_of(answer)
    assert "set-cookie" not in headers_of(answer)


async def test_whoami_refuses_a_foreign_host_and_an_odd_target():
    setting = Setting(gate_of(trust=Trust((), ("app.example.test",))))
    answer = await setting.ask("whoami", ("host", "evil.test"))
    assert (answer.status, document(answer)["reason"]) == (400, "request-host-invalid")
    answer = await setting.ask("whoami", raw_path=b"/.gateway/../whoami")
    assert (answer.status, document(answer)["reason"]) == (400, "request-target-invalid")


@pytest.mark.parametrize("name", ["", "nothing", "healthz/", "HEALTHZ", "whoami/x"])
async def test_nothing_else_is_there(name):
    answer = await Setting().ask(name)
    assert (answer.status, document(answer)["reason"]) == (404, "route-not-found")


@pytest.mark.parametrize("name", ["healthz", "readyz", "whoami", "nothing"])
async def test_head_has_the_headers_of_get_and_no_body(name):
    setting = Setting()
    get, head = await setting.ask(name), await setting.ask(name, method="HEAD")
    assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
async def test_other_methods_are_405(method):
    answer = await Setting().ask("healthz", method=method)
    assert (answer.status, headers_of(answer)["allow"]) == (405, "GET, HEAD")
