"""What a request's body and query may hold, and the refusal for each way of getting it wrong (Sessions API section 1).

The same fields are shown in the OpenAPI document, so what is documented is what is checked.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway.authority.errors import Problem, Refusal
from gateway.authority.versions import ApiVersion


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a JSON body, or one parameter of a query.

    Attributes:
        kind: ``string``, ``integer``, ``boolean`` or ``object``, as JSON Schema names them.
        required: whether it must be there; a member of a body that need not be there may be null.
        choices: the only values, if not empty.
        least: smallest integer.
        most: largest integer.
        default: what a query without it stands for.
        about: what it means, for the OpenAPI document.
        not_in: versions of the API that do not know it.
    """

    kind: str = "string"
    required: bool = False
    choices: Collection[str] = ()
    least: int = 0
    most: int = 0
    default: str | int | bool | None = None
    about: str = ""
    not_in: Collection[ApiVersion] = ()


def known_in(fields: Mapping[str, Field], version: ApiVersion) -> dict[str, Field]:
    """The fields that a version of the API knows."""
    return {name: field for name, field in fields.items() if version not in field.not_in}


def read_query(
    query: Mapping[str, str], fields: Mapping[str, Field], missing: Problem, status: int | None = None
) -> dict[str, object]:
    """Check a query against its fields and return all of them, with the default of what is not there.

    Parameters that are no fields are ignored: what links and SDKs add is not ours to judge.

    Args:
        query: name to value.
        fields: the parameters that count.
        missing: the problem when a required one is not there.
        status: replaces the usual 422, for operations that document another status.

    Raises:
        Refusal: for the first parameter at fault.
    """
    read: dict[str, object] = {}
    for name, field in fields.items():
        text = query.get(name)
        if field.required and text is None:
            raise Refusal(missing, param=name)
        read[name] = field.default if text is None else _parsed(name, field, text, status)
    return read


def _parsed(name: str, field: Field, text: str, status: int | None) -> str | int | bool:
    if field.kind == "boolean":
        if text.lower() not in ("true", "false", "1", "0"):
            raise Refusal(Problem.PARAM_INVALID, param=name, status=status, expected="must be true or false")
        return text.lower() in ("true", "1")
    if field.kind == "integer":
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(field.most))
        if not is_number or not field.least <= int(text) <= field.most:
            expected = f"must be between {field.least} and {field.most}"
            raise Refusal(Problem.PARAM_INVALID, param=name, status=status, expected=expected)
        return int(text)
    if field.choices and text not in field.choices:
        expected = f"must be one of {', '.join(field.choices)}"
        raise Refusal(Problem.PARAM_INVALID, param=name, status=status, expected=expected)
    return text


def read_fields(
    body: Mapping[str, object], fields: Mapping[str, Field], status: int | None = None
) -> dict[str, object]:
    """Check a body against its fields and return what is there, without the nulls.

    Args:
        body: the parsed JSON object.
        fields: all members it may have.
        status: replaces the usual 422, for operations that document another status.

    Raises:
        Refusal: for the first member at fault.
    """
    for name in body:
        if name not in fields:
            raise Refusal(Problem.PARAM_UNKNOWN, param=_shown(name), status=status)
    return {
        name: _value(name, field, body[name], status)
        for name, field in fields.items()
        if _is_given(name, field, body, status)
    }


def _is_given(name: str, field: Field, body: Mapping[str, object], status: int | None) -> bool:
    if name not in body and field.required:
        raise Refusal(Problem.PARAM_MISSING, param=name, status=status)
    if name in body and body[name] is None and field.required:
        raise Refusal(Problem.PARAM_NIL, param=name, status=status)
    return body.get(name) is not None


def _value(name: str, field: Field, value: object, status: int | None) -> object:
    if isinstance(value, float) and field.kind == "integer" and math.isfinite(value) and value.is_integer():
        value = int(value)  # the Python SDK of 2024 writes 120.0
    received = _kind_of(value)
    if received != field.kind:
        raise Refusal(Problem.PARAM_TYPE, param=name, status=status, received=received, expected=field.kind)
    if isinstance(value, str) and not _is_storable(value):
        raise Refusal(Problem.PARAM_INVALID, param=name, status=status, expected="it must be Unicode text")
    if field.choices and value not in field.choices:
        expected = f"must be one of {', '.join(field.choices)}"
        raise Refusal(Problem.PARAM_INVALID, param=name, status=status, expected=expected)
    if isinstance(value, int) and field.most and not field.least <= value <= field.most:
        expected = f"must be between {field.least} and {field.most}"
        raise Refusal(Problem.PARAM_INVALID, param=name, status=status, expected=expected)
    return value


def _kind_of(value: object) -> str:
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (dict, "object"), (list, "array"))
    return next((kind for type_, kind in kinds if isinstance(value, type_)), "null")


def _is_storable(text: str) -> bool:
    """JSON can spell half a surrogate pair, which no database and no header can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _shown(name: str) -> str:
    return name[:64]
