"""What a route does with a verdict."""

from itertools import product
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.core.claims import session_claims
from gateway.core.loop_causes import Finding, LoopCause
from gateway.core.policy import Pass, Redirect, Refuse, SignIn, accounts_portal, act
from gateway.core.reasons import TABLE, Reason
from gateway.core.request import PublicUrl
from gateway.core.requirement import Requirement
from gateway.core.secret import Secret
from gateway.core.settings_model import Access, OnSignedOut, RouteSettings
from gateway.core.verdict import State, Verdict
from tests.core.minting import DEVELOPMENT, FETCH, PAGE, PRODUCTION, claims_of, request

SIGN_IN = SignIn("https://accounts.example.test/sign-in", PRODUCTION)
IN = Verdict(State.SIGNED_IN)
NOBODY = Verdict(State.SIGNED_OUT, Reason.SESSION_TOKEN_AND_UAT_MISSING)
MISSING = Verdict(State.SIGNED_OUT, Reason.SESSION_TOKEN_MISSING)
NEW = Verdict(State.SIGNED_OUT, Reason.DEV_BROWSER_MISSING)
BAD = Verdict(State.SIGNED_OUT, Reason.TOKEN_INVALID_SIGNATURE)
LOOP = Verdict(State.SIGNED_OUT, Reason.SESSION_TOKEN_AND_UAT_MISSING, loop=Finding(LoopCause.UNKNOWN))
AWAY = Verdict(State.HANDSHAKE, Reason.SESSION_TOKEN_NBF, location="https://clerk.example.test/handshake")
BACK = Verdict(State.SIGNED_IN, location="https://app.example.test/page")
UNKNOWN = Verdict(State.UNKNOWN, Reason.JWK_REMOTE_DNS)
TO_HANDSHAKE, TO_PAGE = Redirect(AWAY.location), Redirect(BACK.location)
TO_SIGN_IN = Redirect("https://accounts.example.test/sign-in?redirect_url=https%3A%2F%2Fapp.example.test%2Fpage")
AUTO, REDIRECT, REFUSE = OnSignedOut.AUTO, OnSignedOut.REDIRECT, OnSignedOut.UNAUTHORIZED
OPTIONAL, REQUIRED = Access.OPTIONAL, Access.REQUIRED


@pytest.mark.parametrize(
    ("verdict", "access", "on_signed_out", "method", "headers", "action"),
    [
        pytest.param(IN, REQUIRED, AUTO, "POST", FETCH, Pass(), id="signed in passes"),
        pytest.param(IN, OPTIONAL, REFUSE, "GET", PAGE, Pass(), id="signed in passes on an optional route"),
        pytest.param(BACK, REQUIRED, AUTO, "GET", PAGE, TO_PAGE, id="a handshake's parameters leave the URL first"),
        pytest.param(BACK, REQUIRED, REFUSE, "GET", PAGE, Pass(), id="a route that only refuses passes at once"),
        pytest.param(NOBODY, OPTIONAL, AUTO, "GET", PAGE, Pass(), id="nobody passes on an optional route"),
        pytest.param(BAD, OPTIONAL, AUTO, "POST", FETCH, Pass(), id="a bad token passes there as nobody"),
        pytest.param(NOBODY, REQUIRED, AUTO, "GET", PAGE, TO_SIGN_IN, id="nobody with a page goes to sign in"),
        pytest.param(MISSING, REQUIRED, AUTO, "GET", PAGE, TO_SIGN_IN, id="signed out by a handshake goes to sign in"),
        pytest.param(NOBODY, REQUIRED, AUTO, "HEAD", PAGE, Refuse(NOBODY.reason), id="HEAD is no page"),
        pytest.param(NOBODY, REQUIRED, AUTO, "POST", PAGE, Refuse(NOBODY.reason), id="a form is refused"),
        pytest.param(NOBODY, REQUIRED, AUTO, "GET", FETCH, Refuse(NOBODY.reason), id="a script is refused"),
        pytest.param(NOBODY, REQUIRED, REDIRECT, "GET", FETCH, TO_SIGN_IN, id="unless the route redirects all"),
        pytest.param(NOBODY, REQUIRED, REDIRECT, "HEAD", {}, TO_SIGN_IN, id="HEAD as well"),
        pytest.param(NEW, REQUIRED, REDIRECT, "GET", FETCH, TO_SIGN_IN, id="in development as well"),
        pytest.param(NEW, REQUIRED, AUTO, "GET", FETCH, Refuse(NEW.reason), id="a script is refused there too"),
        pytest.param(NEW, REQUIRED, REDIRECT, "POST", FETCH, Refuse(NEW.reason), id="and a form"),
        pytest.param(NOBODY, REQUIRED, REDIRECT, "POST", PAGE, Refuse(NOBODY.reason), id="a form even there not"),
        pytest.param(NOBODY, REQUIRED, REFUSE, "GET", PAGE, Refuse(NOBODY.reason), id="a route that only refuses"),
        pytest.param(BAD, REQUIRED, AUTO, "GET", PAGE, Refuse(BAD.reason), id="a bad token is told so"),
        pytest.param(BAD, REQUIRED, REDIRECT, "GET", PAGE, Refuse(BAD.reason), id="even where all are redirected"),
        pytest.param(LOOP, REQUIRED, AUTO, "GET", PAGE, Refuse(LOOP.reason), id="a loop ends"),
        pytest.param(LOOP, REQUIRED, REDIRECT, "GET", PAGE, Refuse(LOOP.reason), id="a loop ends there as well"),
        pytest.param(AWAY, REQUIRED, AUTO, "GET", PAGE, TO_HANDSHAKE, id="a handshake"),
        pytest.param(AWAY, OPTIONAL, AUTO, "GET", PAGE, TO_HANDSHAKE, id="a handshake on an optional route"),
        pytest.param(AWAY, REQUIRED, REFUSE, "GET", PAGE, Refuse(AWAY.reason), id="no handshake where only refused"),
        pytest.param(AWAY, OPTIONAL, REFUSE, "GET", PAGE, Pass(), id="nor on an optional route that never redirects"),
        pytest.param(UNKNOWN, REQUIRED, AUTO, "GET", PAGE, Refuse(UNKNOWN.reason), id="unknown is refused"),
        pytest.param(UNKNOWN, OPTIONAL, AUTO, "GET", FETCH, Refuse(UNKNOWN.reason), id="unknown is refused anywhere"),
    ],
)
def test_act(verdict: Verdict, access: Access, on_signed_out: OnSignedOut, method: str, headers: dict, action: object):
    terms = RouteSettings(access=access, on_signed_out=on_signed_out)
    assert act(verdict, request(method=method, headers=headers), terms, SIGN_IN) == action


OWNER = RouteSettings(require=Requirement(role="org:owner"))
MEMBER = RouteSettings(require=Requirement(role="org:member"))
SESSION = session_claims(claims_of(o={"id": "org_1", "rol": "member"}))
MEMBER_IN = Verdict(State.SIGNED_IN, claims=SESSION)
MEMBER_BACK = Verdict(State.SIGNED_IN, claims=SESSION, location=BACK.location)
MISSING_ROLE = Refuse(Reason.MISSING_ROLE)


@pytest.mark.parametrize(
    ("verdict", "terms", "headers", "action"),
    [
        pytest.param(MEMBER_IN, MEMBER, FETCH, Pass(), id="it holds"),
        pytest.param(MEMBER_IN, OWNER, FETCH, MISSING_ROLE, id="it does not"),
        pytest.param(MEMBER_IN, OWNER, PAGE, MISSING_ROLE, id="nobody is sent to sign in for it"),
        pytest.param(MEMBER_BACK, OWNER, PAGE, TO_PAGE, id="a handshake's parameters leave the URL before"),
        pytest.param(IN, MEMBER, FETCH, MISSING_ROLE, id="no claims, no role"),
        pytest.param(NOBODY, MEMBER, PAGE, TO_SIGN_IN, id="who is signed out is sent to sign in as anywhere"),
        pytest.param(NOBODY, MEMBER, FETCH, Refuse(NOBODY.reason), id="or refused for that"),
        pytest.param(AWAY, MEMBER, PAGE, TO_HANDSHAKE, id="a handshake comes first"),
        pytest.param(UNKNOWN, MEMBER, PAGE, Refuse(UNKNOWN.reason), id="what cannot be known is no 403"),
    ],
)
def test_act_on_a_route_with_a_requirement(verdict: Verdict, terms: RouteSettings, headers: dict, action: object):
    assert act(verdict, request(headers=headers), terms, SIGN_IN) == action


@pytest.mark.parametrize("access", [Access.PUBLIC, Access.OPTIONAL])
def test_a_route_that_lets_people_pass_without_a_session_cannot_ask_anything_of_it(access: Access):
    with pytest.raises(ValueError, match="asked of sessions"):
        RouteSettings(access=access, require=Requirement(role="org:owner"))


def test_on_a_required_route_nobody_but_the_signed_in_ever_passes():
    states = [state for state in State if state is not State.SIGNED_IN]
    for state, reason, terms, method, headers, location, loop in product(
        states, [*TABLE, "", "new"], OnSignedOut, ["GET", "POST", "HEAD", "X"], [PAGE, FETCH], ["", "https://x"], [0, 1]
    ):
        verdict = Verdict(state, reason, location=location, loop=Finding(LoopCause.UNKNOWN) if loop else None)
        settings = RouteSettings(on_signed_out=terms)
        action = act(verdict, request(method=method, headers=headers), settings, SIGN_IN)
        assert not isinstance(action, Pass), (state, reason, terms, method)
        assert method in {"GET", "HEAD"} or isinstance(action, Refuse)


def test_a_redirect_does_not_print_what_it_carries():
    assert "s3cret" not in repr(Redirect("https://a.test/?__session=s3cret"))


URL = PublicUrl("https", "app.example.test", "/a", "b=1&__clerk_db_jwt=old")


@pytest.mark.parametrize(
    ("address", "kind", "dev_browser", "expected"),
    [
        pytest.param("https://in.test/in", PRODUCTION, "d", {}, id="production never carries it"),
        pytest.param("https://in.test/in", DEVELOPMENT, "", {}, id="there is none"),
        pytest.param("https://in.test/in", DEVELOPMENT, "d", {"__clerk_db_jwt": ["d"]}, id="to another host"),
        pytest.param("https://app.example.test/in", DEVELOPMENT, "d", {}, id="to the same host"),
        pytest.param(
            "https://app.example.test:1/in", DEVELOPMENT, "d", {"__clerk_db_jwt": ["d"]}, id="to another port"
        ),
        pytest.param("https://in.test/in?x=1", PRODUCTION, "", {"x": ["1"]}, id="the page has a query"),
    ],
)
def test_the_sign_in_address_comes_back_here(address: str, kind, dev_browser: str, expected: dict):
    found = parse_qs(urlsplit(SignIn(address, kind).location(URL, dev_browser)).query)
    assert found == {"redirect_url": ["https://app.example.test/a?b=1"]} | expected


def test_a_developer_takes_the_dev_browser_along():
    verdict = Verdict(State.SIGNED_OUT, Reason.SESSION_TOKEN_AND_UAT_MISSING, dev_browser=Secret("d"))
    action = act(verdict, request(), RouteSettings(), SignIn("https://in.test/in", DEVELOPMENT))
    assert isinstance(action, Redirect)
    assert action.location.endswith("&__clerk_db_jwt=d")


@pytest.mark.parametrize(
    ("frontend_api", "portal"),
    [
        ("clerk.example.com", "https://accounts.example.com/sign-in"),
        ("foo-bar-1.clerk.accounts.dev", "https://foo-bar-1.accounts.dev/sign-in"),
        ("foo-bar-1.clerk.accountsstage.dev", "https://foo-bar-1.accountsstage.dev/sign-in"),
        ("clerk.clerk.example.com", "https://accounts.clerk.example.com/sign-in"),
        ("127.0.0.1:8001", "https://127.0.0.1:8001/sign-in"),
    ],
)
def test_the_hosted_sign_in_page(frontend_api: str, portal: str):
    assert accounts_portal(frontend_api) == portal
