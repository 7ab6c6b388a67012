"""When cookies alone decide: every other way in which a request can change the decision takes the long way."""

from dataclasses import replace

import pytest

from gateway.core.organization_sync import OrganizationPatterns, Pattern
from gateway.core.referrers import KnownPages
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.shortcut import brings_handshake, rests_on_cookies
from tests.core.minting import rules

RULES = rules()
FETCH = {"sec-fetch-dest": "empty"}


def facts(query: str = "", method: str = "GET", **headers: str) -> RequestFacts:
    named = {name.replace("_", "-"): value for name, value in headers.items()} or FETCH
    return RequestFacts(method, PublicUrl("https", "app.example.test", "/page", query), headers=named)


@pytest.mark.parametrize("query", ["", "page=2", "q=a+b&r", "x=__session"])
def test_requests_of_scripts_rest_on_their_cookies(query):
    assert rests_on_cookies(facts(query), RULES)


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
    assert not rests_on_cookies(facts(query), RULES)


PAGES = [{"sec_fetch_dest": "document"}, {"sec_fetch_dest": "iframe"}, {"accept": "text/html"}]


@pytest.mark.parametrize("headers", PAGES)
def test_pages_rest_on_their_cookies_where_there_is_nothing_to_follow(headers):
    assert rests_on_cookies(facts(**headers), RULES)
    assert rests_on_cookies(facts(**headers), rules(known_pages=KnownPages("clerk.example.test")))


@pytest.mark.parametrize("headers", PAGES)
def test_pages_take_the_long_way_where_an_organization_follows_the_url(headers):
    patterns = OrganizationPatterns((Pattern.parse("/orgs/:slug"),))
    assert not rests_on_cookies(facts(**headers), rules(organizations=patterns))
    assert rests_on_cookies(facts(method="POST", **headers), rules(organizations=patterns))


@pytest.mark.parametrize(
    ("referer", "rests"),
    [
        ("https://app.example.test/before", True),
        ("https://clerk.example.test/x", True),
        ("https://elsewhere.test/x", False),
        ("https://app.example.test.elsewhere.test/", False),
        ("https://app.example.test@elsewhere.test/", False),
    ],
)
def test_pages_that_another_site_opened_take_the_long_way(referer, rests):
    opened = facts(sec_fetch_dest="document", referer=referer)
    assert rests_on_cookies(opened, rules(known_pages=KnownPages("clerk.example.test"))) is rests


@pytest.mark.parametrize("name", ["__clerk_handshake", "__clerk_handshake_nonce"])
def test_cookies_of_a_handshake_are_told(name):
    assert brings_handshake(replace(facts(), cookies={name: ("x",)}))
    assert not brings_handshake(replace(facts(), cookies={"__session": ("x",)}))
