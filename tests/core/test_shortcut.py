"""When cookies alone decide: every other way in which a request can change the decision takes the long way."""

import pytest

from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.shortcut import rests_on_cookies

FETCH = {"sec-fetch-dest": "empty"}


def facts(query: str = "", method: str = "GET", **headers: str) -> RequestFacts:
    named = {name.replace("_", "-"): value for name, value in headers.items()} or FETCH
    return RequestFacts(method, PublicUrl("https", "app.example.test", "/page", query), headers=named)


@pytest.mark.parametrize("query", ["", "page=2", "q=a+b&r", "x=__session"])
def test_requests_of_scripts_rest_on_their_cookies(query):
    assert rests_on_cookies(facts(query))


@pytest.mark.parametrize(
    "query",
    [
        "__clerk_db_jwt=x",
        "a=1&__clerk_handshake=x",
        "__clerk_handshake_nonce=x",
        "__clerk_synced=false",
        "__clerk_redirect_url=x",
        "%5F%5Fclerk_db_jwt=x",
        "q=%20",
    ],
)
def test_parameters_that_may_bring_a_session_take_the_long_way(query):
    assert not rests_on_cookies(facts(query))


@pytest.mark.parametrize(
    "headers", [{"sec_fetch_dest": "document"}, {"sec_fetch_dest": "iframe"}, {"accept": "text/html"}]
)
def test_pages_that_are_opened_take_the_long_way(headers):
    assert not rests_on_cookies(facts(**headers))
    assert rests_on_cookies(facts(method="POST", **headers))
