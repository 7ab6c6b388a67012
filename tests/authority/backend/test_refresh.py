"""The trade of an expired token: what it gives, every code of refusal, and who wins when several trade at once."""

import asyncio
import json
import logging

import pytest

from gateway.authority import AuthorityConfig
from gateway.authority.signing.keyring import Category
from gateway.authority.webhooks.endpoints import Endpoint

APP = "http://127.0.0.1:8000"


class Holder:
    """A gateway with a signed-in browser's cookies, whose token has expired."""

    def __init__(self, world, cookies) -> None:
        self.world = world
        self.suffix = world.authority.publishable_key.cookie_suffix
        self.token = cookies["__session"]
        self.refresh_token = cookies[f"__refresh_{self.suffix}"]
        self.session_id = world.claims(self.token)["sid"]

    async def trade(self, *, params=None, session_id=None, **body):
        body = {
            "expired_token": self.token,
            "refresh_token": self.refresh_token,
            "request_origin": APP,
            "request_headers": {"cookie": ["a=b"]},
            "format": "cookie",
            **body,
        }
        body = {name: value for name, value in body.items() if value is not ...}
        path = f"/v1/sessions/{session_id or self.session_id}/refresh"
        return await self.world.api.post(path, json=body, params=params or {})

    def forge(self, category=Category.SESSION, **changes) -> str:
        """The expired token with other claims, signed by the right key; ``...`` leaves a claim out."""
        claims = {**self.world.claims(self.token), **changes}
        return self.world.authority.realm.keys.sign(
            {name: value for name, value in claims.items() if value is not ...}, category
        )


@pytest.fixture
async def holder(world):
    holder = Holder(world, await world.signed_in_cookies("Ada", "acme"))
    world.clock.advance(90)
    return holder


async def refused(answer, code: str) -> None:
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, code)


async def test_the_cookie_form_carries_a_new_session_and_a_new_refresh_token(world, holder, read_cookies):
    answer = await holder.trade(params={"suffixed_cookies": "true"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["object"] == "cookies"
    directives = answer.json()["cookies"]
    cookies = read_cookies(directives)
    assert set(cookies) == {"__session", f"__session_{holder.suffix}", f"__refresh_{holder.suffix}"}
    assert cookies["__session"] == cookies[f"__session_{holder.suffix}"]
    assert directives[-1].startswith("__session")
    claims = world.claims(cookies["__session"])
    assert claims["sid"] == holder.session_id
    assert claims["azp"] == APP
    assert claims["iat"] == int(world.clock.now_s)
    assert claims["o"]["slg"] == "acme"
    assert cookies[f"__refresh_{holder.suffix}"] != holder.refresh_token


async def test_without_suffixed_cookies_only_the_plain_session_cookie_is_set(holder, read_cookies):
    answer = await holder.trade()
    assert set(read_cookies(answer.json()["cookies"])) == {"__session", f"__refresh_{holder.suffix}"}


@pytest.mark.parametrize("form", [..., None, "token"])
async def test_the_token_form_carries_the_token_alone_and_rotates_nothing(world, holder, form):
    answer = await holder.trade(format=form)
    assert answer.json()["object"] == "token"
    world.clock.advance(120)
    again = await holder.trade(expired_token=answer.json()["jwt"])
    assert again.status_code == 200


@pytest.mark.parametrize(("version", "claim"), [("2024-10-01", "org_id"), ("2026-05-12", "o")])
async def test_the_api_version_decides_the_claims(world, holder, version, claim):
    world.api.headers["Clerk-API-Version"] = version
    answer = await holder.trade(format="token")
    assert claim in world.claims(answer.json()["jwt"])


async def test_refreshed_tokens_can_be_refreshed_again_and_again(world, holder, read_cookies):
    for _ in range(5):
        answer = await holder.trade()
        assert answer.status_code == 200
        cookies = read_cookies(answer.json()["cookies"])
        holder.token, holder.refresh_token = cookies["__session"], cookies[f"__refresh_{holder.suffix}"]
        world.clock.advance(90)


@pytest.mark.parametrize(
    "origin", ["", "null", "127.0.0.1:8000", "javascript:alert(1)", "http://", "http://a b", f"{APP}/path", "ftp://a.b"]
)
async def test_an_origin_that_is_none_is_refused(holder, origin):
    await refused(await holder.trade(request_origin=origin), "refresh_request_origin_invalid")


@pytest.mark.parametrize("token", ["", "a.b.c", "a", "a.b.c.d.e", "\x00", "é.é.é"])
async def test_a_text_that_is_no_token_is_refused(holder, token):
    await refused(await holder.trade(expired_token=token), "expired_session_token_invalid")


async def test_a_token_with_another_signature_is_refused(holder):
    head, _, signature = holder.token.rpartition(".")
    changed = signature[:-10] + ("A" if signature[-10] != "A" else "B") + signature[-9:]
    await refused(await holder.trade(expired_token=f"{head}.{changed}"), "expired_session_token_invalid")


async def test_a_template_token_is_ineligible(holder):
    forged = holder.forge(Category.TEMPLATE)
    await refused(await holder.trade(expired_token=forged), "session_refresh_session_token_ineligible")


@pytest.mark.parametrize("exp", [..., None, "1", True, 2_000_000_000])
async def test_a_token_that_has_not_expired_is_ineligible(holder, exp):
    forged = holder.forge(exp=exp)
    await refused(await holder.trade(expired_token=forged), "session_refresh_session_token_ineligible")


async def test_a_token_without_azp_is_refused(holder):
    await refused(await holder.trade(expired_token=holder.forge(azp=...)), "expired_session_token_missing_azp")


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9000", "https://127.0.0.1:8000", "http://127.0.0.1"])
async def test_a_token_of_another_origin_is_refused(holder, origin):
    await refused(await holder.trade(request_origin=origin), "refresh_request_origin_azp_mismatch")


async def test_a_token_without_sid_is_refused(holder):
    await refused(await holder.trade(expired_token=holder.forge(sid=...)), "expired_session_token_missing_sid")


async def test_a_token_of_another_session_is_refused(world, holder):
    other = await world.create("Grace")
    await refused(await holder.trade(session_id=other["id"]), "refresh_sid_mismatch")


async def test_a_token_without_iat_is_refused(holder):
    forged = holder.forge(iat=...)
    await refused(await holder.trade(expired_token=forged), "session_refresh_expired_session_token_missing_iat")


async def test_a_token_of_yesterday_is_too_old(world, holder):
    world.clock.advance(86_400)
    await refused(await holder.trade(), "session_refresh_expired_session_token_too_old")


async def test_a_token_of_a_session_that_never_was_is_refused(holder):
    forged = holder.forge(sid="sess_none")
    answer = await holder.trade(session_id="sess_none", expired_token=forged)
    await refused(answer, "session_refresh_session_not_found")


async def test_a_revoked_session_is_not_refreshed(world, holder):
    await world.api.post(f"/v1/sessions/{holder.session_id}/revoke")
    await refused(await holder.trade(), "session_refresh_inactive_session")


@pytest.mark.parametrize("config", [AuthorityConfig(origin="http://127.0.0.1:8001", session_lifetime_s=80)])
async def test_an_expired_session_is_not_refreshed(holder):
    await refused(await holder.trade(), "session_refresh_inactive_session")


async def test_a_user_who_is_gone_is_not_refreshed(world, holder):
    world.authority.realm.directory.remove_user(world.users["Ada"])
    await refused(await holder.trade(), "session_refresh_user_not_found")


@pytest.mark.parametrize("token", ["", "none", "\x00", "x" * 10_000])
async def test_an_unknown_refresh_token_is_refused(holder, token):
    await refused(await holder.trade(refresh_token=token), "refresh_token_not_found")


async def test_a_refresh_token_of_another_session_is_refused(world, holder):
    other = await world.signed_in_cookies("Grace")
    answer = await holder.trade(refresh_token=other[f"__refresh_{holder.suffix}"])
    # signing in again on the same browser replaced the session, which is told first
    await refused(answer, "session_refresh_inactive_session")
    world.browser.cookies.clear()
    fresh = Holder(world, await world.signed_in_cookies("Ada"))
    world.clock.advance(90)
    answer = await fresh.trade(refresh_token=other[f"__refresh_{holder.suffix}"])
    await refused(answer, "refresh_token_not_found")


async def test_a_token_can_be_traded_once(holder, read_cookies):
    first = await holder.trade()
    successor = read_cookies(first.json()["cookies"])[f"__refresh_{holder.suffix}"]
    for refresh_token in (holder.refresh_token, successor):
        answer = await holder.trade(refresh_token=refresh_token)
        await refused(answer, "session_refresh_expired_session_token_consumed")


async def test_another_spelling_of_the_signature_is_the_same_token(holder):
    assert (await holder.trade()).status_code == 200
    answer = await holder.trade(expired_token=f"{holder.token}==")
    assert answer.status_code == 401


async def test_a_refused_trade_spends_nothing(holder):
    await refused(await holder.trade(refresh_token="none"), "refresh_token_not_found")
    assert (await holder.trade()).status_code == 200


async def test_of_parallel_trades_exactly_one_wins(holder):
    answers = await asyncio.gather(*(holder.trade() for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    for answer in answers:
        if answer.status_code == 401:
            await refused(answer, "session_refresh_expired_session_token_consumed")


async def status_of(holder) -> str:
    return (await holder.world.api.get(f"/v1/sessions/{holder.session_id}")).json()["status"]


@pytest.mark.parametrize(("later_s", "status", "becomes"), [(10, 200, "active"), (10.5, 401, "revoked")])
async def test_a_rotated_refresh_token_stays_good_for_the_grace_alone(world, holder, later_s, status, becomes):
    assert (await holder.trade()).status_code == 200
    world.clock.advance(later_s)
    answer = await holder.trade(expired_token=holder.forge(jti="another tab"))
    assert answer.status_code == status
    if status == 401:
        await refused(answer, "refresh_token_not_found")
    assert await status_of(holder) == becomes


class TestTheft:
    async def test_it_is_said_in_the_log_without_any_token(self, world, holder, caplog):
        first = await holder.trade()
        world.clock.advance(90)
        with caplog.at_level(logging.WARNING, "gateway.authority"):
            await holder.trade(expired_token=holder.forge(jti="thief"))
        (record,) = caplog.records
        assert holder.session_id in record.getMessage()
        assert world.users["Ada"] in record.getMessage()
        assert "90 seconds" in record.getMessage()
        for secret in (holder.token, holder.refresh_token, first.json()["cookies"][0].partition(";")[0]):
            assert secret not in caplog.text

    async def test_an_event_tells_of_it_and_of_the_request_that_found_it_out(self, world, holder):
        realm = world.authority.realm
        assert realm.outbox.endpoints.add(Endpoint.new("http://127.0.0.1:3000/hook", realm.now_ms()))
        await holder.trade()
        world.clock.advance(90)
        world.api.headers["User-Agent"] = "gateway/1"
        await holder.trade(expired_token=holder.forge(jti="thief"))
        (row,) = realm.database.rows("SELECT body FROM webhook_messages")
        event = json.loads(row["body"])
        assert event["type"] == "session.revoked"
        assert event["event_attributes"]["http_request"] == {"client_ip": "127.0.0.1", "user_agent": "gateway/1"}

    async def test_nobody_refreshes_the_session_afterwards(self, world, holder, read_cookies):
        cookies = read_cookies((await holder.trade()).json()["cookies"])
        world.clock.advance(90)
        await holder.trade(expired_token=holder.forge(jti="thief"))
        answer = await holder.trade(
            expired_token=cookies["__session"], refresh_token=cookies[f"__refresh_{holder.suffix}"]
        )
        await refused(answer, "session_refresh_inactive_session")

    async def test_the_form_of_a_token_tells_it_too(self, world, holder):
        assert (await holder.trade()).status_code == 200
        world.clock.advance(90)
        answer = await holder.trade(expired_token=holder.forge(jti="thief"), format="token")
        await refused(answer, "refresh_token_not_found")
        assert await status_of(holder) == "revoked"

    async def test_a_thief_who_was_first_is_found_out_at_the_second_use_of_both(self, world, holder, read_cookies):
        thief = read_cookies((await holder.trade()).json()["cookies"])
        world.clock.advance(30)
        await refused(await holder.trade(), "session_refresh_expired_session_token_consumed")
        browser = read_cookies(await world.handshake())
        world.clock.advance(90)
        name = f"__refresh_{holder.suffix}"
        answer = await holder.trade(expired_token=thief["__session"], refresh_token=thief[name])
        assert answer.status_code == 200
        world.clock.advance(30)
        answer = await holder.trade(expired_token=browser["__session"], refresh_token=browser[name])
        await refused(answer, "refresh_token_not_found")
        assert await status_of(holder) == "revoked"


class TestFalseAlarms:
    async def test_an_answer_that_was_lost_leads_to_a_handshake_and_no_further(self, world, holder, read_cookies):
        assert (await holder.trade()).status_code == 200  # and the gateway died
        for minutes in (1, 10, 100):
            world.clock.advance(60 * minutes)
            await refused(await holder.trade(), "session_refresh_expired_session_token_consumed")
        cookies = read_cookies(await world.handshake())
        world.clock.advance(90)
        answer = await holder.trade(
            expired_token=cookies["__session"], refresh_token=cookies[f"__refresh_{holder.suffix}"]
        )
        assert answer.status_code == 200
        assert await status_of(holder) == "active"

    async def test_a_repetition_after_the_answer_was_used_is_theft(self, world, holder, read_cookies):
        cookies = read_cookies((await holder.trade()).json()["cookies"])
        world.clock.advance(90)
        answer = await holder.trade(
            expired_token=cookies["__session"], refresh_token=cookies[f"__refresh_{holder.suffix}"]
        )
        assert answer.status_code == 200
        await refused(await holder.trade(), "refresh_token_not_found")
        assert await status_of(holder) == "revoked"

    async def test_two_tabs_may_each_get_a_successor_and_the_browser_keeps_any(self, world, holder, read_cookies):
        name = f"__refresh_{holder.suffix}"
        answers = [await holder.trade(), await holder.trade(expired_token=holder.forge(jti="another tab"))]
        for kept in (read_cookies(answer.json()["cookies"]) for answer in answers[:1]):
            world.clock.advance(90)
            answer = await holder.trade(expired_token=kept["__session"], refresh_token=kept[name])
            assert answer.status_code == 200

    async def test_a_handshake_makes_no_thief_of_a_tab_that_still_sends_the_earlier_token(self, world, holder):
        await world.handshake()
        assert (await holder.trade()).status_code == 200
        assert await status_of(holder) == "active"

    @pytest.mark.parametrize("is_late", [False, True])
    async def test_an_answer_that_comes_after_a_handshake_is_as_good_as_it(self, world, holder, read_cookies, is_late):
        """The upstream took long, so the answer of the refresh reached the browser after the other tab's handshake."""
        late = read_cookies((await holder.trade()).json()["cookies"])
        world.clock.advance(12)
        early = read_cookies(await world.handshake())
        name, kept = f"__refresh_{holder.suffix}", late if is_late else early
        for _ in range(3):
            world.clock.advance(90)
            answer = await holder.trade(expired_token=kept["__session"], refresh_token=kept[name])
            assert answer.status_code == 200
            kept = read_cookies(answer.json()["cookies"])

    async def test_gateways_of_several_hosts_do_not_retire_each_others_tokens(self, world, holder, read_cookies):
        other = read_cookies(await world.handshake(redirect_url="http://other.test/page"))
        world.clock.advance(90)
        name = f"__refresh_{holder.suffix}"
        for _ in range(3):
            answer = await holder.trade()
            assert answer.status_code == 200
            cookies = read_cookies(answer.json()["cookies"])
            holder.token, holder.refresh_token = cookies["__session"], cookies[name]
            world.clock.advance(90)
        answer = await holder.trade(
            expired_token=other["__session"], refresh_token=other[name], request_origin="http://other.test"
        )
        assert answer.status_code == 200
        assert await status_of(holder) == "active"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"expired_token": ...}, "form_param_missing"),
        ({"refresh_token": None}, "form_param_nil"),
        ({"request_origin": 1}, "form_param_value_invalid"),
        ({"request_headers": []}, "form_param_value_invalid"),
        ({"format": "jwt"}, "form_param_value_invalid"),
        ({"cookies": True}, "form_param_unknown"),
    ],
)
async def test_a_bad_body_is_400_by_the_specification(holder, change, code):
    answer = await holder.trade(**change)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)


async def test_a_bad_query_is_400_too(holder):
    answer = await holder.trade(params={"suffixed_cookies": "maybe"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "form_param_value_invalid")


async def test_activity_puts_off_abandonment(world, holder):
    before = (await world.api.get(f"/v1/sessions/{holder.session_id}")).json()
    await holder.trade()
    after = (await world.api.get(f"/v1/sessions/{holder.session_id}")).json()
    assert after["abandon_at"] - before["abandon_at"] == 90_000
    assert after["expire_at"] == before["expire_at"]
