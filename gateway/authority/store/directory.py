"""Who there is: users, organizations, roles, memberships."""

import json
import sqlite3
from collections.abc import Mapping

from gateway.authority.models import Membership, Organization, Role, User
from gateway.authority.store.database import Database

_MEMBERSHIP = """
SELECT memberships.user_id, memberships.public_metadata AS membership_metadata,
       roles.key AS role_key, roles.name AS role_name, roles.permissions, organizations.*
FROM memberships
JOIN organizations ON organizations.id = memberships.organization_id
JOIN roles ON roles.key = memberships.role_key
WHERE memberships.user_id = :user_id
"""
# ASCII letters of either case are the same to SQLite
_FOUND = "instr(lower(id || ' ' || first_name || ' ' || last_name || ' ' || email_address), lower(:words)) > 0"


class Directory:
    """The people and their organizations, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_user(self, user: User) -> None:
        """Keep a new user."""
        self._database.write(
            "INSERT INTO users VALUES (:id, :first_name, :last_name, :email_address, :plan, :features,"
            " :public_metadata, :unsafe_metadata, :created_at)",
            {
                "id": user.id,
                "first_name": user.first_name,
                "last_name": user.last_name,
                "email_address": user.email_address,
                "plan": user.plan,
                "features": json.dumps(user.features),
                "public_metadata": json.dumps(user.public_metadata),
                "unsafe_metadata": json.dumps(user.unsafe_metadata),
                "created_at": user.created_at_ms,
            },
        )

    def remove_user(self, user_id: str) -> None:
        """Forget a user and the memberships; sessions stay, but no token can be made from them any more."""
        with self._database.transaction():
            self._database.write("DELETE FROM memberships WHERE user_id = :id", {"id": user_id})
            self._database.write("DELETE FROM passwords WHERE user_id = :id", {"id": user_id})
            self._database.write("DELETE FROM users WHERE id = :id", {"id": user_id})

    def user(self, user_id: str) -> User | None:
        """The user with this id."""
        row = self._database.row("SELECT * FROM users WHERE id = :id", {"id": user_id})
        return _user(row) if row else None

    def user_by_email(self, email_address: str) -> User | None:
        """The user with this email address, in whatever case it is written."""
        row = self._database.row(
            "SELECT * FROM users WHERE email_address = :email COLLATE NOCASE ORDER BY rowid LIMIT 1",
            {"email": _storable(email_address)},
        )
        return _user(row) if row else None

    def found_users(self, words: str, limit: int, offset: int = 0) -> list[User]:
        """Users whose id, name or email address holds the words, in the order in which they were added.

        Args:
            words: empty for everybody; compared without case.
            limit: at most so many.
            offset: skip so many first.
        """
        rows = self._database.rows(
            f"SELECT * FROM users WHERE {_FOUND} ORDER BY rowid LIMIT :limit OFFSET :offset",  # noqa: S608 - a constant
            {"words": _storable(words), "limit": limit, "offset": offset},
        )
        return [_user(row) for row in rows]

    def count_users(self, words: str = "") -> int:
        """How many users :meth:`found_users` finds in all."""
        row = self._database.row(
            f"SELECT COUNT(*) AS matches FROM users WHERE {_FOUND}",  # noqa: S608 - a constant
            {"words": _storable(words)},
        )
        return int(row["matches"]) if row else 0

    def users(self, most: int | None = None) -> list[User]:
        """All users, or so many of them, in the order in which they were added."""
        rows = self._database.rows(
            "SELECT * FROM users ORDER BY rowid LIMIT :most", {"most": -1 if most is None else most}
        )
        return [_user(row) for row in rows]

    def add_organization(self, organization: Organization) -> None:
        """Keep a new organization."""
        self._database.write(
            "INSERT INTO organizations VALUES (:id, :name, :slug, :plan, :features, :public_metadata, :created_at)",
            {
                "id": organization.id,
                "name": organization.name,
                "slug": organization.slug,
                "plan": organization.plan,
                "features": json.dumps(organization.features),
                "public_metadata": json.dumps(organization.public_metadata),
                "created_at": organization.created_at_ms,
            },
        )

    def organization(self, organization: str) -> Organization | None:
        """The organization with this id or slug."""
        row = self._database.row(
            "SELECT * FROM organizations WHERE id = :organization OR slug = :organization",
            {"organization": _storable(organization)},
        )
        return _organization(row) if row else None

    def organizations(self) -> list[tuple[Organization, int]]:
        """All organizations, in the order in which they were added, each with the number of its members."""
        rows = self._database.rows(
            "SELECT organizations.*,"
            " (SELECT COUNT(*) FROM memberships WHERE organization_id = organizations.id) AS members"
            " FROM organizations ORDER BY organizations.rowid"
        )
        return [(_organization(row), int(row["members"])) for row in rows]

    def remove_organization(self, organization_id: str) -> None:
        """Forget an organization and its memberships; the next token of a member no longer has it."""
        with self._database.transaction():
            self._database.write("DELETE FROM memberships WHERE organization_id = :id", {"id": organization_id})
            self._database.write("DELETE FROM organizations WHERE id = :id", {"id": organization_id})

    def members(self, organization_id: str) -> list[tuple[User, str]]:
        """The users of an organization with their role keys, in the order in which they were added."""
        rows = self._database.rows(
            "SELECT users.*, memberships.role_key FROM memberships JOIN users ON users.id = memberships.user_id"
            " WHERE memberships.organization_id = :id ORDER BY users.rowid",
            {"id": organization_id},
        )
        return [(_user(row), str(row["role_key"])) for row in rows]

    def roles(self) -> list[Role]:
        """All roles, in the order in which they were added."""
        rows = self._database.rows("SELECT * FROM roles ORDER BY rowid")
        return [Role(row["key"], row["name"], tuple(json.loads(row["permissions"]))) for row in rows]

    def add_role(self, role: Role) -> None:
        """Keep a new role."""
        self._database.write(
            "INSERT INTO roles VALUES (:key, :name, :permissions)",
            {"key": role.key, "name": role.name, "permissions": json.dumps(role.permissions)},
        )

    def add_member(
        self, user_id: str, organization_id: str, role_key: str, public_metadata: Mapping[str, object] | None = None
    ) -> None:
        """Make a user a member of an organization."""
        self._database.write(
            "INSERT INTO memberships VALUES (:user_id, :organization_id, :role_key, :public_metadata)",
            {
                "user_id": user_id,
                "organization_id": organization_id,
                "role_key": role_key,
                "public_metadata": json.dumps(public_metadata or {}),
            },
        )

    def remove_member(self, user_id: str, organization_id: str) -> None:
        """End a membership; the next token of the user no longer has the organization."""
        self._database.write(
            "DELETE FROM memberships WHERE user_id = :user_id AND organization_id = :organization_id",
            {"user_id": user_id, "organization_id": organization_id},
        )

    def memberships(self, user_id: str) -> list[Membership]:
        """The organizations of a user, by name."""
        rows = self._database.rows(f"{_MEMBERSHIP} ORDER BY organizations.name", {"user_id": user_id})
        return [_membership(row) for row in rows]

    def membership(self, user_id: str, organization: str) -> Membership | None:
        """The user's membership in an organization, which may be named by id or by slug."""
        row = self._database.row(
            f"{_MEMBERSHIP} AND (organizations.id = :organization OR organizations.slug = :organization)",
            {"user_id": user_id, "organization": organization},
        )
        return _membership(row) if row else None


def _storable(words: str) -> str:
    return words.strip().encode("utf-8", "replace").decode()


def _user(row: sqlite3.Row) -> User:
    return User(
        id=row["id"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        email_address=row["email_address"],
        plan=row["plan"],
        features=tuple(json.loads(row["features"])),
        public_metadata=json.loads(row["public_metadata"]),
        unsafe_metadata=json.loads(row["unsafe_metadata"]),
        created_at_ms=row["created_at"],
    )


def _organization(row: sqlite3.Row) -> Organization:
    return Organization(
        id=row["id"],
        name=row["name"],
        slug=row["slug"],
        plan=row["plan"],
        features=tuple(json.loads(row["features"])),
        public_metadata=json.loads(row["public_metadata"]),
        created_at_ms=row["created_at"],
    )


def _membership(row: sqlite3.Row) -> Membership:
    return Membership(
        user_id=row["user_id"],
        organization=_organization(row),
        role=Role(row["role_key"], row["role_name"], tuple(json.loads(row["permissions"]))),
        public_metadata=json.loads(row["membership_metadata"]),
    )
