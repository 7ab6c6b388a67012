"""The driver: fetches what the machine asks for, remembers what was verified, and knows when it cannot know."""

import asyncio

import pytest

from gateway.authenticator.driver import Authenticator
from gateway.authenticator.machines import Machines
from gateway.authenticator.nonces import MEMORY_S
from gateway.authenticator.verified import VerifiedTokens
from gateway.core.machine_claims import MachineClaims, MachineRecord
from gateway.core.reasons import Reason
from gateway.core.settings_model import RefreshSettings
from gateway.core.token_class import TokenType
from gateway.core.verdict import How, State
from gateway.errors import ApiErrorItem, ApiFailed, ApiRefused, ApiUnreachable, KeysUnavailable
from tests.authenticator.engine_kit import (
    NAMES,
    NOW,
    Api,
    Clock,
    Keys,
    bearer_request,
    cookie_request,
    directives,
    expired,
    mint,
    rules,
    settle,
)


def engine(keys: Keys | None = None, api: Api | None = None, **settings: object) -> Authenticator:
    chosen = {"clock": Clock(), **settings}
    rows = chosen.pop("rules", rules())
    return Authenticator(rows, keys or Keys("key_1"), VerifiedTokens(), api, **chosen)


async def test_a_good_token_is_signed_in_by_its_signature_and_then_from_the_cache():
    authenticator, token = engine(), mint()
    first = await authenticator.authenticate(bearer_request(token))
    second = await authenticator.authenticate(bearer_request(token))
    assert [(verdict.state, verdict.how) for verdict in (first, second)] == [
        (State.SIGNED_IN, How.SIGNATURE),
        (State.SIGNED_IN, How.CACHE),
    ]
    assert second.claims.user_id == "user_1"


async def test_a_cached_token_is_refused_as_soon_as_it_has_expired():
    clock = Clock()
    authenticator, token = engine(clock=clock), mint()
    await authenticator.authenticate(bearer_request(token))
    clock.advance(61)
    verdict = await authenticator.authenticate(bearer_request(token))
    assert (verdict.state, verdict.claims) == (State.SIGNED_OUT, None)
    assert verdict.reason == "session-token-expired-refresh-non-eligible-no-refresh-cookie"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (mint("key_2"), Reason.JWK_KID_MISMATCH),
        (mint("key_2", header={"kid": "key_1"}), Reason.TOKEN_INVALID_SIGNATURE),
        (mint(iss="https://clerk.evil.test"), Reason.TOKEN_INVALID_ISSUER),
        (mint(header={"cat": "cl_B7d4PD222AAA"}), Reason.TOKEN_TYPE_MISMATCH),
        ("x.y.z", Reason.TOKEN_INVALID),
        ("", Reason.TOKEN_INVALID),
    ],
    ids=["unknown key", "forged", "other instance", "template", "junk", "empty"],
)
async def test_a_bad_token_is_signed_out_and_never_remembered(token, reason):
    authenticator = engine()
    for _ in range(2):
        verdict = await authenticator.authenticate(bearer_request(token))
        assert (verdict.state, verdict.reason, verdict.claims) == (State.SIGNED_OUT, reason, None)


async def test_a_key_that_is_not_at_hand_is_looked_for_once_for_each_cold_token():
    keys = Keys()
    authenticator = engine(keys)
    await authenticator.authenticate(bearer_request(mint()))
    assert keys.found == ["key_1"]


async def test_keys_out_of_reach_are_unknown_and_not_signed_out():
    keys = Keys(error=KeysUnavailable(Reason.JWK_REMOTE_DNS, "no such name", retry_after_s=7))
    verdict = await engine(keys).authenticate(bearer_request(mint()))
    assert (verdict.state, verdict.reason, verdict.retry_after_s) == (State.UNKNOWN, Reason.JWK_REMOTE_DNS, 7)
    assert verdict.message == "no such name"


async def test_an_expired_cookie_token_is_refreshed_and_the_new_one_remembered():
    new = mint()
    api = Api(directives(new))
    authenticator = engine(api=api)
    verdict = await authenticator.authenticate(cookie_request(expired()))
    assert (verdict.state, verdict.how) == (State.SIGNED_IN, How.REFRESH)
    assert [cookie.name for cookie in verdict.cookies] == [NAMES.refresh, NAMES.session]
    assert (await authenticator.authenticate(bearer_request(new))).how is How.CACHE


async def test_a_refresh_that_brings_another_users_session_signs_nobody_in():
    api = Api(directives(mint(sub="user_2", sid="sess_2")))
    verdict = await engine(api=api).authenticate(cookie_request(expired()))
    assert (verdict.state, verdict.claims) == (State.HANDSHAKE, None)
    assert verdict.reason == "session-token-expired-refresh-session-mismatch"


async def test_a_refused_refresh_sends_the_browser_to_the_handshake_with_the_apis_code():
    api = Api(ApiRefused(401, [ApiErrorItem("session_refresh_inactive_session", "no")]))
    verdict = await engine(api=api).authenticate(cookie_request(expired()))
    assert verdict.state is State.HANDSHAKE
    assert verdict.reason == "session-token-expired-refresh-session_refresh_inactive_session"


async def test_a_refresh_beyond_its_budget_has_the_tail_timeout():
    api = Api((), gate=asyncio.Event())
    verdict = await engine(api=api, refresh=RefreshSettings(budget_ms=1)).authenticate(
        cookie_request(expired(), method="POST")
    )
    assert (verdict.state, verdict.reason) == (State.SIGNED_OUT, "session-token-expired-refresh-timeout")


async def test_without_a_secret_key_an_expired_token_is_not_refreshed():
    settings = rules(has_refresh=False, has_api=False)
    verdict = await engine(rules=settings).authenticate(cookie_request(expired(), method="POST"))
    assert verdict.reason == "session-token-expired-refresh-not-configured"


async def test_without_an_api_even_rules_that_ask_for_a_refresh_get_none():
    verdict = await engine().authenticate(cookie_request(expired(), method="POST"))
    assert verdict.reason == "session-token-expired-refresh-not-configured"


async def test_two_hundred_parallel_requests_with_one_expired_token_make_one_refresh():
    api = Api(directives(mint()), gate=asyncio.Event())
    authenticator, facts = engine(api=api, refresh=RefreshSettings(budget_ms=60_000)), cookie_request(expired())
    waiting = [asyncio.create_task(authenticator.authenticate(facts)) for _ in range(200)]
    await settle()
    api.gate.set()
    verdicts = await asyncio.gather(*waiting)
    assert {verdict.state for verdict in verdicts} == {State.SIGNED_IN}
    assert len({verdict.cookies for verdict in verdicts}) == 1
    assert len(api.refreshes) == 1
    late = await authenticator.authenticate(facts)
    assert (late.state, len(api.refreshes)) == (State.SIGNED_IN, 1)


async def test_a_nonce_is_traded_for_the_cookies_behind_it():
    api = Api(directives(mint()))
    facts = cookie_request(expired(), query="a=1&__clerk_handshake_nonce=n1")
    verdict = await engine(api=api).authenticate(facts)
    assert (verdict.state, verdict.how, verdict.location) == (
        State.SIGNED_IN,
        How.HANDSHAKE,
        "https://app.example.test/page?a=1",
    )
    assert api.nonces == ["n1"]


@pytest.mark.parametrize("answer", [(), ApiFailed(404, "no such nonce"), ApiUnreachable("timeout", "slow")], ids=repr)
async def test_a_spent_nonce_is_asked_for_once_and_changes_nothing(answer):
    timer, api = Clock(), Api(answer)
    authenticator = engine(api=api, timer=timer)
    facts = cookie_request(mint(), query="__clerk_handshake_nonce=spent")
    for _ in range(3):
        assert (await authenticator.authenticate(facts)).state is State.SIGNED_IN
    assert api.nonces == ["spent"]
    timer.advance(MEMORY_S + 1)
    await authenticator.authenticate(facts)
    assert api.nonces == ["spent", "spent"]


async def test_without_an_api_a_nonce_is_left_alone():
    facts = cookie_request(mint(), query="__clerk_handshake_nonce=n1")
    assert (await engine().authenticate(facts)).state is State.SIGNED_IN


async def test_nothing_of_a_token_is_in_the_text_of_a_verdict():
    token = mint()
    verdict = await engine().authenticate(bearer_request(token))
    assert all(part not in repr(verdict) for part in token.split("."))


async def test_closing_closes_the_key_source_with_and_without_an_api():
    for api in (None, Api()):
        keys = Keys("key_1")
        await engine(keys, api).close()
        assert keys.is_closed


async def test_the_clock_is_asked_once_for_each_request():
    asked: list[float] = []

    def clock() -> float:
        asked.append(NOW)
        return NOW

    await engine(clock=clock).authenticate(bearer_request(mint()))
    assert len(asked) == 1


# Machines


class Vault:
    """Knows one API key."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[str] = []

    async def verify(self, kind: TokenType, token: str) -> MachineRecord:
        self.calls.append(token)
        if self.error is not None:
            raise self.error
        return MachineRecord(MachineClaims(type=kind, id="id_1", subject="user_1", scopes=("read",)))


MACHINES_ONLY = (TokenType.API_KEY,)


async def test_a_machine_is_signed_in_by_the_api_and_then_from_the_cache():
    vault = Vault()
    authenticator = engine(machines=Machines(vault))
    verdicts = [await authenticator.authenticate(bearer_request("ak_1"), accepts=MACHINES_ONLY) for _ in range(2)]
    assert [(verdict.state, verdict.how) for verdict in verdicts] == [
        (State.SIGNED_IN, How.API),
        (State.SIGNED_IN, How.CACHE),
    ]
    assert {verdict.machine.subject for verdict in verdicts} == {"user_1"}
    assert [verdict.claims for verdict in verdicts] == [None, None]
    assert vault.calls == ["ak_1"]


async def test_a_machine_is_nothing_where_sessions_alone_count():
    vault = Vault()
    authenticator = engine(machines=Machines(vault))
    await authenticator.authenticate(bearer_request("ak_1"), accepts=MACHINES_ONLY)
    verdict = await authenticator.authenticate(bearer_request("ak_1"))
    assert (verdict.state, verdict.reason, verdict.machine) == (State.SIGNED_OUT, Reason.TOKEN_INVALID, None)


async def test_an_api_that_does_not_say_is_unknown_and_not_signed_out():
    authenticator = engine(machines=Machines(Vault(ApiUnreachable("connect", "refused"))))
    verdict = await authenticator.authenticate(bearer_request("ak_1"), accepts=MACHINES_ONLY)
    assert (verdict.state, verdict.reason, verdict.retry_after_s) == (State.UNKNOWN, Reason.MACHINE_API_UNREACHABLE, 5)


async def test_without_a_key_to_ask_with_nothing_can_be_said():
    verdict = await engine().authenticate(bearer_request("ak_1"), accepts=MACHINES_ONLY)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.SECRET_KEY_INVALID)


async def test_a_machine_s_jwt_waits_for_keys_out_of_reach():
    keys = Keys(error=KeysUnavailable(Reason.JWK_REMOTE_DNS, "no such name"))
    token = mint(sub="mch_1", header={"cat": "cl_B7d4PD333AAA"})
    verdict = await engine(keys).authenticate(bearer_request(token), accepts=(TokenType.M2M_TOKEN,))
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.JWK_REMOTE_DNS)


async def test_a_machine_s_jwt_is_never_remembered_as_a_session():
    authenticator = engine()
    facts = bearer_request(mint(sub="mch_1", header={"cat": "cl_B7d4PD333AAA"}))
    for _ in range(2):
        verdict = await authenticator.authenticate(facts, accepts=(TokenType.M2M_TOKEN,))
        assert (verdict.state, verdict.how) == (State.SIGNED_IN, How.SIGNATURE)
        assert authenticator.recall(facts) is None
        assert (await authenticator.authenticate(facts)).reason == Reason.TOKEN_TYPE_MISMATCH


async def test_closing_ends_calls_about_machines():
    vault = Vault()
    authenticator = engine(machines=Machines(vault))
    await authenticator.authenticate(bearer_request("ak_1"), accepts=MACHINES_ONLY)
    await authenticator.close()


async def test_a_session_that_is_remembered_is_not_recalled_where_sessions_do_not_count():
    authenticator, facts = engine(), bearer_request(mint())
    await authenticator.authenticate(facts)
    assert authenticator.recall(facts) is not None
    assert authenticator.recall(facts, (), (TokenType.API_KEY,)) is None
