"""Which organization a URL is for, and when a browser fetches a session with another one active."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.claims import Organization
from gateway.core.organization_sync import OrganizationPatterns, Pattern, PatternError, Target
from gateway.core.reasons import Reason
from gateway.core.settings import Settings, parse
from gateway.core.verdict import State
from gateway.errors import ConfigurationError
from tests.core.minting import FETCH, KEYS, PAGE, PRODUCTION, judge, mint, request, rules, signed_in

PATTERNS = OrganizationPatterns(
    (Pattern.parse("/orgs/:slug/(.*)"), Pattern.parse("/by-id/:id/:slug")),
    (Pattern.parse("/me"), Pattern.parse("/orgs/(.*)")),
)
ACME = Organization("org_1", "acme")


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("/", "/", {}),
        ("/", "/a", None),
        ("/(.*)", "/", {}),
        ("/(.*)", "/a/b", {}),
        ("/orgs/:slug", "/orgs/acme", {"slug": "acme"}),
        ("/orgs/:slug", "/ORGS/Acme/", {"slug": "Acme"}),
        ("/orgs/:slug", "/orgs/%C3%A9", {"slug": "%C3%A9"}),
        ("/orgs/:slug", "/orgs", None),
        ("/orgs/:slug", "/orgs/", None),
        ("/orgs/:slug", "/orgs/acme/settings", None),
        ("/orgs/:slug/(.*)", "/orgs/acme", None),
        ("/orgs/:slug/(.*)", "/orgs/acme/", {"slug": "acme"}),
        ("/orgs/:slug/(.*)", "/orgs/acme/a/b", {"slug": "acme"}),
        ("/app/:any/orgs/:id", "/app/x/orgs/org_1", {"any": "x", "id": "org_1"}),
        ("/app/:any/orgs/:id", "/app/x/teams/org_1", None),
    ],
)
def test_pattern_matches_by_segments(pattern: str, path: str, found: dict[str, str] | None) -> None:
    assert Pattern.parse(pattern).match(path) == found


@pytest.mark.parametrize(
    "text", ["", "orgs", "/orgs/", "/a//b", "/(.*)/orgs", "/:slug?", "/a(b)", "/:", "/{a}", "/:a/:a", "/x:slug", "/*"]
)
def test_what_is_beyond_the_documented_patterns_is_refused(text: str) -> None:
    with pytest.raises(PatternError):
        Pattern.parse(text)


PATHS = st.text(max_size=20).map(lambda text: f"/{text}") | st.text("/a:%", max_size=20).map(lambda text: f"/{text}")


@given(st.text() | st.text("/:aid(.*)", max_size=20).map(lambda text: f"/{text}"), PATHS)
def test_no_text_raises_anything_else(text: str, path: str) -> None:
    with contextlib.suppress(PatternError):
        found = Pattern.parse(text).match(path)
        assert found is None or all(value and "/" not in value for value in found.values())


def test_a_pattern_takes_a_look_at_each_segment_and_no_more() -> None:
    """There is nothing to back-track: a long path that almost matches costs what a short one does for each segment."""

    class Counted(str):
        __slots__ = ()
        looks = 0

        def startswith(self, *arguments: object) -> bool:
            Counted.looks += 1
            return super().startswith(*arguments)

    pattern = Pattern(tuple(map(Counted, ("a", ":b") * 50)), has_rest=True)
    assert pattern.match("/a/x" * 2000) is not None
    assert Counted.looks == 100
    assert pattern.match("/a/x" * 49 + "/b" * 4000) is None
    assert Counted.looks < 200


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/orgs/acme/page", Target(slug="acme")),
        ("/by-id/org_1/acme", Target(id="org_1")),
        ("/orgs/acme", Target()),
        ("/me", Target()),
        ("/else", None),
    ],
)
def test_organizations_are_asked_before_the_personal_account(path: str, target: Target | None) -> None:
    assert PATTERNS.target(path) == target


@pytest.mark.parametrize(
    ("target", "organization", "is_active"),
    [
        (Target(), None, True),
        (Target(), ACME, False),
        (Target(id="org_1"), ACME, True),
        (Target(id="org_2"), ACME, False),
        (Target(slug="acme"), ACME, True),
        (Target(slug="ACME"), ACME, False),
        (Target(slug="acme"), None, False),
    ],
)
def test_right_organization_is_active(target: Target, organization: Organization | None, is_active: bool) -> None:
    assert target.is_active(organization) is is_active


UNDER = rules(organizations=OrganizationPatterns((Pattern.parse("/:slug"),)))


def test_page_of_another_organization_asks_for_it() -> None:
    verdict = judge(request(signed_in(mint())), UNDER)

    assert (verdict.state, verdict.reason) == (State.HANDSHAKE, Reason.ACTIVE_ORGANIZATION_MISMATCH)
    assert verdict.location.endswith("&organization_id=page")


def test_page_of_the_active_organization_opens() -> None:
    token = mint(o={"id": "org_1", "slg": "page"})

    assert judge(request(signed_in(token)), UNDER).state is State.SIGNED_IN


@pytest.mark.parametrize(
    "facts",
    [
        request(signed_in(mint()), headers=FETCH),
        request(signed_in(mint()) | {"__clerk_redirect_count": "3"}, headers=PAGE),
        request(signed_in(mint(sub=""))),
        request(bearer=mint()),
    ],
    ids=["fetched", "in a loop", "nobody", "by header"],
)
def test_otherwise_the_session_stays_as_it_is(facts: object) -> None:
    assert judge(facts, UNDER).state is State.SIGNED_IN


def test_pending_session_is_signed_out_not_synced() -> None:
    assert judge(request(signed_in(mint(sts="pending"))), UNDER).reason is Reason.SESSION_PENDING


def settings_with(**patterns: list[str]) -> Settings:
    key = {"publishable_key": KEYS[PRODUCTION].value, "secret_key": "sk_live_x"}
    return parse({"instance": key | patterns}, needs_upstream=False)


def test_patterns_are_settings() -> None:
    instance = settings_with(organization_patterns=["/orgs/:slug"], personal_patterns=["/me/(.*)"]).instance

    assert (instance.organization_patterns, instance.personal_patterns) == (("/orgs/:slug",), ("/me/(.*)",))


@pytest.mark.parametrize(("pattern", "problem"), [("/orgs/(.*)", "names no organization"), ("/:slug?", "segment")])
def test_patterns_are_judged_at_load(pattern: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        settings_with(organization_patterns=[pattern])

    assert [problem in fault.problem for fault in raised.value.faults] == [True]
