"""The seed file: what it may say, and everything that is wrong with it at once."""

import tomllib

import pytest

from gateway.authority import Authority, AuthorityConfig, Founding
from gateway.authority.store.passwords import is_password
from gateway.authority.store.seed_file import parse_seed, read_seed
from gateway.core.secret import Secret
from gateway.errors import ConfigurationError

NOW = 1_800_000_000_000
GOOD = """
[[roles]]
key = "org:editor"
permissions = ["org:pages:write"]

[[organizations]]
name = "Initech"
slug = "initech"
plan = "pro"
features = ["pages"]
public_metadata = { region = "eu" }

[[users]]
id = "user_milton"
first_name = "Milton"
email_address = "milton@initech.test"
password = "my red stapler"
plan = "free"
features = ["stapler"]
unsafe_metadata = { floor = 0, desks = ["b", "c"] }

[[users.memberships]]
organization = "initech"
role = "org:editor"

[[users]]
email_address = "bill@initech.test"

[[jwt_templates]]
name = "hasura"
claims = { role = "{{org.role}}" }
lifetime = 120
"""


def faults(text: str) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as error:
        parse_seed(tomllib.loads(text), NOW)
    return {fault.setting: f"{fault.seen} {fault.problem} {fault.fix}" for fault in error.value.faults}


def test_everything_that_it_declares_is_there(tmp_path):
    path = tmp_path / "people.toml"
    path.write_text(GOOD)
    config = AuthorityConfig(origin="http://127.0.0.1:8001")
    authority = Authority.open(config, founding=Founding.generate(config, NOW, read_seed(str(path), NOW)))
    realm = authority.realm
    milton, bill = realm.directory.users()
    assert (milton.id, milton.full_name, milton.features) == ("user_milton", "Milton", ("stapler",))
    assert milton.unsafe_metadata == {"floor": 0, "desks": ["b", "c"]}
    membership = realm.directory.membership("user_milton", "initech")
    assert membership is not None
    assert (membership.role.key, membership.role.name) == ("org:editor", "Editor")
    assert membership.organization.public_metadata == {"region": "eu"}
    kept = realm.passwords.of(milton.id)
    assert kept is not None
    assert is_password(Secret("my red stapler"), kept)
    assert realm.passwords.of(bill.id) is None
    assert authority.describe()["jwt_templates"] == ["hasura"]
    authority.close()


def test_an_empty_file_is_an_authority_with_nobody():
    assert parse_seed({}, NOW).users == ()


def test_everything_that_is_wrong_is_said_at_once():
    found = faults(
        """
        rules = 3
        [[roles]]
        key = "editor"
        permissions = ["pages:write", "org:pages:read"]
        [[organizations]]
        name = "Initech"
        slug = "Ini Tech"
        feature = []
        [[organizations]]
        id = "user_1"
        slug = "a"
        [[users]]
        email_address = "milton"
        password = "short"
        public_metadata = { since = 1979-05-27 }
        [[users]]
        email_address = "bill@initech.test"
        [[users]]
        email_address = "Bill@Initech.test"
        password = 12345678
        memberships = [{ organization = "none", role = "org:none" }, { organization = "none" }]
        [[jwt_templates]]
        lifetime = 3
        """
    )
    assert set(found) >= {
        "rules", "roles[1].key", "roles[1].permissions", "organizations[1].slug", "organizations[1].feature",
        "organizations[2].id", "organizations[2].name", "users[1].email_address", "users[1].password",
        "users[1].public_metadata", "users[3].email_address", "users[3].password",
        "users[3].memberships[1].organization", "users[3].memberships[1].role", "users[3].memberships[2].role",
        "users[3].memberships[2].organization", "jwt_templates[1].name",
    }  # fmt: skip
    assert "did you mean" in found["rules"]
    assert 'did you mean "features"?' in found["organizations[1].feature"]
    assert "short" not in found["users[1].password"]
    assert "12345678" not in found["users[3].password"]
    assert "users[2] has the same" in found["users[3].email_address"]


def test_what_many_memberships_name_and_the_file_does_not_declare_is_said_once_with_their_number():
    users = "".join(
        f"""
        [[users]]
        email_address = "{name}@initech.test"
        memberships = [{{ organization = "initech", role = "{role}" }}, {{ organization = "none", role = "{role}" }}]
        """
        for name, role in [("ada", "org:boss"), ("bill", "org:boss"), ("carl", "org:clerk")]
    )
    found = faults(f'[[roles]]\nkey = "org:editor"\n[[organizations]]\nname = "I"\nslug = "initech"\n{users}')
    assert set(found) == {
        "users[1].memberships[1].role", "users[1].memberships[2].organization", "users[3].memberships[1].role",
    }  # fmt: skip
    boss = found["users[1].memberships[1].role"]
    assert boss.startswith('"org:boss" the file has no such role, and 4 memberships name it')
    assert "declare it under [[roles]], or write one of org:editor" in boss
    assert '"org:clerk" the file has no such role, and 2 memberships' in found["users[3].memberships[1].role"]
    assert '"none" the file has no such organization, and 3' in found["users[1].memberships[2].organization"]


@pytest.mark.parametrize(
    ("members", "member"),
    [
        ('name = "a"\nclaims = { sub = "x" }', "claims"),
        ('name = "a"\nclaims = { since = 1979-05-27 }', "claims"),
        ('name = "a/b"', "name"),
        ('name = "a"\nlifetime = 3', "lifetime"),
        ('name = "a"\ncustom_signing_key = true\nsigning_algorithm = "HS256"\nsigning_key = "tooshort"', "signing_key"),
    ],
)
def test_a_template_that_the_backend_api_would_refuse_is_refused_here_too(members, member):
    found = faults(f"[[jwt_templates]]\n{members}")
    assert set(found) == {f"jwt_templates[1].{member}"}
    assert "tooshort" not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        '[[users]]\nemail_address = "a@b.test"\npasword = "my red stapler"',
        '[users]\npassword = "my red stapler"',
        'users = ["my red stapler"]',
        '[[jwt_templates]]\nname = "a"\nsigning_kee = "my red stapler"',
        '[jwt_templates]\nsigning_key = "my red stapler"',
        'passwords = { ada = "my red stapler" }',
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(text):
    with pytest.raises(ConfigurationError) as error:
        parse_seed(tomllib.loads(text), NOW)
    assert "stapler" not in str(error.value)
    assert "stapler" not in repr(error.value.faults)


@pytest.mark.parametrize("text", ["users = 3", "users = [1]", "[users]\nid = 'x'"])
def test_tables_that_are_none_are_said(text):
    assert set(faults(text)) == {"users"}


@pytest.mark.parametrize(("content", "said"), [(b"= 3", "not TOML"), (b"\xff", "cannot be read"), (None, "cannot be")])
def test_a_file_that_cannot_be_read_names_the_option(tmp_path, content, said):
    path = tmp_path / "people.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        read_seed(str(path), NOW)
    (fault,) = error.value.faults
    assert (fault.setting, fault.seen) == ("--seed", str(path))
    assert said in fault.problem
