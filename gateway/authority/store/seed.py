"""Who is there in a new database: four users, two organizations, two roles, one JWT template.

Identifiers are random, because that is what applications meet; names, slugs and roles are always the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.authority.identifiers import new_id
from gateway.authority.models import JwtTemplate, Organization, Role, User
from gateway.authority.store.database import Database
from gateway.authority.store.directory import Directory
from gateway.authority.store.passwords import Passwords
from gateway.authority.store.templates import Templates


@dataclass(frozen=True, slots=True)
class Seed:
    """What a new database is filled with.

    Attributes:
        users: in the order in which they are shown.
        organizations: likewise.
        roles: likewise.
        memberships: user, organization and role, by id, id and key.
        passwords: user id to the hash of the password.
        templates: JWT templates.
    """

    users: tuple[User, ...] = ()
    organizations: tuple[Organization, ...] = ()
    roles: tuple[Role, ...] = ()
    memberships: tuple[tuple[str, str, str], ...] = ()
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    templates: tuple[JwtTemplate, ...] = field(default=())

    def plant(self, database: Database) -> None:
        """Write it all to the database; the caller holds the transaction."""
        directory, passwords, templates = Directory(database), Passwords(database), Templates(database)
        for user in self.users:
            directory.add_user(user)
        for organization in self.organizations:
            directory.add_organization(organization)
        for role in self.roles:
            directory.add_role(role)
        for user_id, organization_id, role_key in self.memberships:
            directory.add_member(user_id, organization_id, role_key)
        for user in self.users:
            if user.id in self.passwords:
                passwords.keep(user.id, self.passwords[user.id], user.created_at_ms)
        for template in self.templates:
            templates.add(template)


def default_seed(now_ms: int) -> Seed:
    """The seed of ``gateway authority`` and ``gateway dev``."""
    ada = _user("Ada", "Lovelace", "ada@example.com", now_ms)
    grace = _user("Grace", "Hopper", "grace@example.com", now_ms)
    alan = _user("Alan", "Turing", "alan@example.com", now_ms)
    zoe = _user("Zoë", "Łukasz", "zoe@example.com", now_ms)
    acme = Organization(
        id=new_id("org"), name="Acme", slug="acme", plan="pro", features=("dashboard", "teams"), created_at_ms=now_ms
    )
    globex = Organization(
        id=new_id("org"), name="Globex", slug="globex", plan="free", features=("dashboard",), created_at_ms=now_ms
    )
    return Seed(
        users=(ada, grace, alan, zoe),
        organizations=(acme, globex),
        roles=(
            Role(
                "org:admin",
                "Admin",
                ("org:dashboard:read", "org:dashboard:manage", "org:teams:read", "org:teams:manage"),
            ),
            Role("org:member", "Member", ("org:dashboard:read", "org:teams:read")),
        ),
        memberships=(
            (ada.id, acme.id, "org:admin"),
            (ada.id, globex.id, "org:member"),
            (grace.id, acme.id, "org:member"),
            (zoe.id, globex.id, "org:admin"),
        ),
        templates=(_hasura(),),
    )


def empty_seed(now_ms: int) -> Seed:
    """The seed of a production instance: the roles and the template, and nobody who could sign in."""
    return replace(default_seed(now_ms), users=(), organizations=(), memberships=())


def _user(first_name: str, last_name: str, email_address: str, now_ms: int) -> User:
    return User(
        id=new_id("user"),
        first_name=first_name,
        last_name=last_name,
        email_address=email_address,
        plan="free",
        created_at_ms=now_ms,
    )


def _hasura() -> JwtTemplate:
    return JwtTemplate(
        id=new_id("jtmp"),
        name="custom_hasura",
        claims={
            "https://hasura.io/jwt/claims": {
                "x-hasura-allowed-roles": ["user", "{{org.role || 'user'}}"],
                "x-hasura-default-role": "user",
                "x-hasura-user-id": "{{user.id}}",
                "x-hasura-org-id": "{{org.id}}",
            },
            "name": "{{user.full_name}}",
            "email": "{{user.primary_email_address}}",
        },
    )
