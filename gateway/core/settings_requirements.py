"""Reading what a route, or an endpoint through ``require()``, asks for beyond a session.

What no session or machine token could ever meet is refused here, so that it is found when it is written.
"""

import re
from collections.abc import Callable, Mapping

from gateway.core.authorization import ENTITLEMENT_SCOPES, LEVELS, PRESETS, Reverification
from gateway.core.requirement import Requirement
from gateway.core.settings_values import BadEntry, BadTableError, BadValueError, did_you_mean, list_of, show, text, word

# The claims separate names by commas and blanks.
_NAME = re.compile(r"[^\s,]+")
# RFC 6749 section 3.3.
_SCOPE = re.compile(r"[!#-\[\]-~]+")
_EXAMPLE = 'write { role = "org:admin" } or another of role, permission, feature, plan, reverification, scopes'


def requirement(value: object) -> Requirement:
    """Read a table of what is asked for.

    Raises:
        BadValueError: it is no table, or asks for nothing.
        BadTableError: with everything that is wrong in it.
    """
    if isinstance(value, Requirement):
        return value
    if not isinstance(value, Mapping):
        raise BadValueError("it is not a table", _EXAMPLE)
    if not value:
        raise BadValueError("it asks for nothing", f"{_EXAMPLE}; or leave the key out")
    found = _read(value, _READERS)
    if found.get("scopes") and (others := [name for name in found if name in _OF_SESSIONS]):
        problem = f"no token has both scopes and a {others[0]}: sessions have no scopes, machine tokens nothing else"
        raise BadTableError([BadEntry("scopes", show(value["scopes"]), problem, "ask for one of the two")])
    return Requirement(**found)  # type: ignore[arg-type]


def _read(table: Mapping[str, object], readers: Mapping[str, Callable[[object], object]]) -> dict[str, object]:
    """Return the values of a table, or everything that is wrong with them. Here None is a value, and a wrong one."""
    found: dict[str, object] = {}
    bad: list[BadEntry] = []
    for name, value in table.items():
        if name not in readers:
            # Its value is not shown: under a misspelt name there may be anything.
            bad.append(BadEntry(str(name), "", "there is no such key", did_you_mean(str(name), [*readers])))
            continue
        try:
            found[name] = readers[name](value)
        except BadTableError as inner:
            bad += [entry._replace(key=f"{name}.{entry.key}") for entry in inner.entries]
        except BadValueError as error:
            bad.append(BadEntry(name, show(value), error.problem, error.fix))
    if bad:
        raise BadTableError(bad)
    return found


def _name(value: object) -> str:
    found = text(value)
    if not _NAME.fullmatch(found):
        raise BadValueError("it is more than one name", "write one name, without blanks and commas")
    return found


def _entitlement(value: object) -> str:
    found = _name(value)
    scope, *names = found.split(":")
    if names and scope not in ENTITLEMENT_SCOPES:
        raise BadValueError(f"{show(scope)} is no scope", 'write the name alone, "org:name" or "user:name"')
    if len(names) > 1 or not all(names):
        raise BadValueError("it is not one scope and one name", 'write the name alone, "org:name" or "user:name"')
    return found


def _reverification(value: object) -> str | Reverification:
    if isinstance(value, Reverification):
        return value
    if not isinstance(value, Mapping):
        return word(*PRESETS)(value)
    found = _read(value, {"level": word(*LEVELS), "after_minutes": _minutes})
    if missing := [key for key in ("level", "after_minutes") if key not in found]:
        raise BadTableError([BadEntry(missing[0], "", "it is missing", "give both level and after_minutes")])
    return Reverification(**found)  # type: ignore[arg-type]


def _minutes(value: object) -> float:
    try:
        return Reverification("first_factor", value).after_minutes  # type: ignore[arg-type]
    except ValueError:
        raise BadValueError("it is not a number above 0", "write minutes, without quotes") from None


def _scope(value: object) -> str:
    found = text(value)
    if not _SCOPE.fullmatch(found):
        raise BadValueError("it is not one scope", "write each scope in quotes of its own")
    return found


def _true(value: object) -> bool:
    if value is not True:
        raise BadValueError("only true asks for something", "write true, or leave the key out")
    return True


_OF_SESSIONS: Mapping[str, Callable[[object], object]] = {
    "role": _name,
    "permission": _name,
    "feature": _entitlement,
    "plan": _entitlement,
    "reverification": _reverification,
}
_READERS: Mapping[str, Callable[[object], object]] = {
    **_OF_SESSIONS,
    "scopes": list_of(_scope, at_least=1),
    "no_impersonation": _true,
}
