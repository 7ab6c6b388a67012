"""How one value about people is read, in the seed file and on the command line: addresses, slugs, keys, identifiers."""

from collections.abc import Callable

from gateway.authority.store.passwords import password_problem
from gateway.core.secret import Secret
from gateway.core.settings_values import BadValueError, text


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


def read_identifier(prefix: str) -> Callable[[object], str]:
    """Return what reads an identifier that starts so."""

    def read(value: object) -> str:
        found = text(value)
        rest = found.removeprefix(prefix)
        if rest == found or not (rest.isascii() and rest.replace("_", "").isalnum()) or len(found) > 64:
            raise BadValueError("it is not an identifier", f'write one like "{prefix}ada", or leave it out')
        return found

    return read


def read_password(value: object) -> str:
    """Read a password that may be kept."""
    if not isinstance(value, str):
        raise BadValueError("it is not a text", "put it in quotes")
    problem = password_problem(Secret(value))
    if problem:
        raise BadValueError(problem, "write another one")
    return value
