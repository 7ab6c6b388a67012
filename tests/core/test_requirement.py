"""What a route asks for, and the first thing of it that does not hold."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given

from gateway.core.authorization import Reverification
from gateway.core.claims import Organization, SessionClaims
from gateway.core.reasons import TABLE, Reason
from gateway.core.requirement import Requirement, unmet
from tests.core.test_authorization import ADMIN, ASKED, CLAIMS

EVERYTHING = Requirement(
    role="org:admin",
    permission="org:articles:publish",
    feature="org:dashboard",
    plan="org:gold",
    reverification="moderate",
)
# What is told of each, as a token can tell it: it holds, it does not, it is not there.
EVIDENCE = {
    "role": ("org:admin", "org:member", ""),
    "permission": (("org:articles:publish",), ("org:articles:read",), ()),
    "feature": ("o:dashboard", "u:dashboard", ""),
    "plan": ("o:gold", "o:silver", ""),
    "fva": ((3, 30), (3, 300), None),
    "org": (True, True, False),
}


def session_of(told: dict[str, object]) -> SessionClaims:
    organization = Organization("org_1", "acme", told["role"], told["permission"]) if told["org"] else None
    return replace(
        ADMIN,
        organization=organization,
        features=told["feature"],
        plans=told["plan"],
        factor_ages_min=told["fva"],
    )


def test_one_thing_that_is_false_or_missing_denies():
    must_hold = {"role", "permission", "feature", "plan", "fva"}
    for states in product(("true", "false", "missing"), repeat=len(EVIDENCE)):
        state_of = dict(zip(EVIDENCE, states, strict=True))
        told = {name: EVIDENCE[name][("true", "false", "missing").index(state)] for name, state in state_of.items()}
        passes = all(state_of[name] == "true" for name in must_hold) and state_of["org"] != "missing"
        assert (unmet(EVERYTHING, session_of(told)) is None) is passes, state_of


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"role": "org:owner"}, "missing-role"),
        ({"permission": "org:articles:delete"}, "missing-permission"),
        ({"feature": "user:dashboard"}, "missing-feature"),
        ({"plan": "platinum"}, "missing-plan"),
        ({"reverification": "strict"}, "reverification-required"),
        ({"reverification": Reverification("second_factor", 30)}, "reverification-required"),
        ({"reverification": Reverification("second_factor", 31)}, None),
        ({"scopes": ("read",)}, "missing-scope"),
        ({"role": ""}, "missing-role"),
        ({"role": "org:admin", "permission": "org:articles:read"}, None),
        ({"role": "org:admin", "reverification": "strict", "plan": "platinum"}, "missing-plan"),
        ({"no_impersonation": True}, None),
    ],
)
def test_the_first_thing_that_does_not_hold_is_the_reason(asked: dict[str, object], reason: str | None):
    asked = {"plan": "gold", **asked}
    assert unmet(Requirement(**asked), ADMIN) == reason


@pytest.mark.parametrize("actor", [{"sub": "user_2"}, {}])
def test_somebody_who_impersonates_the_user_is_refused_where_the_user_is_asked(actor: dict[str, object]):
    impersonated = replace(ADMIN, actor=actor)
    assert unmet(Requirement(no_impersonation=True), impersonated) is Reason.IMPERSONATION_REFUSED
    assert unmet(Requirement(no_impersonation=True, role="org:owner"), impersonated) is Reason.IMPERSONATION_REFUSED
    assert unmet(Requirement(role="org:admin"), impersonated) is None


def test_a_machine_token_has_scopes_and_nothing_else():
    read_and_write = Requirement(scopes=("read", "write"))
    assert unmet(read_and_write, None, ("write", "read", "more")) is None
    assert unmet(read_and_write, None, ["write"]) is Reason.MISSING_SCOPE
    assert unmet(read_and_write, None, ()) is Reason.MISSING_SCOPE
    assert unmet(Requirement(no_impersonation=True), None, ()) is None
    for name, value in EVERYTHING.asked.items():
        assert unmet(Requirement(**{name: value}), None, ("read", "write", str(value))) is not None


@pytest.mark.parametrize("asked", [{"scopes": ("read",)}, {"no_impersonation": True}, EVERYTHING.asked])
def test_nobody_has_nothing(asked: dict[str, object]):
    for name, value in asked.items():
        assert unmet(Requirement(**{name: value}), None) is not None


def test_a_session_that_is_not_complete_meets_nothing():
    assert unmet(Requirement(plan="gold"), replace(ADMIN, status="pending")) is Reason.MISSING_PLAN


@pytest.mark.parametrize("empty", [{}, {"role": None}, {"role": ""}, {"scopes": ()}, {"no_impersonation": False}])
def test_a_requirement_that_asks_for_nothing_cannot_be_made(empty: dict[str, object]):
    with pytest.raises(ValueError, match="asks for something"):
        Requirement(**empty)


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"role": "org:admin", "reverification": "strict"}, "role org:admin, reverification strict"),
        ({"reverification": Reverification("first_factor", 1.5)}, "reverification first_factor 1.5 min"),
        ({"scopes": ("a", "b"), "no_impersonation": True}, "scopes a b, no_impersonation"),
    ],
)
def test_it_reads_as_it_is_written(asked: dict[str, object], shown: str):
    assert str(Requirement(**asked)) == shown


@pytest.mark.parametrize(
    ("asked", "config"),
    [
        ("strict_mfa", "strict_mfa"),
        (Reverification("multi_factor", 5), {"level": "multi_factor", "afterMinutes": 5}),
        (None, ""),
    ],
)
def test_the_front_end_gets_the_reverification_as_it_was_asked(asked: object, config: object):
    assert Requirement(role="x", reverification=asked).reverification_config == config


@pytest.mark.parametrize(
    ("inner", "outer", "covers"),
    [
        ({"role": "a"}, {"role": "a"}, True),
        ({"role": "a", "plan": "b"}, {"role": "a"}, True),
        ({"role": "a"}, {"role": "a", "plan": "b"}, False),
        ({"role": "a"}, {"role": "b"}, False),
        ({"scopes": ("a", "b")}, {"scopes": ("b",)}, True),
        ({"scopes": ("a",)}, {"scopes": ("a", "b")}, False),
    ],
)
def test_covers(inner: dict[str, object], outer: dict[str, object], covers: bool):
    assert Requirement(**inner).covers(Requirement(**outer)) is covers


def test_every_reason_for_who_is_signed_in_is_a_403_that_a_person_can_act_on():
    # Whatever session there is, those pages may not use it, and that address may not ask.
    pages = {Reason.WEBSOCKET_ORIGIN_REFUSED, Reason.CORS_ORIGIN_REFUSED, Reason.CORS_PREFLIGHT_UNANSWERED}
    others = {*pages, Reason.DECISION_PEER_REFUSED}
    reasons = {reason for reason, meaning in TABLE.items() if meaning.status == 403} - others
    assert reasons == {
        "missing-role",
        "missing-permission",
        "missing-feature",
        "missing-plan",
        "missing-scope",
        "reverification-required",
        "impersonation-refused",
    }
    assert {TABLE[reason].challenge for reason in reasons if reason.startswith("missing")} == {"insufficient_scope"}


@given(CLAIMS, ASKED)
def test_a_requirement_holds_exactly_where_has_says_yes(claims: SessionClaims, asked: dict[str, object]):
    asked = {name: value for name, value in asked.items() if value}
    if asked:
        assert (unmet(Requirement(**asked), claims) is None) is claims.has(**asked)
