"""Who is in a world, and what is said to those who ask for somebody else."""

import pytest

from gateway.testing import World, WrongUse
from gateway.testing.forging import claims_of


def test_a_world_begins_with_two_roles_and_nobody(session_world: World):
    assert session_world.authority.describe()["users"] == []
    session_world.user("ada@example.com", organizations={"acme": "org:admin", "globex": "org:member"})


def test_what_is_not_said_of_a_user_is_made_up(session_world: World):
    ada = session_world.user("ada@example.com")
    assert (ada.first_name, ada.last_name) == ("Ada", "")
    assert ada.id.startswith("user_")


def test_what_is_said_of_a_user_is_in_the_token(session_world: World):
    ada = session_world.user(
        "ada@example.com",
        id="user_ada",
        first_name="Augusta",
        last_name="King",
        plan="pro",
        features=["export"],
        public_metadata={"theme": "dark"},
    )
    assert (ada.full_name, ada.public_metadata) == ("Augusta King", {"theme": "dark"})
    claims = claims_of(session_world.token(ada))
    assert (claims["sub"], claims["pla"], claims["fea"]) == ("user_ada", "u:pro", "u:export")


def test_an_unknown_role_is_told_with_those_that_there_are(session_world: World):
    with pytest.raises(WrongUse, match=r"no role 'org:boss'; there are: org:admin, org:member\. Make it with"):
        session_world.user("ada@example.com", organizations={"acme": "org:boss"})
    assert session_world.authority.describe()["users"] == []


def test_an_unknown_organization_is_told_with_those_of_the_user(session_world: World, ada):
    with pytest.raises(WrongUse, match=r"ada@example\.com 'initech'; there are: acme \(org:admin\), globex"):
        session_world.session(ada, "initech")
    with pytest.raises(WrongUse, match="there are: none"):
        session_world.session(session_world.user("bob@example.com"), "acme")


def test_a_role_of_ones_own_has_its_permissions_in_organizations_made_after_it(session_world: World):
    session_world.role("org:editor", ["org:articles:publish"], name="Editor in chief")
    ada = session_world.user("ada@example.com", organizations={"acme": "org:editor"})
    headers = session_world.identity_headers(ada, "acme")
    assert headers["x-session-org-permissions"] == "org:articles:publish"


def test_an_organization_has_the_features_that_it_is_given(session_world: World):
    session_world.organization("acme", id="org_acme", name="ACME", plan="pro", features=["teams"])
    ada = session_world.user("ada@example.com", organizations={"acme": "org:member"})
    headers = session_world.identity_headers(ada, "acme")
    assert headers["x-session-org-id"] == "org_acme"
    assert headers["x-session-org-permissions"] == "org:teams:read"
    assert claims_of(session_world.token(ada, "acme"))["pla"] == "o:pro"


def test_a_role_that_comes_too_late_for_an_organization_is_told(session_world: World, ada):
    session_world.role("org:editor", ["org:articles:publish"])
    with pytest.raises(WrongUse, match=r"org:editor is about .* 'articles', which acme does not have: .* before"):
        session_world.user("bob@example.com", organizations={"acme": "org:editor"})


def test_an_organization_that_was_described_may_lack_what_a_role_is_about(session_world: World):
    session_world.role("org:editor", ["org:articles:publish"])
    session_world.organization("acme", plan="free")
    ada = session_world.user("ada@example.com", organizations={"acme": "org:editor"})
    assert "x-session-org-permissions" not in session_world.identity_headers(ada, "acme")


@pytest.mark.parametrize(
    ("key", "permissions"), [("editor", []), ("org:a:b", []), ("org:editor", ["publish"]), ("org:editor", ["org:a"])]
)
def test_roles_and_permissions_that_are_not_written_so_are_refused(session_world: World, key, permissions):
    with pytest.raises(WrongUse, match="is not written as"):
        session_world.role(key, permissions)


def test_nothing_is_made_twice(session_world: World, ada):
    with pytest.raises(WrongUse, match="org:admin is there already"):
        session_world.role("org:admin")
    with pytest.raises(WrongUse, match=r"'acme' is there already; .* before"):
        session_world.organization("acme")
    with pytest.raises(WrongUse, match=r"ada@example\.com, or one with the id user_\w+, is there already"):
        session_world.user("ada@example.com")


def test_a_membership_ends_with_the_next_token(session_world: World, ada):
    session = session_world.session(ada, "acme")
    session_world.remove_member(ada, "acme")
    assert session.organization is None
    assert "o" not in claims_of(session.token())
    with pytest.raises(WrongUse, match="no organization 'initech'; there are: acme, globex"):
        session_world.remove_member(ada, "initech")
