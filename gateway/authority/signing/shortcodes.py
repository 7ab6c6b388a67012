"""Shortcodes in the claims of a JWT template: ``{{user.id}}``, ``{{a || b || 'x'}}``.

Facts: Sessions API section 4. A shortcode alone keeps the JSON type of its value; inside a longer text it becomes text
(missing: "null"). Dots reach into objects. What is unknown is null. With ``||`` the first operand that is neither null
nor false counts, else the last one. Literals are single-quoted texts, numbers and booleans.
"""

import json
import re
from collections.abc import Mapping

_SHORTCODE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_OPERAND = re.compile(r"\s*('[^']*'|[^|']+?)\s*(?:\|\||$)")
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?\Z")
_WORDS: Mapping[str, object] = {"true": True, "false": False, "null": None}


def fill(claims: object, facts: Mapping[str, object]) -> object:
    """A copy of the claims with every shortcode replaced.

    Args:
        claims: JSON value; texts in it may hold shortcodes.
        facts: what the first word of a path names, e.g. ``user``, ``org``.
    """
    if isinstance(claims, str):
        return _fill_text(claims, facts)
    if isinstance(claims, Mapping):
        return {str(name): fill(value, facts) for name, value in claims.items()}
    if isinstance(claims, list | tuple):
        return [fill(value, facts) for value in claims]
    return claims


def _fill_text(text: str, facts: Mapping[str, object]) -> object:
    alone = _SHORTCODE.fullmatch(text)
    if alone and "{{" not in alone[1]:
        return _evaluate(alone[1], facts)
    return _SHORTCODE.sub(lambda match: _as_text(_evaluate(match[1], facts)), text)


def _evaluate(expression: str, facts: Mapping[str, object]) -> object:
    value: object = None
    for operand in _OPERAND.findall(expression):
        value = _operand(operand, facts)
        if value is not None and value is not False:
            break
    return value


def _operand(operand: str, facts: Mapping[str, object]) -> object:
    if operand.startswith("'"):
        return operand[1:-1]
    if operand in _WORDS:
        return _WORDS[operand]
    if _NUMBER.match(operand):
        return float(operand) if "." in operand else int(operand)
    value: object = facts
    for name in operand.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
