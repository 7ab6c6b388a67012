"""What a machine's token says, from a JWT and from the API."""

import pytest

from gateway.core.machine_claims import (
    EXPIRED,
    REVOKED,
    MachineClaims,
    MachineRecord,
    has_expired,
    judge,
    m2m_claims,
    oauth_claims,
)
from gateway.core.token_class import TokenType
from tests.core.minting import NOW

API_KEY, M2M_TOKEN, OAUTH_TOKEN = TokenType.API_KEY, TokenType.M2M_TOKEN, TokenType.OAUTH_TOKEN


def record(kind: TokenType = API_KEY, subject: str = "user_1", **changes: object) -> MachineRecord:
    flags = {name: changes.pop(name) for name in ("is_revoked", "is_expired") if name in changes}
    return MachineRecord(MachineClaims(type=kind, id="id_1", subject=subject, **changes), **flags)


@pytest.mark.parametrize(
    ("kind", "subject", "user_id", "org_id", "machine_id"),
    [
        (API_KEY, "user_1", "user_1", "", ""),
        (API_KEY, "org_1", "", "org_1", ""),
        (API_KEY, "mch_1", "", "", ""),
        (OAUTH_TOKEN, "user_1", "user_1", "", ""),
        (OAUTH_TOKEN, "org_1", "", "", ""),
        (M2M_TOKEN, "mch_1", "", "", "mch_1"),
        (M2M_TOKEN, "user_1", "", "", "user_1"),
    ],
)
def test_the_subject_is_told_by_its_kind(kind, subject, user_id, org_id, machine_id):
    claims = judge(record(kind, subject), NOW)
    assert isinstance(claims, MachineClaims)
    assert (claims.type, claims.id, claims.subject) == (kind, "id_1", subject)
    assert (claims.user_id, claims.org_id, claims.machine_id) == (user_id, org_id, machine_id)


def test_what_the_api_tells_is_taken_over():
    more = {"scopes": ("read", "write"), "claims": {"a": 1}, "name": "ci", "client_id": "client_1"}
    claims = judge(record(**more, expires_at_s=NOW + 1), NOW)
    assert {name: getattr(claims, name) for name in more} == more
    assert claims.expires_at_s == NOW + 1


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"is_revoked": True}, REVOKED),
        ({"is_expired": True}, EXPIRED),
        ({"is_revoked": True, "is_expired": True}, REVOKED),
        ({"expires_at_s": NOW}, EXPIRED),
        ({"expires_at_s": NOW - 1}, EXPIRED),
        ({"expires_at_s": 0.0}, EXPIRED),
    ],
)
def test_what_the_api_says_against_a_token_counts(changes, refusal):
    assert judge(record(**changes), NOW) == refusal


def test_a_token_without_an_end_does_not_expire():
    claims = judge(record(), NOW)
    assert isinstance(claims, MachineClaims)
    assert not has_expired(claims, NOW + 1e9)


PAYLOAD = {"sub": "mch_1", "exp": 1_800_000_060, "iat": 1_800_000_000}


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, ()),
        ({"scopes": "mch_2 mch_3"}, ("mch_2", "mch_3")),
        ({"scopes": "  mch_2  "}, ("mch_2",)),
        ({"scopes": ""}, ()),
        ({"scopes": "", "aud": ["mch_4"]}, ()),
        ({"scopes": ["mch_2"]}, ("mch_2",)),
        ({"scopes": 7}, ()),
        ({"aud": ["mch_4", "mch_5"]}, ("mch_4", "mch_5")),
        ({"aud": "mch_4"}, ("mch_4",)),
        ({"aud": ["mch_4", 5, "", None]}, ("mch_4",)),
        ({"aud": {"mch_4": 1}}, ()),
    ],
)
def test_an_m2m_jwt_has_scopes_or_else_an_audience(claims, scopes):
    assert m2m_claims(PAYLOAD | claims).scopes == scopes


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, ()),
        ({"scope": "read write"}, ("read", "write")),
        ({"scp": ["read"], "scope": "write"}, ("read",)),
        ({"scp": [], "scope": "write"}, ()),
        ({"scp": None, "scope": "write"}, ("write",)),
        ({"scp": "read write"}, ("read", "write")),
    ],
)
def test_an_oauth_jwt_has_a_list_of_scopes_or_a_text(claims, scopes):
    assert oauth_claims(PAYLOAD | {"sub": "user_1"} | claims).scopes == scopes


def test_an_m2m_jwt_is_read():
    assert m2m_claims(PAYLOAD | {"jti": "mt_1", "nbf": 1, "iss": "x", "team": "a", "aud": ["mch_2"]}) == MachineClaims(
        type=M2M_TOKEN,
        id="mt_1",
        subject="mch_1",
        scopes=("mch_2",),
        claims={"team": "a", "aud": ["mch_2"]},
        expires_at_s=1_800_000_060,
    )


def test_an_m2m_jwt_without_custom_claims_has_none():
    found = m2m_claims(PAYLOAD | {"jti": 7})
    assert (found.id, found.claims) == ("", None)


def test_an_oauth_jwt_is_read():
    found = oauth_claims(PAYLOAD | {"sub": "user_1", "jti": "oat_1", "client_id": "client_1", "scope": "read"})
    assert found == MachineClaims(
        type=OAUTH_TOKEN,
        id="oat_1",
        subject="user_1",
        scopes=("read",),
        client_id="client_1",
        expires_at_s=1_800_000_060,
    )


def test_custom_claims_are_not_in_the_repr():
    claims = judge(record(claims={"secret": "hidden thing"}), NOW)
    assert "hidden thing" not in repr(claims) + repr(record(claims={"secret": "hidden thing"}))
