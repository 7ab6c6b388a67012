"""The seed file: who is in a new database, as TOML. Everything that is wrong with it is said at once.

Names that the file itself declares tie it together: a membership names its organization by slug and its role by key.
Identifiers are made up unless the file fixes them.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.authority.identifiers import new_id
from gateway.authority.models import JwtTemplate, Organization, Role, User
from gateway.authority.signing.template_form import FIELDS, TemplateFault, parse_template
from gateway.authority.store.passwords import hash_password, password_problem
from gateway.authority.store.seed import Seed
from gateway.core.secret import Secret
from gateway.core.settings_values import BadValueError, did_you_mean, list_of, show, text
from gateway.errors import ConfigurationError, Fault

_Read = Callable[[object], object]
_NO_TEXT = ""


def read_seed(path: str, now_ms: int) -> Seed:
    """Read a seed file.

    Raises:
        ConfigurationError: it cannot be read, or with everything that is wrong in it.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problem = f"it cannot be read ({getattr(error, 'strerror', None) or error})"
        raise ConfigurationError([Fault("--seed", path, problem, "name a readable file")]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([Fault("--seed", path, f"it is not TOML ({error})", "correct the line")]) from None
    return parse_seed(document, now_ms)


def parse_seed(document: Mapping[str, object], now_ms: int) -> Seed:
    """Turn the document into a seed.

    Args:
        document: as TOML gives it.
        now_ms: when all of it counts as created.

    Raises:
        ConfigurationError: with everything that is wrong.
    """
    sheet = _Sheet()
    sheet.known("", document, _TABLES)
    roles = [_role(sheet, name, row) for name, row in sheet.rows(document, "roles")]
    organizations = [_organization(sheet, name, row, now_ms) for name, row in sheet.rows(document, "organizations")]
    people = [_person(sheet, name, row, now_ms) for name, row in sheet.rows(document, "users")]
    templates = [_template(sheet, name, row, now_ms) for name, row in sheet.rows(document, "jwt_templates")]
    sheet.once("roles", "key", [role.key for role in roles])
    sheet.once("organizations", "slug", [organization.slug for organization in organizations])
    sheet.once("organizations", "id", [organization.id for organization in organizations])
    sheet.once("users", "email_address", [person.user.email_address.casefold() for person in people])
    sheet.once("users", "id", [person.user.id for person in people])
    sheet.once("jwt_templates", "name", [template.name for template in templates])
    memberships = _memberships(sheet, people, organizations, roles)
    if sheet.faults:
        raise ConfigurationError(sheet.faults)
    return Seed(
        users=tuple(person.user for person in people),
        organizations=tuple(organizations),
        roles=tuple(roles),
        memberships=tuple(memberships),
        passwords={person.user.id: hash_password(person.password) for person in people if person.password},
        templates=tuple(templates),
    )


@dataclass(frozen=True, slots=True)
class _Person:
    """A user of the file, with what is said beside the record."""

    name: str
    user: User
    password: Secret
    memberships: Sequence[tuple[str, Mapping[str, object]]]


@dataclass(slots=True)
class _Sheet:
    """Collects what is wrong while rows are read; a value at fault is replaced by its default."""

    faults: list[Fault] = field(default_factory=list)

    def rows(self, table: Mapping[str, object], key: str, prefix: str = "") -> list[tuple[str, Mapping[str, object]]]:
        """The tables of an array of tables, each with its name for faults."""
        found = table.get(key, [])
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            self.fault(f"{prefix}{key}", found, "it is not a list of tables", f"write [[{key}]] above each")
            return []
        return [(f"{prefix}{key}[{position + 1}]", row) for position, row in enumerate(found)]

    def known(self, name: str, row: Mapping[str, object], keys: Sequence[str]) -> None:
        """Complain about keys that nobody knows."""
        for key in row:
            if key not in keys:
                self.fault(f"{name}.{key}".lstrip("."), row[key], "it is not a known key", did_you_mean(key, keys))

    def value(self, name: str, row: Mapping[str, object], key: str, read: _Read, default: object = None) -> object:
        """One value; without a default it must be there."""
        if key not in row:
            if default is None:
                self.faults.append(Fault(f"{name}.{key}", "", "it is missing", "give it a value"))
            return default if default is not None else _NO_TEXT
        try:
            return read(row[key])
        except BadValueError as bad:
            self.faults.append(Fault(f"{name}.{key}", _shown(key, row[key]), bad.problem, bad.fix))
            return default if default is not None else _NO_TEXT

    def word(self, name: str, row: Mapping[str, object], key: str, default: str | None = None) -> str:
        """One text."""
        return str(self.value(name, row, key, text, default))

    def words(self, name: str, row: Mapping[str, object], key: str) -> tuple[str, ...]:
        """A list of texts, by default empty."""
        found = self.value(name, row, key, list_of(text), ())
        return found if isinstance(found, tuple) else ()

    def table(self, name: str, row: Mapping[str, object], key: str) -> Mapping[str, object]:
        """A table of anything that JSON can say, by default empty."""
        found = self.value(name, row, key, _json_table, {})
        return found if isinstance(found, dict) else {}

    def once(self, table: str, key: str, values: Sequence[str]) -> None:
        """Complain about a value that an earlier row has."""
        for position, value in enumerate(values):
            if value and value in values[:position]:
                name = f"{table}[{position + 1}].{key}"
                self.fault(name, value, f"{table}[{values.index(value) + 1}] has the same", "give each its own")

    def fault(self, name: str, seen: object, problem: str, fix: str) -> None:
        """Note one thing that is wrong."""
        self.faults.append(Fault(name, _shown(name.rpartition(".")[2], seen), problem, fix))


_TABLES = ("roles", "organizations", "users", "jwt_templates")
_ROLE = ("key", "name", "permissions")
_ORGANIZATION = ("id", "name", "slug", "plan", "features", "public_metadata")
_USER = (
    "id", "first_name", "last_name", "email_address", "password", "plan", "features", "public_metadata",
    "unsafe_metadata", "memberships",
)  # fmt: skip
_MEMBERSHIP = ("organization", "role")
_TEMPLATE = tuple(FIELDS)


def _role(sheet: _Sheet, name: str, row: Mapping[str, object]) -> Role:
    sheet.known(name, row, _ROLE)
    key = str(sheet.value(name, row, "key", read_role_key))
    permissions = sheet.words(name, row, "permissions")
    for permission in permissions:
        try:
            read_permission(permission)
        except BadValueError as bad:
            sheet.fault(f"{name}.permissions", permission, bad.problem, bad.fix)
    return Role(key, sheet.word(name, row, "name", key.removeprefix("org:").capitalize()), permissions)


def _organization(sheet: _Sheet, name: str, row: Mapping[str, object], now_ms: int) -> Organization:
    sheet.known(name, row, _ORGANIZATION)
    return Organization(
        id=str(sheet.value(name, row, "id", _identifier("org_"), new_id("org"))),
        name=sheet.word(name, row, "name"),
        slug=str(sheet.value(name, row, "slug", read_slug)),
        plan=sheet.word(name, row, "plan", ""),
        features=sheet.words(name, row, "features"),
        public_metadata=sheet.table(name, row, "public_metadata"),
        created_at_ms=now_ms,
    )


def _person(sheet: _Sheet, name: str, row: Mapping[str, object], now_ms: int) -> _Person:
    sheet.known(name, row, _USER)
    user = User(
        id=str(sheet.value(name, row, "id", _identifier("user_"), new_id("user"))),
        first_name=sheet.word(name, row, "first_name", ""),
        last_name=sheet.word(name, row, "last_name", ""),
        email_address=str(sheet.value(name, row, "email_address", read_email_address)),
        plan=sheet.word(name, row, "plan", ""),
        features=sheet.words(name, row, "features"),
        public_metadata=sheet.table(name, row, "public_metadata"),
        unsafe_metadata=sheet.table(name, row, "unsafe_metadata"),
        created_at_ms=now_ms,
    )
    password = Secret(str(sheet.value(name, row, "password", _password, "")))
    return _Person(name, user, password, sheet.rows(row, "memberships", f"{name}."))


def _memberships(
    sheet: _Sheet, people: Sequence[_Person], organizations: Sequence[Organization], roles: Sequence[Role]
) -> list[tuple[str, str, str]]:
    ids = {organization.slug: organization.id for organization in organizations}
    keys = [role.key for role in roles]
    found = []
    for person in people:
        for name, row in person.memberships:
            sheet.known(name, row, _MEMBERSHIP)
            slug, role = sheet.word(name, row, "organization"), sheet.word(name, row, "role")
            if slug and slug not in ids:
                sheet.fault(f"{name}.organization", slug, "the file has no such organization", _one_of(ids))
            if role and role not in keys:
                sheet.fault(f"{name}.role", role, "the file has no such role", _one_of(keys))
            found.append((person.user.id, ids.get(slug, ""), role))
        slugs = [str(row.get("organization", "")) for _, row in person.memberships]
        sheet.once(f"{person.name}.memberships", "organization", slugs)
    return found


def _template(sheet: _Sheet, name: str, row: Mapping[str, object], now_ms: int) -> JwtTemplate:
    sheet.known(name, row, _TEMPLATE)
    known = {key: value for key, value in row.items() if key in _TEMPLATE}
    try:
        return parse_template({"claims": {}, **known}, now_ms)
    except TemplateFault as fault:
        # its value may be a key, so none is shown
        sheet.faults.append(Fault(f"{name}.{fault.param}", "", fault.problem, "see JWT templates in docs/authority.md"))
        return JwtTemplate(id="", name="", claims={})


def read_email_address(value: object) -> str:
    """Read an email address; only its shape is looked at."""
    found = text(value)
    name, at, domain = found.rpartition("@")
    if not (at and name and domain) or len(found) > 254 or any(not letter.isprintable() for letter in found):
        raise BadValueError("it is not an email address", "write one like ada@example.com")
    return found


def read_slug(value: object) -> str:
    """Read the slug of an organization: what stands in addresses."""
    found = text(value)
    plain = found.replace("-", "").replace("_", "")
    if not (plain.isascii() and plain.isalnum() and plain == plain.lower()) or len(found) > 64:
        raise BadValueError("it is not a slug", 'write lower-case letters, digits and dashes, like "acme"')
    return found


def read_role_key(value: object) -> str:
    """Read the key of a role."""
    found = text(value)
    if not found.startswith("org:") or found == "org:":
        raise BadValueError("it is not the key of a role", 'write one like "org:admin"')
    return found


def read_permission(value: object) -> str:
    """Read the key of a permission."""
    found = text(value)
    if not found.startswith("org:") or found.count(":") < 2:
        raise BadValueError("it is no permission", 'write one like "org:teams:manage"')
    return found


def _identifier(prefix: str) -> _Read:
    def read(value: object) -> str:
        found = text(value)
        rest = found.removeprefix(prefix)
        if rest == found or not (rest.isascii() and rest.replace("_", "").isalnum()) or len(found) > 64:
            raise BadValueError("it is not an identifier", f'write one like "{prefix}ada", or leave it out')
        return found

    return read


def _password(value: object) -> str:
    if not isinstance(value, str):
        raise BadValueError("it is not a text", "put it in quotes")
    problem = password_problem(Secret(value))
    if problem:
        raise BadValueError(problem, "write another one")
    return value


def _json_table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadValueError("it is not a table", "write { name = value, … }")
    if not _is_json(value):
        raise BadValueError("it holds a date or a number that JSON does not know", "write it as a text")
    return value


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, str | int) or (isinstance(value, float) and value - value == 0)


def _one_of(names: Sequence[str] | Mapping[str, str]) -> str:
    return f"write one of {', '.join(names)}" if names else "declare it in the file"


def _shown(key: str, value: object) -> str:
    return "…" if key == "password" else show(value)
