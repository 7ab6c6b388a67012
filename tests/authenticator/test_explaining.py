"""An authenticator that says how it decides: the same verdicts, nothing remembered, nothing spent."""

import pytest

from gateway.authenticator.driver import Authenticator
from gateway.authenticator.explaining import API, NOT_ASKED
from gateway.authenticator.verified import VerifiedTokens
from gateway.core.cookies import HANDSHAKE_NONCE, STATE_OVER_HTTPS
from gateway.core.keys import VerificationKey
from gateway.core.reasons import Reason
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.trace import Mark, Recording
from gateway.core.verdict import How, State
from gateway.errors import ApiFailed, KeysUnavailable
from tests.authenticator.engine_kit import (
    STATE,
    Api,
    Clock,
    Keys,
    bearer_request,
    cookie_request,
    directives,
    expired,
    mint,
    rules,
)


def engine(keys: Keys | None = None, api: Api | None = None) -> Authenticator:
    return Authenticator(rules(), keys or Keys("key_1"), VerifiedTokens(), api, clock=Clock())


def coming_back() -> RequestFacts:
    """A page that a handshake came back to, with its answer in a cookie."""
    url = PublicUrl("https", "app.example.test", "/page", f"__gateway_state=1.{STATE}")
    cookies = {HANDSHAKE_NONCE: ("nonce_1",), STATE_OVER_HTTPS: (STATE,)}
    return RequestFacts("GET", url, cookies=cookies, headers={"sec-fetch-dest": "document"})


def told(trace: Recording, what: str) -> list[tuple[Mark, str]]:
    return [(step.mark, step.detail) for step in trace.steps if step.what == what]


async def test_a_remembered_token_is_checked_from_its_shape_on_and_not_remembered_again():
    authenticator, token = engine(), mint()
    await authenticator.authenticate(bearer_request(token))
    for _ in range(2):
        trace = Recording()
        explaining = authenticator.explaining(trace)
        assert explaining.recall(bearer_request(token)) is None
        verdict = await explaining.authenticate(bearer_request(token))
        assert (verdict.state, verdict.how) == (State.SIGNED_IN, How.SIGNATURE)
        assert told(trace, "signature") == [(Mark.OK, "")]
        assert told(trace, "key source") == [(Mark.CHOSEN, "the keys at hand")]


async def test_a_session_that_has_ended_is_known_to_have_ended():
    verified, trace = VerifiedTokens(), Recording()
    authenticator = Authenticator(rules(), Keys("key_1"), verified, clock=Clock())
    verified.end_session("sess_1", Clock()())
    verdict = await authenticator.explaining(trace).authenticate(bearer_request(mint()))
    assert verdict.reason == Reason.SESSION_ENDED
    assert told(trace, "session") == [(Mark.NO, "its session has ended since it was issued")]


async def test_where_a_key_comes_from_is_told():
    trace = Recording()
    keys = Keys()
    verdict = await engine(keys).explaining(trace).authenticate(bearer_request(mint()))
    assert verdict.reason == Reason.JWK_KID_MISMATCH
    assert told(trace, "key source") == [(Mark.ASKED, "the instance's keys were loaded; kid key_1")]
    assert keys.found == ["key_1"]

    trace = Recording()
    pinned = Keys("key_1")
    key = pinned.set["key_1"]
    pinned.set = {"key_1": VerificationKey("", key.algorithms, key.public)}
    await engine(pinned).explaining(trace).authenticate(bearer_request(mint()))
    assert told(trace, "key source") == [(Mark.CHOSEN, "the pinned instance.jwt_key, whatever the kid")]


async def test_keys_out_of_reach_are_told_and_nothing_is_known():
    trace = Recording()
    keys = Keys(error=KeysUnavailable(Reason.JWK_REMOTE_DNS, "api.clerk.com does not resolve"))
    verdict = await engine(keys).explaining(trace).authenticate(bearer_request(mint()))
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.JWK_REMOTE_DNS)
    assert told(trace, "key source") == [(Mark.NO, "jwk-remote-dns: api.clerk.com does not resolve")]


async def test_an_expired_token_is_not_traded_unless_that_is_wanted():
    api, trace = Api(directives(mint(jti="new"))), Recording()
    verdict = await engine(api=api).explaining(trace).authenticate(cookie_request(expired()))
    assert api.refreshes == []
    assert verdict.reason == f"session-token-expired-refresh-{NOT_ASKED}"
    assert told(trace, API) == [(Mark.SKIPPED, "would be asked for refresh: POST /v1/sessions/sess_1/refresh")]

    trace = Recording()
    verdict = await engine(api=api).explaining(trace, live=True).authenticate(cookie_request(expired()))
    assert len(api.refreshes) == 1
    assert (verdict.state, verdict.how) == (State.SIGNED_IN, How.REFRESH)
    assert told(trace, API) == [(Mark.ASKED, "for refresh: POST /v1/sessions/sess_1/refresh")]


async def test_a_nonce_is_not_asked_for_unless_that_is_wanted():
    api = Api(directives(mint()))
    page = coming_back()
    trace = Recording()
    await engine(api=api).explaining(trace).authenticate(page)
    assert api.nonces == []
    (skipped,) = told(trace, API)
    assert skipped == (
        Mark.SKIPPED,
        "would be asked for the handshake's answer: GET /v1/clients/handshake_payload",
    )
    verdict = await engine(api=api).explaining(Recording(), live=True).authenticate(page)
    assert api.nonces == ["nonce_1"]
    assert verdict.state is State.SIGNED_OUT or verdict.how is How.HANDSHAKE


@pytest.mark.parametrize("is_nonce", [True, False])
async def test_a_failure_of_the_api_is_told(is_nonce: bool):
    trace = Recording()
    api = Api(ApiFailed(500, "broken"))
    facts = coming_back() if is_nonce else cookie_request(expired())
    await engine(api=api).explaining(trace, live=True).authenticate(facts)
    assert told(trace, API)[-1] == (Mark.NO, "HTTP 500: broken")


async def test_without_a_secret_key_there_is_no_api_to_tell_of():
    trace = Recording()
    await engine().explaining(trace).authenticate(cookie_request(expired()))
    assert told(trace, API) == []


async def test_closing_leaves_the_key_source_to_its_owner():
    keys = Keys("key_1")
    explaining = engine(keys).explaining(Recording())
    await explaining.close()
    assert not keys.is_closed
