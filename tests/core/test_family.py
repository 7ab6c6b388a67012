"""Plain or suffixed cookies: the eight rules of request-authentication section 3."""

from dataclasses import dataclass
from itertools import product

import pytest

from gateway.core.family import FamilyFacts, FamilyRule, family_rule
from gateway.core.instance import InstanceKind
from tests.core.minting import DEVELOPMENT, HOST, NOW, PRODUCTION


@dataclass(frozen=True, slots=True)
class Says:
    issuer: str = f"https://{HOST}"
    issued_at_s: float = 100
    expires_at_s: float = NOW + 60


FOREIGN, NAMELESS = Says(issuer="https://clerk.other.test"), Says(issuer="")
OLD, OVER = Says(issued_at_s=50), Says(expires_at_s=int(NOW))
ABSENT, UNREADABLE = "absent", "unreadable"


def facts(plain: object, suffixed: object, plain_uat: str, suffixed_uat: str) -> FamilyFacts:
    return FamilyFacts(
        plain if isinstance(plain, Says) else None,
        suffixed if isinstance(suffixed, Says) else None,
        plain != ABSENT,
        suffixed != ABSENT,
        plain_uat,
        suffixed_uat,
    )


@pytest.mark.parametrize(
    ("plain", "suffixed", "plain_uat", "suffixed_uat", "expected"),
    [
        pytest.param(UNREADABLE, Says(), "", "9", False, id="1: the plain one cannot be read"),
        pytest.param(NAMELESS, Says(), "", "9", False, id="1: the plain one has no issuer"),
        pytest.param(FOREIGN, ABSENT, "9", "", True, id="2: the plain one is another instance's"),
        pytest.param(FOREIGN, Says(), "0", "9", True, id="2: even where later rules would say plain"),
        pytest.param(Says(issuer=f"http://{HOST}"), Says(), "9", "9", True, id="2: the scheme does not matter"),
        pytest.param(Says(issuer=f"https://{HOST}/"), ABSENT, "9", "", True, id="2: the rest of the issuer does"),
        pytest.param(Says(), ABSENT, "9", "", False, id="3: nothing suffixed"),
        pytest.param(ABSENT, ABSENT, "", "", False, id="3: nothing at all"),
        pytest.param(Says(), OLD, "9", "9", False, id="4: the plain one is newer"),
        pytest.param(Says(), OLD, "", "", False, id="4: an absent client counts as active"),
        pytest.param(Says(), UNREADABLE, "9", "9", False, id="4: an unreadable one is oldest"),
        pytest.param(Says(), Says(), "9", "9", True, id="4: of the same age the suffixed one"),
        pytest.param(OLD, Says(), "9", "9", True, id="4: the suffixed one is newer"),
        pytest.param(Says(), OLD, "0", "9", True, id="4: not when the plain client is signed out"),
        pytest.param(Says(), Says(), "9", "0", False, id="5: the suffixed client is signed out, the plain is not"),
        pytest.param(ABSENT, Says(), "", "0", False, id="5: nor is an absent one"),
        pytest.param(Says(), Says(), "0", "0", True, id="5: both are signed out"),
        pytest.param(ABSENT, Says(), "0", "", False, id="7: a suffixed session without its client"),
        pytest.param(ABSENT, ABSENT, "9", "9", True, id="8: otherwise suffixed"),
        pytest.param(OLD, Says(), "0", "9", True, id="8: otherwise suffixed, with a session"),
    ],
)
@pytest.mark.parametrize("kind", InstanceKind)
def test_the_rules(kind: InstanceKind, plain, suffixed, plain_uat: str, suffixed_uat: str, expected: bool):
    rule = family_rule(facts(plain, suffixed, plain_uat, suffixed_uat), kind, HOST, NOW)
    assert rule.prefers_suffixed is expected


@pytest.mark.parametrize(
    ("kind", "suffixed", "now_s", "expected"),
    [
        pytest.param(DEVELOPMENT, OVER, NOW, False, id="development: expired this second"),
        pytest.param(DEVELOPMENT, OVER, int(NOW) - 0.001, True, id="development: whole seconds count"),
        pytest.param(
            DEVELOPMENT, Says(expires_at_s=int(NOW) + 0.25), NOW, True, id="development: a fraction left of this second"
        ),
        pytest.param(DEVELOPMENT, Says(), NOW, True, id="development: not expired"),
        pytest.param(DEVELOPMENT, UNREADABLE, NOW, True, id="development: cannot be read"),
        pytest.param(PRODUCTION, OVER, NOW, True, id="production does not look"),
    ],
)
def test_rule_6_an_expired_suffixed_session_of_a_developer_who_signed_out_of_the_plain_one(
    kind: InstanceKind, suffixed, now_s: float, expected: bool
):
    rule = family_rule(facts(ABSENT, suffixed, "0", "9"), kind, HOST, now_s)
    assert rule.prefers_suffixed is expected


def by_the_book(plain, suffixed, cu: str, cs: str, kind: InstanceKind) -> tuple[int, bool]:
    """The number and the answer of the rules as they stand in the specification, one line each."""
    issued = [says.issued_at_s if isinstance(says, Says) else 0 for says in (plain, suffixed)]
    over = isinstance(suffixed, Says) and suffixed.expires_at_s <= int(NOW)
    rules = (
        (plain != ABSENT and (plain == UNREADABLE or not plain.issuer), False),
        (plain not in (ABSENT, UNREADABLE) and plain.issuer.partition("://")[2] != HOST, True),
        (not cs and suffixed == ABSENT, False),
        (cs != "0" and cu != "0" and issued[0] > issued[1], False),
        (cs == "0" and cu != "0", False),
        (kind is DEVELOPMENT and cs != "0" and cu == "0" and over, False),
        (suffixed != ABSENT and not cs, False),
        (True, True),
    )
    return next((number, answer) for number, (applies, answer) in enumerate(rules, 1) if applies)


def test_every_combination_is_decided_as_the_rules_say():
    plains = (ABSENT, UNREADABLE, NAMELESS, FOREIGN, OLD, Says(), OVER)
    suffixeds = (ABSENT, UNREADABLE, OLD, Says(), OVER, FOREIGN)
    uats = ("", "0", "9")
    seen = set()
    for case in product(plains, suffixeds, uats, uats, InstanceKind):
        rule = family_rule(facts(*case[:4]), case[4], HOST, NOW)
        assert (rule.value, rule.prefers_suffixed) == by_the_book(*case), case
        seen.add(rule)
    assert seen == set(FamilyRule)
    assert all(rule.when for rule in FamilyRule)
