"""The JWT templates of the instance, in the database."""

import json
import sqlite3

from gateway.authority.models import JwtTemplate
from gateway.authority.store.database import Database, Values
from gateway.core.secret import Secret

_INSERT = """
INSERT INTO jwt_templates
    (id, name, claims, lifetime_s, allowed_clock_skew_s, signing_algorithm, signing_key, created_at, updated_at)
VALUES (:id, :name, :claims, :lifetime_s, :skew_s, :signing_algorithm, :signing_key, :created_at, :updated_at)
"""
_UPDATE = """
UPDATE jwt_templates SET name = :name, claims = :claims, lifetime_s = :lifetime_s, allowed_clock_skew_s = :skew_s,
    signing_algorithm = :signing_algorithm, signing_key = :signing_key, updated_at = :updated_at
WHERE id = :id
"""


class NameTaken(Exception):
    """Another template has this name."""


class Templates:
    """The JWT templates. Names are unique."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, template: JwtTemplate) -> None:
        """Keep a new template.

        Raises:
            NameTaken: another one has its name.
        """
        self._write(_INSERT, template)

    def update(self, template: JwtTemplate) -> None:
        """Keep the new state of a template.

        Raises:
            NameTaken: another one has its name.
        """
        self._write(_UPDATE, template)

    def remove(self, template_id: str) -> bool:
        """Forget a template; False when there is none with this id."""
        return bool(self._database.write("DELETE FROM jwt_templates WHERE id = :id", {"id": template_id}))

    def find(self, template_id: str) -> JwtTemplate | None:
        """The template with this id."""
        row = self._database.row("SELECT * FROM jwt_templates WHERE id = :id", {"id": template_id})
        return _template(row) if row else None

    def named(self, name: str) -> JwtTemplate | None:
        """The template with this name."""
        row = self._database.row("SELECT * FROM jwt_templates WHERE name = :name", {"name": name})
        return _template(row) if row else None

    def page(self, limit: int, offset: int) -> list[JwtTemplate]:
        """Some of the templates, in the order in which they were added."""
        rows = self._database.rows(
            "SELECT * FROM jwt_templates ORDER BY rowid LIMIT :limit OFFSET :offset", {"limit": limit, "offset": offset}
        )
        return [_template(row) for row in rows]

    def count(self) -> int:
        """How many there are."""
        row = self._database.row("SELECT COUNT(*) AS templates FROM jwt_templates")
        return int(row["templates"]) if row else 0

    def names(self) -> list[str]:
        """The names of all templates, sorted."""
        return [row["name"] for row in self._database.rows("SELECT name FROM jwt_templates ORDER BY name")]

    def _write(self, sql: str, template: JwtTemplate) -> None:
        try:
            self._database.write(sql, _values(template))
        except sqlite3.IntegrityError:
            raise NameTaken from None


def _values(template: JwtTemplate) -> Values:
    return {
        "id": template.id,
        "name": template.name,
        "claims": json.dumps(template.claims),
        "lifetime_s": template.lifetime_s,
        "skew_s": template.allowed_clock_skew_s,
        "signing_algorithm": template.signing_algorithm,
        "signing_key": template.signing_key.reveal() if template.signing_key else None,
        "created_at": template.created_at_ms,
        "updated_at": template.updated_at_ms,
    }


def _template(row: sqlite3.Row) -> JwtTemplate:
    return JwtTemplate(
        id=row["id"],
        name=row["name"],
        claims=json.loads(row["claims"]),
        lifetime_s=row["lifetime_s"],
        allowed_clock_skew_s=row["allowed_clock_skew_s"],
        signing_algorithm=row["signing_algorithm"],
        signing_key=None if row["signing_key"] is None else Secret(row["signing_key"]),
        created_at_ms=row["created_at"],
        updated_at_ms=row["updated_at"],
    )
