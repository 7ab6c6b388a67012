"""What a session may do: each question, their conjunction, and that less evidence never means more."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.authorization import LEVELS, NOT_ASKED, PRESETS, Reverification, has, holds
from gateway.core.claims import Organization, SessionClaims

ADMIN = SessionClaims(
    user_id="user_1",
    session_id="sess_1",
    issuer="https://clerk.example.test",
    authorized_party="",
    issued_at_s=0,
    expires_at_s=60,
    organization=Organization("org_1", "acme", "org:admin", ("org:articles:publish", "org:articles:read")),
    factor_ages_min=(3, 30),
    features="o:dashboard,u:export,ou:search",
    plans="o:gold,u:pro",
)


@pytest.mark.parametrize(
    ("held", "asked", "answer"),
    [
        ("org:admin", "org:admin", True),
        ("org:admin", "admin", True),
        ("org:admin", "org:org:admin", True),
        ("admin", "org:admin", True),
        ("org:org:admin", "admin", True),
        ("org:admin", "org:member", False),
        ("org:admin", "Admin", False),
        ("org:admin", "org:admin ", False),
        ("org:admin", "", False),
        ("org:admin", "org:", False),
        ("", "org:admin", False),
        ("", "", False),
        ("org:admin", None, False),
        ("org:admin", 7, False),
        ("org:admin", ["org:admin"], False),
        ("org:admin", True, False),
    ],
)
def test_a_role_counts_with_any_number_of_prefixes(held: str, asked: object, answer: bool):
    assert replace(ADMIN, organization=Organization("org_1", role=held)).has(role=asked) is answer


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("org:articles:publish", True),
        ("articles:publish", True),
        ("org:org:articles:publish", True),
        ("org:articles:delete", False),
        ("org:articles", False),
        ("", False),
        (None, False),
        (1, False),
        (("org:articles:publish",), False),
    ],
)
def test_a_permission_is_one_of_the_organizations(asked: object, answer: bool):
    assert ADMIN.has(permission=asked) is answer


def test_only_the_asked_permission_is_normalised():
    claims = replace(ADMIN, organization=Organization("org_1", permissions=("articles:publish",)))
    assert not claims.has(permission="articles:publish")


@pytest.mark.parametrize("question", ["role", "permission"])
def test_without_an_organization_there_is_neither_role_nor_permission(question: str):
    assert not replace(ADMIN, organization=None).has(**{question: "org:admin"})


@pytest.mark.parametrize(
    ("claim", "asked", "answer"),
    [
        pytest.param("o:dash", "dash", True, id="of the organization"),
        pytest.param("u:dash", "dash", True, id="of the user"),
        pytest.param("ou:dash", "dash", True, id="of both"),
        pytest.param("uo:dash", "dash", True, id="of both, turned"),
        pytest.param("x:dash", "dash", False, id="of nobody"),
        pytest.param(" o:dash , u:x ", "dash", True, id="blanks around entries"),
        pytest.param("o:dash", "org:dash", True, id="org"),
        pytest.param("o:dash", "o:dash", True, id="o"),
        pytest.param("ou:dash", "organization:dash", True, id="organization"),
        pytest.param("o:dash", "user:dash", False, id="not the user's"),
        pytest.param("u:dash", "user:dash", True, id="user"),
        pytest.param("uo:dash", "u:dash", True, id="u"),
        pytest.param("u:dash", "org:dash", False, id="not the organization's"),
        pytest.param("o:dash", "team:dash", False, id="a scope that nobody knows"),
        pytest.param("o:dash", "Org:dash", False, id="scopes have a case"),
        pytest.param("o:dash", "org:dash:more", True, id="a second colon ends the name"),
        pytest.param("o:dash:more", "dash", False, id="but not in the claim"),
        pytest.param("o:o", "o:", True, id="a scope without a name is the name"),
        pytest.param("o:dash", ":dash", False, id="a name without a scope has an unknown one"),
        pytest.param("o:dash", "das", False, id="not the start of a name"),
        pytest.param("", "dash", False, id="no claim"),
        pytest.param("", "", False, id="nothing asked of nothing"),
        pytest.param("o:dash,junk", "dash", False, id="an entry without a scope spoils the claim"),
        pytest.param("o:dash,", "dash", False, id="an empty entry as well"),
        pytest.param("o:dash", None, False, id="asked for None"),
        pytest.param("o:dash", 7, False, id="asked for a number"),
        pytest.param("o:dash", ["dash"], False, id="asked for a list"),
    ],
)
@pytest.mark.parametrize("question", ["feature", "plan"])
def test_features_and_plans(question: str, claim: str, asked: object, answer: bool):
    claims = replace(ADMIN, **({"features": "", "plans": ""} | {f"{question}s": claim}))
    assert claims.has(**{question: asked}) is answer


@pytest.mark.parametrize(
    ("ages", "level", "answer"),
    [
        ((3, 3), "first_factor", True),
        ((3, 3), "second_factor", True),
        ((3, 3), "multi_factor", True),
        ((10, 3), "first_factor", False),
        ((10, 3), "second_factor", True),
        ((10, 3), "multi_factor", False),
        ((3, 10), "first_factor", True),
        ((3, 10), "second_factor", False),
        ((3, 10), "multi_factor", False),
        ((3, -1), "first_factor", True),
        ((3, -1), "second_factor", True),
        ((3, -1), "multi_factor", True),
        ((10, -1), "second_factor", False),
        ((10, -1), "multi_factor", False),
        ((-1, 3), "first_factor", False),
        ((-1, 3), "second_factor", True),
        ((-1, 3), "multi_factor", False),
        ((9.99, 9.99), "multi_factor", True),
        *[((-1, -1), level, False) for level in LEVELS],
        *[(None, level, False) for level in LEVELS],
    ],
)
def test_reverification(ages: object, level: str, answer: bool):
    assert replace(ADMIN, factor_ages_min=ages).has(reverification=Reverification(level, 10)) is answer


@pytest.mark.parametrize(("preset", "limit"), [("strict_mfa", 10), ("strict", 10), ("moderate", 60), ("lax", 1440)])
def test_presets_end_with_their_last_minute(preset: str, limit: int):
    assert replace(ADMIN, factor_ages_min=(limit - 1, limit - 1)).has(reverification=preset)
    assert not replace(ADMIN, factor_ages_min=(limit, limit)).has(reverification=preset)


def test_only_strict_mfa_asks_for_both_factors():
    claims = replace(ADMIN, factor_ages_min=(2000, 1))
    assert [preset for preset in PRESETS if claims.has(reverification=preset)] == ["strict", "moderate", "lax"]


@pytest.mark.parametrize("asked", [None, "", "Strict", "strictest", 10, True, {"level": "first_factor"}, ["strict"]])
def test_a_reverification_that_is_none_is_not_there(asked: object):
    assert not replace(ADMIN, factor_ages_min=(0, 0)).has(reverification=asked)


@pytest.mark.parametrize(
    ("level", "minutes"),
    [
        ("first", 10),
        ("", 10),
        ("first_factor", 0),
        ("first_factor", -1),
        ("first_factor", True),
        ("first_factor", "10"),
        ("first_factor", None),
        ("first_factor", float("nan")),
        ("first_factor", float("inf")),
    ],
)
def test_a_reverification_that_means_nothing_cannot_be_made(level: str, minutes: object):
    with pytest.raises(ValueError, match=r"level is not|after_minutes is not"):
        Reverification(level, minutes)


def test_nothing_asked_is_no():
    assert not ADMIN.has()
    assert not has(ADMIN, role=NOT_ASKED)


@pytest.mark.parametrize("nobody", [replace(ADMIN, user_id=""), replace(ADMIN, status="pending")])
def test_nobody_and_who_is_not_done_signing_in_may_nothing(nobody: SessionClaims):
    assert ADMIN.has(role="org:admin", plan="gold", reverification="lax")
    assert not any(nobody.has(**{name: value}) for name, value in HELD.items())


HELD = {
    "role": "org:admin",
    "permission": "org:articles:publish",
    "feature": "dashboard",
    "plan": "user:pro",
    "reverification": "moderate",
}
LACKED = {
    "role": "org:owner",
    "permission": "org:articles:delete",
    "feature": "user:dashboard",
    "plan": "platinum",
    "reverification": "strict",
}


def test_all_that_is_asked_must_hold():
    values = {"held": HELD, "lacked": LACKED, "malformed": dict.fromkeys(HELD)}
    for choice in product((*values, "not asked"), repeat=len(HELD)):
        asked = {name: values[how][name] for name, how in zip(HELD, choice, strict=True) if how != "not asked"}
        assert ADMIN.has(**asked) is (set(choice) <= {"held", "not asked"} and bool(asked)), asked


# Properties

NAMES = st.sampled_from(["a", "b", "org:a", "o:a", "u:a", "user:b", "org:a:x", "a:x", ""])
CLAIMS = st.builds(
    lambda organization, features, plans, ages: replace(
        ADMIN,
        organization=organization,
        features=",".join(features),
        plans=",".join(plans),
        factor_ages_min=ages,
    ),
    st.none()
    | st.builds(
        lambda role, permissions: Organization("org_1", "", role, tuple(permissions)),
        st.sampled_from(["", "org:a", "org:b", "a"]),
        st.lists(st.sampled_from(["org:a:x", "org:b:x", "a:x"]), max_size=3),
    ),
    st.lists(st.sampled_from(["o:a", "u:a", "ou:b", "x:b", "a"]), max_size=3),
    st.lists(st.sampled_from(["o:a", "u:a", "uo:b"]), max_size=3),
    st.none() | st.tuples(st.sampled_from([-1, 0, 9, 59, 2000]), st.sampled_from([-1, 0, 9, 59, 2000])),
)
ASKED = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("role", "permission", "feature", "plan"), NAMES | st.none()),
        "reverification": st.sampled_from([*PRESETS, None, "x"])
        | st.builds(Reverification, st.sampled_from(LEVELS), st.integers(1, 2000)),
    },
)


@given(CLAIMS, ASKED)
def test_an_answer_is_the_conjunction_of_its_questions(claims: SessionClaims, asked: dict[str, object]):
    singly = [claims.has(**{name: value}) for name, value in asked.items()]
    assert claims.has(**asked) is (bool(singly) and all(singly))
    assert singly == [holds(claims, name, value) for name, value in asked.items()]


def without(claims: SessionClaims) -> list[SessionClaims]:
    """The same session with one piece of evidence less, in every way."""
    organization = claims.organization
    fewer = [replace(claims, organization=None), replace(claims, user_id=""), replace(claims, factor_ages_min=None)]
    if organization is not None:
        fewer.append(replace(claims, organization=replace(organization, role="")))
        for number in range(len(organization.permissions)):
            kept = organization.permissions[:number] + organization.permissions[number + 1 :]
            fewer.append(replace(claims, organization=replace(organization, permissions=kept)))
    for name in ("features", "plans"):
        entries = getattr(claims, name).split(",")
        fewer += [
            replace(claims, **{name: ",".join(entries[:number] + entries[number + 1 :])})
            for number in range(len(entries))
            if ":" in entries[number]
        ]
    return fewer


@given(CLAIMS, ASKED)
def test_no_evidence_taken_away_turns_a_no_into_a_yes(claims: SessionClaims, asked: dict[str, object]):
    if not claims.has(**asked):
        assert not any(fewer.has(**asked) for fewer in without(claims))
