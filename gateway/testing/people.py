"""Who there is in a world: users, organizations and roles, made when a test names them."""

import sqlite3
from collections.abc import Mapping, Sequence

from gateway.authority.identifiers import new_id
from gateway.authority.models import Organization, Role, User
from gateway.authority.realm import Realm
from gateway.authority.store.seed import Seed
from gateway.testing.wrong_use import WrongUse, unknown

_FEATURES = ("dashboard", "teams")
ROLES = (
    Role("org:admin", "Admin", ("org:dashboard:read", "org:dashboard:manage", "org:teams:read", "org:teams:manage")),
    Role("org:member", "Member", ("org:dashboard:read", "org:teams:read")),
)
NOBODY = Seed(roles=ROLES)
"""A world begins with the roles ``org:admin`` and ``org:member``, and nobody in it."""


class People:
    """The directory of one world.

    Args:
        realm: the instance.
    """

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._roles = {role.key: role for role in ROLES}
        self._organizations: dict[str, Organization] = {}
        # Those of which a test has said what they have; what they lack is meant.
        self._described: set[str] = set()

    def add_role(self, key: str, permissions: Sequence[str], name: str) -> Role:
        """Make a role.

        Raises:
            WrongUse: it is there, or is not written as roles are.
        """
        for text, parts in ((key, 2), *((permission, 3) for permission in permissions)):
            if not text.startswith("org:") or text.count(":") != parts - 1:
                example = "org:editor" if parts == 2 else "org:articles:publish"
                raise WrongUse(f"{text!r} is not written as {example!r} is")
        if key in self._roles:
            raise WrongUse(f"the role {key} is there already, with {', '.join(self._roles[key].permissions)}")
        role = Role(key, name or key.removeprefix("org:").capitalize(), tuple(permissions))
        self._realm.directory.add_role(role)
        self._roles[key] = role
        return role

    def describe_organization(self, organization: Organization) -> Organization:
        """Keep a new organization that has what it is said to have and no more.

        Raises:
            WrongUse: it is there.
        """
        if organization.slug in self._organizations:
            fix = "name it before the users who are its members"
            raise WrongUse(f"the organization {organization.slug!r} is there already; {fix}")
        self._described.add(organization.slug)
        return self._add_organization(organization)

    def _add_organization(self, organization: Organization) -> Organization:
        self._realm.directory.add_organization(organization)
        self._organizations[organization.slug] = organization
        return organization

    def organization(self, slug: str) -> Organization:
        """Return the organization; one that nobody has named before has the features that roles know by then."""
        if slug in self._organizations:
            return self._organizations[slug]
        named = (permission.split(":")[1] for role in self._roles.values() for permission in role.permissions)
        return self._add_organization(self.new_organization(slug, features=tuple(dict.fromkeys((*_FEATURES, *named)))))

    def new_organization(self, slug: str, **fields: object) -> Organization:
        """Return the record of an organization, with what is not given made up."""
        given = {name: value for name, value in fields.items() if value is not None}
        made = {"id": new_id("org"), "name": slug.capitalize(), "created_at_ms": self._realm.now_ms()}
        return Organization(**{**made, **given, "slug": slug})  # type: ignore[arg-type]

    def add_user(self, email_address: str, organizations: Mapping[str, str], **fields: object) -> User:
        """Keep a new user.

        Raises:
            WrongUse: there is no such role, or it is about what an organization lacks; or the user is there.
        """
        for role_key in organizations.values():
            if role_key not in self._roles:
                fix = f"Make it with world.role({role_key!r}, [permissions])."
                raise unknown("role", role_key, self._roles, fix)
        given = {name: value for name, value in fields.items() if value is not None}
        first_name = email_address.partition("@")[0].capitalize()
        made = {"id": new_id("user"), "first_name": first_name, "last_name": "", "created_at_ms": self._realm.now_ms()}
        user = User(**{**made, **given, "email_address": email_address})  # type: ignore[arg-type]
        memberships = [(self._organization_for(slug, self._roles[key]), key) for slug, key in organizations.items()]
        with self._realm.database.transaction():
            try:
                self._realm.directory.add_user(user)
            except sqlite3.IntegrityError:
                raise WrongUse(f"a user {email_address}, or one with the id {user.id}, is there already") from None
            for organization, role_key in memberships:
                self._realm.directory.add_member(user.id, organization.id, role_key)
        return user

    def _organization_for(self, slug: str, role: Role) -> Organization:
        """Return the organization; one that was made by the way must have all that the role is about."""
        organization = self.organization(slug)
        named = [permission.split(":")[1] for permission in role.permissions]
        missing = next((feature for feature in named if feature not in organization.features), None)
        if missing is not None and slug not in self._described:
            problem = f"{role.key} is about the feature {missing!r}, which {slug} does not have"
            raise WrongUse(f"{problem}: make the role before the organization's first member")
        return organization

    def remove_member(self, user: User, slug: str) -> None:
        """End a membership.

        Raises:
            WrongUse: there is no such organization.
        """
        if slug not in self._organizations:
            raise unknown("organization", slug, self._organizations, "Users bring them along.")
        self._realm.directory.remove_member(user.id, self._organizations[slug].id)
