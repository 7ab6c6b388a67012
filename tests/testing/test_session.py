"""Tokens of every kind, cookies, and what happens to a session."""

import pytest

from gateway.core.claims import session_claims
from gateway.testing import World, WrongUse
from gateway.testing.forging import claims_of, header_of, signed_by_stranger, tampered, unsigned

EXPIRED = "session-token-expired-refresh-non-eligible-no-refresh-cookie"


@pytest.fixture
def ask(session_world: World, app):
    """Ask the application with a token; returns status, and the reason or the claims."""
    client = session_world.client(app)

    def ask(token: str):
        answer = client.get("/", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, answer.json()["claims"] if answer.status_code == 200 else answer.json()["reason"]

    return ask


def test_a_token_is_the_authoritys_own(session_world: World, ada, ask):
    token = session_world.token(ada, "acme")
    status, claims = ask(token)
    assert status == 200
    assert claims == claims_of(token)
    assert claims["exp"] - claims["iat"] == 60
    assert header_of(token)["kid"] == session_world.authority.realm.instance_id


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"age_s": 3600}, EXPIRED),
        ({"lifetime_s": 1, "age_s": 30}, EXPIRED),
        ({"origin": "https://evil.example"}, "token-invalid-authorized-parties"),
        ({"claims": {"iss": "https://clerk.evil.example"}}, "token-invalid-issuer"),
        ({"claims": {"azp": None}}, "token-invalid-authorized-parties"),
        ({"claims": {"sub": None}}, "token-verification-failed"),
        ({"claims": {"sts": "pending"}}, "session-pending"),
    ],
)
def test_a_token_that_does_not_count(session_world: World, ada, ask, how, reason):
    assert ask(session_world.token(ada, **how)) == (401, reason)


@pytest.mark.parametrize("forge", [tampered, unsigned, signed_by_stranger])
def test_forged_tokens_are_refused_with_other_claims_too(session_world: World, ada, ask, forge):
    token = session_world.token(ada)
    assert ask(token)[0] == 200
    assert ask(forge(token))[0] == 401
    forged = forge(token, sub="user_root")
    assert claims_of(forged)["sub"] == "user_root"
    assert ask(forged)[0] == 401


def test_a_token_of_another_world_is_refused(session_world: World, ask):
    with World.open() as other:
        assert ask(other.token(other.user("ada@example.com")))[0] == 401


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_say_the_same(session_world: World, ada, ask, version):
    token = session_world.token(ada, "acme", version=version)
    status, claims = ask(token)
    assert (status, claims.get("v", 1)) == (200, version)
    organization = session_claims(claims).organization
    assert (organization.slug, organization.role) == ("acme", "org:admin")
    assert "org:teams:manage" in organization.permissions


def test_there_is_no_third_version(session_world: World, ada):
    with pytest.raises(WrongUse, match="version 1 or 2, not 3"):
        session_world.token(ada, version=3)


def test_claims_are_written_over_and_taken_out(session_world: World, ada, ask):
    claims = ask(session_world.token(ada, claims={"fva": [3, 1], "tier": "gold", "jti": None}))[1]
    assert (claims["fva"], claims["tier"], "jti" in claims) == ([3, 1], "gold", False)


def test_a_session_begins_as_it_is_told_to(session_world: World, ada, app):
    session = session_world.session(ada, actor="user_support", proven_ago_s=600)
    claims = claims_of(session.token())
    assert (claims["act"], claims["fva"]) == ({"sub": "user_support"}, [10, -1])

    client = session_world.client(app, signed_in=session)
    client.expire()
    refreshed = client.get("/").json()["claims"]
    assert (refreshed["act"], refreshed["fva"]) == ({"sub": "user_support"}, [11, -1])

    grace = session_world.user("grace@example.com")
    assert claims_of(session_world.session(ada, actor=grace).token())["act"] == {"sub": grace.id}


def test_a_pending_session_does_not_count(session_world: World, ada, app):
    session = session_world.session(ada, is_pending=True)
    assert session.status == "pending"
    assert session_world.client(app, signed_in=session).get("/").status_code == 401


def test_claims_of_a_session_are_in_its_cookies(session_world: World, ada, app):
    session = session_world.session(ada, claims={"fva": [0, 0]})
    assert session_world.client(app, signed_in=session).get("/").json()["claims"]["fva"] == [0, 0]
    session.end()
    assert session_world.client(app, signed_in=session).get("/").status_code == 401


def test_what_is_no_origin_gets_no_cookies(session_world: World, ada):
    with pytest.raises(WrongUse, match="'app' is no origin such as"):
        session_world.session(ada).set_cookies("app")


@pytest.mark.parametrize(("act", "status"), [("revoke", "revoked"), ("end", "ended")])
def test_a_session_ends(session_world: World, ada, act, status):
    session = session_world.session(ada)
    assert session.status == "active"
    getattr(session, act)()
    assert session.status == status


def test_a_session_expires_with_time(session_world: World, ada):
    session = session_world.session(ada)
    session_world.advance(days=6, hours=23, minutes=59)
    assert session.status == "active"
    session_world.advance(minutes=1, seconds=1)
    assert session.status == "expired"


def test_a_session_switches_its_organization(session_world: World, ada):
    session = session_world.session(ada, "acme")
    session.switch_organization("globex")
    assert session.organization == "globex"
    session.switch_organization(None)
    assert session.organization is None
    with pytest.raises(WrongUse, match="there are: acme"):
        session.switch_organization("initech")
    assert session_world.session_of(session, "acme").organization == "acme"


def test_no_secret_is_shown(session_world: World, ada):
    session = session_world.session(ada)
    key = session_world.machines.api_key(ada)
    shown = f"{session!r}{key!r}{session_world!r}{session_world.machines!r}"
    assert session.id in shown
    assert key.value not in shown
    assert session_world.authority.secret_key.reveal() not in shown


def test_a_session_whose_user_is_gone_says_so(session_world: World, ada):
    session = session_world.session(ada)
    session_world.authority.realm.database.write("DELETE FROM sessions WHERE id = :id", {"id": session.id})
    with pytest.raises(WrongUse, match="is no longer there"):
        _ = session.status
