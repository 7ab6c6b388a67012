"""What the gateway writes: one line per request, nothing secret, whatever a client sends."""

import pytest

from tests.attacks.attack_kit import PAGE, SECRET_KEY, Target, browser, expired_token, token
from tests.core.minting import NAMES, STATE


def test_no_token_cookie_nonce_or_key_is_ever_written(target: Target) -> None:
    session, old, refresh, nonce = token(jti="log"), expired_token(jti="log"), "rt_not-to-be-logged", "nonce-not-to-be"
    target.authority.payloads[nonce] = [f"{NAMES.session}={session}"]
    answers = [
        target.returned(f"/?__clerk_handshake_nonce={nonce}&__session={session}", *PAGE),
        target.get(f"/?token={session}", bearer=session),
        target.get("/", cookies=browser(old, refresh=refresh)),
        target.get("/", *PAGE, cookies=browser(old, refresh=refresh)),
        target.get("/", bearer=session[:-9]),
        target.get("/.gateway/whoami", bearer=session),
        target.get("/.gateway/readyz"),
    ]
    target.get("/last-of-the-secrets")
    target.log.wait_for("/last-of-the-secrets")
    for secret in (session, session[:60], session[-40:], old[-40:], refresh, nonce, SECRET_KEY, STATE):
        assert secret not in target.log.output
    for answer in answers:
        assert SECRET_KEY.encode() not in answer.raw
        assert refresh.encode() not in answer.raw
    assert "Traceback" not in target.log.output


def test_no_request_writes_a_line_or_a_colour_of_its_own(target: Target) -> None:
    target.get("/%0a200%20GET%20/forged-line", bearer=token())
    target.get("/health/%1b[31mforged-colour")
    target.get("/health/forged  200  GET  /", method="GET")
    target.get("/health/" + "forged-long" * 400)
    target.get("/forged", method="FORGED-METHOD" * 20)
    target.get("/last-of-the-forged")
    target.log.wait_for("/last-of-the-forged")
    assert "\x1b[31m" not in target.log.output
    for line in target.log.output.splitlines():
        assert not line.startswith("200 GET /forged")
        assert len(line) < 1500


ODD = {
    "line end": "\n200  GET  /forged-line",
    "carriage return": "\r\nX-Evil: 1",
    "colour": "\x1b[31mforged",
    "Unicode line end": "\u2028forged\u0085",
    "right to left": "\u202eforged",
    "null": "\x00forged",
    "long": "forged" * 2000,
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_what_an_api_answers_reaches_neither_a_header_nor_the_log(target: Target, odd: str) -> None:
    refresh = f"rt_odd_code_{len(odd)}"
    target.authority.codes[refresh] = f"some_code{odd}"
    reply = target.get("/", cookies=browser(expired_token(jti=refresh), refresh=refresh))
    assert reply.status == 401
    assert b"forged" not in reply.raw
    assert reply.values("x-evil") == []
    assert b"unexpected-bapi-error" in reply.body


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_claims_user_agent_and_odd_identifiers_are_never_written(target: Target, odd: str) -> None:
    """The log of the whole run is looked through at its end; here is what would show."""
    agent = odd.encode("utf-8").decode("latin-1").translate({0: None, 10: None, 13: None})
    for bearer in (token(sub=f"user_forged{odd[:900]}", nick=odd[:900]), token("mallory", header={"kid": odd[:900]})):
        target.get("/health-of-forged", ("User-Agent", f"forged-agent{agent}"), bearer=bearer)
    target.get("/last-of-the-odd")
    target.log.wait_for("/last-of-the-odd")
    assert "user_forged" not in target.log.output
    assert "forged-agent" not in target.log.output


def test_parameters_that_hold_secrets_are_not_written(target: Target) -> None:
    names = ("__session", "__clerk_handshake", "__clerk_handshake_nonce", "__clerk_db_jwt", "token", "code", "x")
    for name in names:
        target.get(f"/parameters?{name}=never-to-be-logged-{name}", *PAGE)
        target.get(f"/health/parameters?{name}=never-to-be-logged")
        target.get(f"/health/..?{name}=never-to-be-logged")
    target.get("/last-of-the-parameters")
    target.log.wait_for("/last-of-the-parameters")
    assert "never-to-be-logged" not in target.log.output
