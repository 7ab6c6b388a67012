"""A Frontend API under a path of the site's own origin: what it issued counts there, remembered or not."""

import pytest

from gateway.authenticator.driver import Authenticator
from gateway.authenticator.verified import VerifiedTokens
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.verdict import State
from tests.authenticator.engine_kit import ISSUER, NAMES, Clock, Keys, mint, rules

FETCH = {"sec-fetch-dest": "empty"}


def at(host: str, token: str, carrier: str) -> tuple[RequestFacts, list[bytes]]:
    url = PublicUrl("https", host, "/api")
    if carrier == "bearer":
        return RequestFacts("GET", url, bearer=token, headers=FETCH), []
    cookies = {NAMES.session: (token,), NAMES.client_uat: ("1700000000",)}
    header = "; ".join(f"{name}={values[0]}" for name, values in cookies.items()).encode()
    return RequestFacts("GET", url, cookies=cookies, headers=FETCH), [header]


@pytest.mark.parametrize("carrier", ["bearer", "cookie"])
@pytest.mark.parametrize(("issuer", "counts_elsewhere"), [("https://a.test/__clerk", False), (ISSUER, True)])
async def test_a_remembered_token_counts_where_its_issuer_is(carrier: str, issuer: str, counts_elsewhere: bool) -> None:
    engine = Authenticator(rules(proxy_path="/__clerk"), Keys("key_1"), VerifiedTokens(), clock=Clock())
    token = mint(iss=issuer)
    for host, counts in (("a.test", True), ("b.test", counts_elsewhere), ("a.test", True)):
        facts, header = at(host, token, carrier)
        verdict = engine.recall(facts, header) or await engine.authenticate(facts, header)
        assert (verdict.state is State.SIGNED_IN) is counts, (host, verdict.reason)
    facts, header = at("a.test", token, carrier)
    assert engine.recall(facts, header) is not None
