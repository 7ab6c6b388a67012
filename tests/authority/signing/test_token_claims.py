"""The claims of tokens: both versions, the packed permissions, the automatic claims of templates, the header."""

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.models import JwtTemplate, Membership, Organization, Role, SessionRecord, User
from gateway.authority.signing.keyring import Category, ForeignToken, KeyRing, SigningKey
from gateway.authority.signing.token_claims import TokenFacts, encode_permissions, session_claims, template_claims
from gateway.core.session_status import SessionStatus

USER = User(id="user_1", first_name="Zoë", last_name="Łukasz", email_address="z@example.com", plan="free")
ACME = Organization(id="org_1", name="Acme", slug="acme", plan="pro", features=("dashboard", "teams"))
ADMIN = Role("org:admin", "Admin", ("org:teams:manage", "org:dashboard:read", "org:teams:read", "org:billing:read"))


def facts(*, member: bool = True, actor=None, status=SessionStatus.ACTIVE, **changes) -> TokenFacts:
    session = SessionRecord(
        id="sess_1", user_id="user_1", client_id="client_1", status=status, last_active_organization_id=None,
        actor=actor, first_factor_at_ms=1_000_000_000, last_active_at_ms=0, expire_at_ms=0, abandon_at_ms=0,
        created_at_ms=0, updated_at_ms=0,
    )  # fmt: skip
    values = {
        "issuer": "http://127.0.0.1:8001",
        "azp": "http://127.0.0.1:8000",
        "session": session,
        "user": USER,
        "membership": Membership(user_id="user_1", organization=ACME, role=ADMIN) if member else None,
        "issued_at_s": 1_000_150,
        "lifetime_s": None,
        "token_id": "abc",
        **changes,
    }
    return TokenFacts(**values)


COMMON = {
    "azp": "http://127.0.0.1:8000",
    "exp": 1_000_210,
    "iat": 1_000_150,
    "iss": "http://127.0.0.1:8001",
    "jti": "abc",
    "nbf": 1_000_140,
    "sub": "user_1",
    "sid": "sess_1",
    "fva": [2, -1],
}


def test_version_2_packs_the_organization():
    assert session_claims(facts(), 2, 60) == {
        **COMMON,
        "v": 2,
        "sts": "active",
        "pla": "o:pro",
        "fea": "o:dashboard,o:teams",
        "o": {"id": "org_1", "slg": "acme", "rol": "admin", "per": "manage,read", "fpm": "2,3"},
    }


def test_version_2_without_an_organization_shows_the_plan_of_the_user():
    assert session_claims(facts(member=False), 2, 60) == {**COMMON, "v": 2, "sts": "active", "pla": "u:free"}


def test_version_1_spells_the_organization_out():
    assert session_claims(facts(), 1, 60) == {
        **COMMON,
        "org_id": "org_1",
        "org_slug": "acme",
        "org_role": "org:admin",
        "org_permissions": ["org:teams:manage", "org:dashboard:read", "org:teams:read"],
    }
    assert session_claims(facts(member=False), 1, 60) == COMMON


def test_features_of_the_user_follow_those_of_the_organization_and_take_no_mask():
    user = User(id="user_1", first_name="A", last_name="B", email_address="a@b.example", features=("export",))
    claims = session_claims(facts(user=user), 2, 60)
    assert claims["fea"] == "o:dashboard,o:teams,u:export"
    assert claims["o"]["fpm"] == "2,3"


def test_impersonation_pending_and_a_missing_origin_show():
    actor = {"iss": "x", "sid": "sess_2", "sub": "user_2"}
    claims = session_claims(facts(actor=actor, status=SessionStatus.PENDING, azp=None, lifetime_s=5), 2, 60)
    assert claims["act"] == actor
    assert claims["sts"] == "pending"
    assert "azp" not in claims
    assert claims["exp"] - claims["iat"] == 5


def test_a_role_without_permissions_has_no_masks():
    member = Membership(user_id="user_1", organization=ACME, role=Role("org:guest", "Guest", ()))
    assert session_claims(facts(membership=member), 2, 60)["o"] == {"id": "org_1", "slg": "acme", "rol": "guest"}


names = st.sampled_from(["read", "manage", "delete", "invite"])
features = st.lists(st.sampled_from(["dashboard", "teams", "billing", "reports"]), unique=True)


@given(st.lists(st.tuples(st.sampled_from(["dashboard", "teams", "billing", "other"]), names)), features)
def test_packed_permissions_unpack_to_what_the_features_allow(granted, available):
    keys = tuple(f"org:{feature}:{name}" for feature, name in granted)
    per, masks = encode_permissions(keys, tuple(available))
    unpacked = {
        f"org:{feature}:{per[bit]}"
        for feature, mask in zip(available, masks, strict=True)
        for bit in range(len(per))
        if mask >> bit & 1
    }
    assert unpacked == {f"org:{feature}:{name}" for feature, name in granted if feature in available}


@pytest.mark.parametrize("version", [1, 2])
def test_custom_claims_are_added_to_session_tokens_and_replace_none(version):
    plain = session_claims(facts(), version, 60)
    custom = {"team": "{{org.slug}}", "sid": "sess_evil", "org_id": "org_evil", "act": {"sub": "x"}, "azp": "x"}
    assert session_claims(facts(azp=None), version, 60, custom) == {
        name: value for name, value in plain.items() if name != "azp"
    } | {"team": "acme"}


def test_a_template_cannot_change_the_automatic_claims():
    template = JwtTemplate(
        id="jtmp_1",
        name="t",
        claims={"sub": "user_evil", "exp": 0, "aud": "api", "name": "{{user.full_name}}", "org": "{{org.slug}}"},
        lifetime_s=300,
        allowed_clock_skew_s=7,
    )
    assert template_claims(facts(), template) == {
        "azp": "http://127.0.0.1:8000",
        "exp": 1_000_450,
        "iat": 1_000_150,
        "iss": "http://127.0.0.1:8001",
        "jti": "abc",
        "nbf": 1_000_143,
        "sub": "user_1",
        "aud": "api",
        "name": "Zoë Łukasz",
        "org": "acme",
    }
    assert template_claims(facts(member=False), template)["org"] is None


@pytest.fixture(scope="module")
def keys() -> tuple[SigningKey, SigningKey]:
    return SigningKey.generate("ins_1"), SigningKey.generate("ins_2")


def test_the_header_names_key_class_and_type(keys):
    ring = KeyRing(keys)
    header = jwt.get_unverified_header(ring.sign({}, Category.TEMPLATE))
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "ins_1", "cat": "cl_B7d4PD222AAA"}
    assert "cat" not in jwt.get_unverified_header(ring.sign({}, None))


def test_a_ring_opens_what_any_of_its_keys_signed_and_nothing_else(keys):
    first, second = keys
    token = KeyRing([second]).sign({"a": 1}, None)
    assert KeyRing([first, second]).open(token).payload == {"a": 1}
    assert {key["kid"] for key in KeyRing([first, second]).jwks()["keys"]} == {"ins_1", "ins_2"}
    impostor = SigningKey("ins_1", second.private_key)
    for foreign in (token, KeyRing([impostor]).sign({}, None), jwt.encode({}, "k" * 32, "HS256", {"kid": "ins_1"})):
        with pytest.raises(ForeignToken):
            KeyRing([first]).open(foreign)


def test_a_key_survives_being_written_down(keys):
    again = SigningKey.from_pem("ins_1", keys[0].to_pem())
    assert again.to_jwk() == keys[0].to_jwk()
    assert "PRIVATE" not in repr(keys[0])
