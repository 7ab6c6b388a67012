"""What a session token says, both versions made one."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.claims import Organization, session_claims
from tests.core.minting import APP, ISSUER, NOW, claims_of


def v2(**changes: object) -> object:
    return session_claims(claims_of(**changes))


def test_the_plain_claims():
    claims = session_claims(claims_of(fva=[3, -1], act={"sub": "user_2"}))
    assert (claims.user_id, claims.session_id, claims.issuer, claims.authorized_party) == (
        "user_1",
        "sess_1",
        ISSUER,
        APP,
    )
    assert (claims.issued_at_s, claims.not_before_s, claims.expires_at_s) == (
        int(NOW) - 5,
        int(NOW) - 15,
        int(NOW) + 55,
    )
    assert (claims.factor_ages_min, claims.actor) == ((3, -1), {"sub": "user_2"})
    assert claims.is_session
    assert claims.raw["azp"] == APP
    assert "azp" not in repr(claims).replace("authorized_party", "")


def test_what_is_not_there_is_absent():
    claims = session_claims({"sub": "user_1", "exp": 1})
    assert (claims.session_id, claims.issuer, claims.authorized_party, claims.status) == ("", "", "", "")
    assert (claims.issued_at_s, claims.not_before_s) == (0, 0)
    assert (claims.organization, claims.actor, claims.factor_ages_min) == (None, None, None)


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda claims: pickle.loads(pickle.dumps(claims))],
    ids=["copy", "deep", "pickle"],
)
def test_an_application_can_copy_and_keep_what_it_is_given(again):
    claims = v2(act={"sub": "user_2"}, fva=[3, -1], fea="o:teams", pla="o:pro", o={"id": "org_1", "rol": "admin"})
    assert again(claims) == claims
    assert again(claims.organization) == claims.organization
    assert again(claims).raw == claims.raw


@pytest.mark.parametrize("name", ["sid", "iss", "azp", "sts"])
@pytest.mark.parametrize("value", [None, 7, True, ["x"], {"x": 1}])
def test_a_claim_of_another_type_is_absent(name: str, value: object):
    claims = session_claims(claims_of(**{name: value}))
    field = {"sid": "session_id", "iss": "issuer", "azp": "authorized_party", "sts": "status"}[name]
    assert getattr(claims, field) == ""


@pytest.mark.parametrize(
    ("status", "pending"), [("pending", True), ("active", False), ("Pending", False), ("x", False), (None, False)]
)
def test_only_pending_is_pending(status: object, pending: bool):
    assert session_claims(claims_of(sts=status)).is_pending is pending


@pytest.mark.parametrize(
    ("fva", "ages"),
    [
        ([0, -1], (0, -1)),
        ([1.5, 2], (1.5, 2)),
        ([-1, -1], (-1, -1)),
        ([-2, 0], None),
        ([-0.5, 0], None),
        ([0, -0.5], None),
        ([float("inf"), 0], None),
        ([0, float("nan")], None),
        ([10**400, 0], None),
        ([0, -(10**400)], None),
        ([True, 0], None),
        ([0, False], None),
        (["1", 2], None),
        ([1], None),
        ([1, 2, 3], None),
        ("12", None),
        (None, None),
        ({}, None),
    ],
)
def test_factor_ages_are_two_numbers_from_zero_or_minus_one(fva: object, ages: object):
    assert session_claims(claims_of(fva=fva)).factor_ages_min == ages


@pytest.mark.parametrize(
    ("act", "actor"), [(None, None), (..., None), ({}, {}), ("user_2", {}), (["user_2"], {}), (0, {}), (False, {})]
)
def test_an_actor_that_cannot_be_read_is_somebody_all_the_same(act: object, actor: object):
    assert session_claims(claims_of(act=act)).actor == actor


@pytest.mark.parametrize("value", [..., None, 7, ["o:a"], {"o": "a"}])
def test_features_and_plans_are_texts(value: object):
    claims = session_claims(claims_of(fea=value, pla=value))
    assert (claims.features, claims.plans) == ("", "")
    assert session_claims(claims_of(fea="o:a", pla="u:b")).features == "o:a"
    assert session_claims(claims_of(fea="o:a", pla="u:b")).plans == "u:b"


V1 = {"org_id": "org_1", "org_slug": "acme", "org_role": "org:admin", "org_permissions": ["org:a:b", "org:c:d"]}


@pytest.mark.parametrize("version", [..., 1, "2", 3, None, [2]])
def test_any_version_but_two_reads_the_claims_of_version_one(version: object):
    organization = session_claims(claims_of(v=version, **V1)).organization
    assert organization == Organization("org_1", "acme", "org:admin", ("org:a:b", "org:c:d"))


@pytest.mark.parametrize(
    ("changes", "organization"),
    [
        ({"org_id": ...}, None),
        ({"org_id": ""}, None),
        ({"org_id": 7}, None),
        ({"org_slug": ..., "org_role": None, "org_permissions": ...}, Organization("org_1")),
        ({"org_permissions": "org:a:b"}, Organization("org_1", "acme", "org:admin")),
        ({"org_permissions": ["org:a:b", 7, None, ""]}, Organization("org_1", "acme", "org:admin", ("org:a:b",))),
    ],
)
def test_version_one_with_odd_claims(changes: dict[str, object], organization: object):
    assert session_claims(claims_of(v=..., **(V1 | changes))).organization == organization


@pytest.mark.parametrize("version", [2, 2.0])
def test_version_two_reads_the_organization_claim(version: float):
    claims = claims_of(v=version, o={"id": "org_1", "slg": "acme", "rol": "admin"})
    assert session_claims(claims).organization == Organization("org_1", "acme", "org:admin")


@pytest.mark.parametrize("o", [..., None, {}, {"id": ""}, {"id": 7}, "org_1", ["org_1"]])
def test_version_two_without_an_organization_ignores_version_one(o: object):
    assert session_claims(claims_of(v=2, o=o, **V1)).organization is None


def test_version_two_without_a_role_has_none():
    assert session_claims(claims_of(o={"id": "org_1"})).organization == Organization("org_1")


@pytest.mark.parametrize(
    ("fea", "per", "fpm", "permissions"),
    [
        pytest.param("o:teams", "read,manage", "3", ("org:teams:read", "org:teams:manage"), id="two bits"),
        pytest.param("o:teams", "read,manage", "2", ("org:teams:manage",), id="the second bit"),
        pytest.param("o:teams", "read", "0", (), id="no bit"),
        pytest.param("o:a,o:b", "x,y", "1,2", ("org:a:x", "org:b:y"), id="one mask each"),
        pytest.param("u:own,o:a", "x", "1", ("org:a:x",), id="user features take no place"),
        pytest.param("ou:a,uo:b", "x", "1,1", ("org:a:x", "org:b:x"), id="features of both"),
        pytest.param("x:a,:b,c,o:d", "x", "1", ("org:d:x",), id="other scopes take no place"),
        pytest.param(" o:a , o:b ", " x , y ", " 1 , 2 ", ("org:a:x", "org:b:y"), id="blanks"),
        pytest.param("o:a,o:b,o:c", "x", "1,,1", ("org:a:x", "org:c:x"), id="an empty mask keeps its place"),
        pytest.param("o:a,o:b", "x", "one,1", ("org:b:x",), id="a mask that is no number keeps its place"),
        pytest.param("o:a", "x,,z", "7", ("org:a:x", "org:a:z"), id="an empty permission keeps its place"),
        pytest.param("o:a", "x", "-1", (), id="a negative mask"),
        pytest.param("o:a", "x", "0x1", (), id="a hexadecimal mask"),
        pytest.param("o:a", "x", "١", (), id="a digit that is not ASCII"),
        pytest.param("o:a", "x", "9" * 101, (), id="an absurd mask"),
        pytest.param("o:a", "x", "255", ("org:a:x",), id="bits beyond the permissions"),
        pytest.param(
            "o:a",
            ",".join(map(str, range(70))),
            str(1 << 69),
            ("org:a:69",),
            id="more bits than a double has",
        ),
        pytest.param("o:a,o:b", "x", "1", ("org:a:x",), id="fewer masks than features"),
        pytest.param("o:a", "x", "1,1", ("org:a:x",), id="more masks than features"),
        pytest.param("", "x", "1", (), id="no features"),
        pytest.param("o:a", "", "1", (), id="no permissions"),
        pytest.param("o:a", "x", "", (), id="no masks"),
        pytest.param(None, 7, ["1"], (), id="other types"),
    ],
)
def test_permissions_are_decoded(fea: object, per: object, fpm: object, permissions: tuple[str, ...]):
    organization = session_claims(claims_of(fea=fea, o={"id": "org_1", "per": per, "fpm": fpm})).organization
    assert organization is not None
    assert organization.permissions == permissions


NAME = st.text("abcdefg_", min_size=1, max_size=5)


@given(
    st.lists(NAME, max_size=4, unique=True),
    st.lists(NAME, max_size=4, unique=True),
    st.data(),
)
def test_decoding_permissions_undoes_encoding(features: list[str], names: list[str], data: st.DataObject):
    masks = [data.draw(st.integers(0, 2 ** len(names) - 1)) for _ in features]
    claims = claims_of(
        fea=",".join(f"o:{name}" for name in features),
        o={"id": "o", "per": ",".join(names), "fpm": ",".join(map(str, masks))},
    )
    granted = tuple(
        f"org:{feature}:{name}"
        for feature, mask in zip(features, masks, strict=True)
        for bit, name in enumerate(names)
        if mask & 1 << bit
    )
    assert session_claims(claims).organization.permissions == granted


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
CLAIM = st.sampled_from(
    ["sid", "iss", "azp", "sts", "v", "o", "fea", "fva", "act", "org_id", "org_slug", "org_role", "org_permissions"]
)


@given(st.dictionaries(CLAIM, ANY), st.dictionaries(st.sampled_from(["id", "slg", "rol", "per", "fpm"]), ANY))
def test_claims_of_any_type_are_read(payload: dict[str, object], o: dict[str, object]):
    claims = session_claims({"sub": "user_1", "exp": 1, "v": 2, "o": o} | payload)
    assert isinstance(claims.issuer, str)
    if claims.organization is not None:
        assert all(isinstance(permission, str) and permission for permission in claims.organization.permissions)
