"""The seed file: who is in a new database, as TOML. Everything that is wrong with it is said at once.

Names that the file itself declares tie it together: a membership names its organization by slug and its role by key.
Identifiers are made up unless the file fixes them.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.authority.identifiers import new_id
from gateway.authority.models import JwtTemplate, Organization, Role, User
from gateway.authority.signing.template_form import FIELDS, TemplateFault, parse_template
from gateway.authority.store.passwords import hash_password
from gateway.authority.store.seed import Seed
from gateway.authority.store.seed_sheet import Sheet
from gateway.authority.store.seed_values import (
    read_email_address,
    read_identifier,
    read_password,
    read_permission,
    read_role_key,
    read_slug,
)
from gateway.core.secret import Secret
from gateway.core.settings_values import BadValueError
from gateway.errors import ConfigurationError, Fault


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
    sheet = Sheet()
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


_TABLES = ("roles", "organizations", "users", "jwt_templates")
_ROLE = ("key", "name", "permissions")
_ORGANIZATION = ("id", "name", "slug", "plan", "features", "public_metadata")
_USER = (
    "id", "first_name", "last_name", "email_address", "password", "plan", "features", "public_metadata",
    "unsafe_metadata", "memberships",
)  # fmt: skip
_MEMBERSHIP = ("organization", "role")
_TEMPLATE = tuple(FIELDS)


def _role(sheet: Sheet, name: str, row: Mapping[str, object]) -> Role:
    sheet.known(name, row, _ROLE)
    key = str(sheet.value(name, row, "key", read_role_key))
    permissions = sheet.words(name, row, "permissions")
    for permission in permissions:
        try:
            read_permission(permission)
        except BadValueError as bad:
            sheet.fault(f"{name}.permissions", permission, bad.problem, bad.fix)
    return Role(key, sheet.word(name, row, "name", key.removeprefix("org:").capitalize()), permissions)


def _organization(sheet: Sheet, name: str, row: Mapping[str, object], now_ms: int) -> Organization:
    sheet.known(name, row, _ORGANIZATION)
    return Organization(
        id=str(sheet.value(name, row, "id", read_identifier("org_"), new_id("org"))),
        name=sheet.word(name, row, "name"),
        slug=str(sheet.value(name, row, "slug", read_slug)),
        plan=sheet.word(name, row, "plan", ""),
        features=sheet.words(name, row, "features"),
        public_metadata=sheet.table(name, row, "public_metadata"),
        created_at_ms=now_ms,
    )


def _person(sheet: Sheet, name: str, row: Mapping[str, object], now_ms: int) -> _Person:
    sheet.known(name, row, _USER)
    user = User(
        id=str(sheet.value(name, row, "id", read_identifier("user_"), new_id("user"))),
        first_name=sheet.word(name, row, "first_name", ""),
        last_name=sheet.word(name, row, "last_name", ""),
        email_address=str(sheet.value(name, row, "email_address", read_email_address)),
        plan=sheet.word(name, row, "plan", ""),
        features=sheet.words(name, row, "features"),
        public_metadata=sheet.table(name, row, "public_metadata"),
        unsafe_metadata=sheet.table(name, row, "unsafe_metadata"),
        created_at_ms=now_ms,
    )
    password = Secret(str(sheet.value(name, row, "password", read_password, "")))
    return _Person(name, user, password, sheet.rows(row, "memberships", f"{name}."))


def _memberships(
    sheet: Sheet, people: Sequence[_Person], organizations: Sequence[Organization], roles: Sequence[Role]
) -> list[tuple[str, str, str]]:
    ids = {organization.slug: organization.id for organization in organizations}
    keys = [role.key for role in roles]
    found = []
    undeclared: dict[tuple[str, str], list[str]] = {}
    for person in people:
        for name, row in person.memberships:
            sheet.known(name, row, _MEMBERSHIP)
            slug, role = sheet.word(name, row, "organization"), sheet.word(name, row, "role")
            if slug and slug not in ids:
                undeclared.setdefault(("organization", slug), []).append(name)
            if role and role not in keys:
                undeclared.setdefault(("role", role), []).append(name)
            found.append((person.user.id, ids.get(slug, ""), role))
        slugs = [str(row.get("organization", "")) for _, row in person.memberships]
        sheet.once(f"{person.name}.memberships", "organization", slugs)
    for (kind, seen), places in undeclared.items():
        # once, however many name it: the one line that is missing is not in the memberships
        count = f", and {len(places)} memberships name it" if len(places) > 1 else ""
        fix = _declare(kind, ids if kind == "organization" else keys)
        sheet.fault(f"{places[0]}.{kind}", seen, f"the file has no such {kind}{count}", fix)
    return found


def _template(sheet: Sheet, name: str, row: Mapping[str, object], now_ms: int) -> JwtTemplate:
    sheet.known(name, row, _TEMPLATE)
    known = {key: value for key, value in row.items() if key in _TEMPLATE}
    try:
        return parse_template({"claims": {}, **known}, now_ms)
    except TemplateFault as fault:
        # its value may be a key, so none is shown
        sheet.faults.append(Fault(f"{name}.{fault.param}", "", fault.problem, "see JWT templates in docs/authority.md"))
        return JwtTemplate(id="", name="", claims={})


def _declare(kind: str, names: Iterable[str]) -> str:
    declared = ", ".join(names)
    return f"declare it under [[{kind}s]]" + (f", or write one of {declared}" if declared else "")
