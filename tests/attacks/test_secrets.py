"""What the gateway writes: one line per request, nothing secret, whatever a client sends."""

from tests.attacks.attack_kit import PAGE, SECRET_KEY, Target, browser, expired_token, token
from tests.core.minting import NAMES


def test_no_token_cookie_nonce_or_key_is_ever_written(target: Target) -> None:
    session, old, refresh, nonce = token(jti="log"), expired_token(jti="log"), "rt_not-to-be-logged", "nonce-not-to-be"
    target.authority.payloads[nonce] = [f"{NAMES.session}={session}"]
    answers = [
        target.get(f"/?__clerk_handshake_nonce={nonce}&__session={session}", *PAGE),
        target.get(f"/?token={session}", bearer=session),
        target.get("/", cookies=browser(old, refresh=refresh)),
        target.get("/", *PAGE, cookies=browser(old, refresh=refresh)),
        target.get("/", bearer=session[:-9]),
        target.get("/.gateway/whoami", bearer=session),
        target.get("/.gateway/readyz"),
    ]
    target.get("/last-of-the-secrets")
    target.log.wait_for("/last-of-the-secrets")
    for secret in (session, session[:60], session[-40:], old[-40:], refresh, nonce, SECRET_KEY):
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
